import type { Artefacts } from "#clients/artefacts.ts";
import type { Ledger, RunKey } from "#clients/ledger.ts";
import type { BuildEnd, RunRow, TaskRow } from "#core/contracts/ledger.ts";
import type { VertexWrite } from "#core/contracts/vertex-write.ts";
import { classOfStatus, isTerminal } from "#core/dbt/status.ts";
import { RetryableError } from "#core/errors.ts";
import { artefactKeys } from "#core/names.ts";
import { SINGLE_WRITERS } from "#core/run/planning/plan.ts";
import { buildEnd } from "./ledger-rows.ts";
import { type BuildEvent, SimulatedBuild, type SimulatedWarehouse } from "./simulated-dbt.ts";
import type { SimulatedProject } from "./simulated-project.ts";
import type { Random } from "./simulated-random.ts";
import type { Schedule } from "./simulated-schedule.ts";

export interface ContainerWorld {
  readonly project: SimulatedProject;
  readonly warehouse: SimulatedWarehouse;
  readonly schedule: Pick<Schedule, "nowMs" | "pause">;
  readonly random: Random;
  readonly ledger: Ledger;
  readonly artefacts: Artefacts;
  /** Told of the one container of a task that passed the fence, and of its end. */
  readonly onFence: (key: RunKey, task: number) => void;
  readonly onExit: (key: RunKey, task: number) => void;
  /** Told of an error that nobody expects. */
  readonly onError: (error: unknown) => void;
}

/** How a container ended, as ECS tells it. */
export type ContainerExit = { readonly exitCode: number; readonly outOfMemory: boolean };

const KILLED: ContainerExit = { exitCode: 137, outOfMemory: false };

/** Exit code of a container that another one has fenced off. */
const FENCE_LOST: ContainerExit = { exitCode: 65, outOfMemory: false };

/**
 * One container of the dbt-runner: fence, plan, build, statuses, heartbeats, end, in the order in which
 * containers/dbt-runner does them. Statuses are written in order and late; a kill loses those that are on their way, or
 * has them arrive long after, as from a zombie.
 */
export class SimulatedContainer {
  readonly #world: ContainerWorld;
  readonly #key: RunKey;
  readonly #task: number;
  readonly #arn: string;
  readonly #unsent: VertexWrite[] = [];
  #sequence = 0;
  #beatAtMs = 0;
  #stopped = false;

  constructor(world: ContainerWorld, key: RunKey, task: number, taskArn: string) {
    this.#world = world;
    this.#key = key;
    this.#task = task;
    this.#arn = taskArn;
  }

  /** SIGTERM: dbt is ended at its next line. */
  stop(): void {
    this.#stopped = true;
  }

  async run(): Promise<ContainerExit> {
    const { ledger, schedule, onFence, onExit } = this.#world;
    if (this.#stopped) return { exitCode: 143, outOfMemory: false };
    const passed = await this.#patiently(() =>
      ledger.passFence(this.#key, this.#task, { taskArn: this.#arn, startedAtMs: schedule.nowMs }),
    );
    if (!passed) return FENCE_LOST;
    onFence(this.#key, this.#task);
    const exit = await this.#work();
    onExit(this.#key, this.#task);
    return exit;
  }

  async #work(): Promise<ContainerExit> {
    const { ledger, random } = this.#world;
    const run = (await this.#patiently(() => ledger.readRun(this.#key)))!;
    const task = (await this.#patiently(() => ledger.readTask(this.#key, this.#task)))!;
    if (random.chance(0.02) && task.kind !== "producer") return KILLED;
    const planFirst = random.chance(0.5);
    if (task.kind === "plan" || (task.kind === "producer" && planFirst)) await this.#publishPlan();
    if (task.kind === "plan") return await this.#end(buildEnd({ endedAtMs: this.#world.schedule.nowMs }));
    if (task.kind === "hooks") return await this.#hooksAlone();
    if (task.kind === "command") return await this.#command();
    const { warehouse, project } = this.#world;
    const build = await this.#newBuild(task);
    const name = `${this.#key.runId}/${this.#task}`;
    const inAll = SINGLE_WRITERS.has(project.plan.adapterType ?? "") ? 1 : Number.POSITIVE_INFINITY;
    warehouse.enter(name, task.size, { onQueue: project.maxTasks, inAll });
    try {
      return await this.#build(build, run, task.kind === "producer" && !planFirst);
    } finally {
      warehouse.leave(name);
    }
  }

  /** The hook fails in the run's first task of this kind, by chance. */
  async #hooksAlone(): Promise<ContainerExit> {
    const { ledger, random, schedule } = this.#world;
    await schedule.pause(random.below(5_000));
    const tasks = await this.#patiently(() => ledger.readTasks(this.#key));
    const isFirst = tasks.filter((one) => one.kind === "hooks").length === 1;
    const failed = isFirst && random.chance(0.5);
    const cause = { kind: "hook" as const, sentence: "The hook failed.", lines: [] };
    const failure = { name: "publish", message: "server closed the connection", phase: "end" as const };
    const end = failed ? { exitCode: 1, cause, hookFailures: [failure] } : { endHooksDone: ["publish"] };
    return await this.#end(buildEnd({ endedAtMs: schedule.nowMs, ...end }));
  }

  /** A command that is good, unless it is cut off on its way. */
  async #command(): Promise<ContainerExit> {
    const { random, schedule } = this.#world;
    await schedule.pause(random.below(20_000));
    if (random.chance(0.1)) return KILLED;
    const cut = { kind: "terminated" as const, sentence: "stepwatch stopped dbt.", lines: [] };
    const isCut = this.#stopped || random.chance(0.1);
    const end = isCut ? { inOrder: false, exitCode: null, signal: "SIGINT", cause: cut } : {};
    return await this.#end(buildEnd({ endedAtMs: schedule.nowMs, ...end }));
  }

  async #newBuild(task: TaskRow): Promise<SimulatedBuild> {
    const { project, warehouse, random, artefacts } = this.#world;
    const all = project.plan.vertices.map((one) => one.uniqueId);
    const set = task.setKey
      ? ((await this.#patiently(() => artefacts.getJson(task.setKey!))) as { uniqueIds: string[] }).uniqueIds
      : all;
    const { vertices, threads, silentSkips } = project;
    const failFast = project.failFast && task.kind === "producer";
    return new SimulatedBuild({
      name: `task ${this.#task}`,
      vertices,
      selection: set,
      warehouse,
      random,
      threads,
      failFast,
      silentSkips,
    });
  }

  async #build(build: SimulatedBuild, run: RunRow, plansLate: boolean): Promise<ContainerExit> {
    const { schedule, random, warehouse } = this.#world;
    for (;;) {
      await schedule.pause(random.below(3_000));
      if (!(await this.#beat(run)) || this.#stopped) return await this.#terminated(build);
      const event = build.turn();
      if (event?.kind === "killed") return await this.#killed(plansLate);
      if (event?.kind === "status") this.#unsent.push(this.#write(event));
      // A skip may come long after another task has built it.
      if (event?.kind === "status" && event.evidence) warehouse.table(event.uniqueId).unheard = true;
      if (event?.kind === "ended") {
        if (plansLate) await this.#publishPlan();
        return await this.#end(buildEnd({ ...event.end, endedAtMs: schedule.nowMs }));
      }
      if (random.chance(0.7)) await this.#flush(1 + random.below(3));
    }
  }

  #write(event: Extract<BuildEvent, { kind: "status" }>): VertexWrite {
    const { uniqueId, status, evidence, message } = event;
    const nowMs = this.#world.schedule.nowMs;
    return {
      uniqueId,
      status,
      evidence,
      message,
      ...(isTerminal(status) ? { endedAtMs: nowMs } : { startedAtMs: nowMs }),
    };
  }

  async #flush(most = Number.POSITIVE_INFINITY): Promise<void> {
    for (let sent = 0; sent < most && this.#unsent.length > 0; sent++) {
      const write = this.#unsent[0]!;
      await this.#patiently(() => this.#world.ledger.writeVertex(this.#key, this.#task, write));
      this.#unsent.shift();
      this.#sequence += 1;
      const [row] = await this.#patiently(() => this.#world.ledger.readSomeVertices(this.#key, [write.uniqueId]));
      // A word that came too late is heard by nobody.
      if (row?.statusTask !== this.#task || row.status !== write.status) continue;
      this.#world.warehouse.table(write.uniqueId).unheard = this.#unsent.some((one) => one.uniqueId === write.uniqueId);
    }
  }

  /** False: the run is stopped or the fence is another's. */
  async #beat(run: RunRow): Promise<boolean> {
    const { ledger, schedule } = this.#world;
    if (schedule.nowMs - this.#beatAtMs < run.settings.policy.heartbeatSeconds * 1000) return true;
    this.#beatAtMs = schedule.nowMs;
    const beat = { taskArn: this.#arn, atMs: schedule.nowMs, sequence: this.#sequence };
    const { fenced } = await this.#patiently(() => ledger.heartbeat(this.#key, this.#task, beat));
    const now = await this.#patiently(() => ledger.readRun(this.#key));
    return fenced && now?.stopRequestedAtMs === undefined;
  }

  async #terminated(build: SimulatedBuild): Promise<ContainerExit> {
    build.kill();
    await this.#flush();
    const cause = { kind: "terminated" as const, sentence: "stepwatch stopped dbt.", lines: [] };
    return await this.#end(
      buildEnd({ endedAtMs: this.#world.schedule.nowMs, inOrder: false, exitCode: null, signal: "SIGINT", cause }),
    );
  }

  async #killed(plansLate: boolean): Promise<ContainerExit> {
    const { random, schedule } = this.#world;
    if (random.chance(0.5)) {
      await this.#flush();
      if (plansLate && random.chance(0.5)) await this.#publishPlan();
      const cause = { kind: "out_of_memory" as const, sentence: "dbt ran out of memory.", lines: [] };
      return await this.#end(
        buildEnd({
          endedAtMs: schedule.nowMs,
          inOrder: false,
          exitCode: null,
          signal: "SIGKILL",
          cause,
          retryableLaunch: this.#sequence === 0,
        }),
      );
    }
    if (!this.#forgetFailures() && random.chance(0.5)) this.#haunt().catch(this.#world.onError);
    return KILLED;
  }

  /** A failure of which nobody will hear uses no try, so that it does not count among those that the vertex has. */
  #forgetFailures(): boolean {
    const failures = this.#unsent.filter(({ status }) => isTerminal(status) && classOfStatus(status) === "failed");
    for (const { uniqueId } of failures) this.#world.warehouse.table(uniqueId).finished -= 1;
    return failures.length > 0;
  }

  /** Requests that the network held back arrive when the container is long gone. */
  async #haunt(): Promise<void> {
    await this.#world.schedule.pause(this.#world.random.below(60_000));
    await this.#flush();
  }

  async #publishPlan(): Promise<void> {
    const { ledger, artefacts, project } = this.#world;
    const planKey = artefactKeys.plan(this.#key.project, this.#key.runId, this.#task);
    await this.#patiently(() => artefacts.putJson(planKey, { ...project.plan, ...this.#key }));
    await this.#patiently(() => ledger.tellPlan(this.#key, this.#task, this.#arn, planKey));
  }

  async #end(end: BuildEnd): Promise<ContainerExit> {
    await this.#flush();
    await this.#patiently(() => this.#world.ledger.endTask(this.#key, this.#task, this.#arn, end, this.#sequence));
    return { exitCode: 0, outOfMemory: false };
  }

  /** A refused call is repeated, as containers/dbt-runner/patience does. */
  async #patiently<T>(call: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await call();
      } catch (error) {
        if (!(error instanceof RetryableError)) throw error;
        await this.#world.schedule.pause(500);
      }
    }
  }
}
