import { AsyncLocalStorage } from "node:async_hooks";
import type { Executions } from "#clients/executions.ts";
import type { Ledger } from "#clients/ledger.ts";
import { planReader } from "#clients/plan-reader.ts";
import type { RunRow, TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import {
  CLOSELY,
  type ConsumerReference,
  PATIENTLY,
  type RunReference,
  type StartRunPayload,
} from "#core/contracts/payloads.ts";
import type { ProjectSettings } from "#core/contracts/settings.ts";
import { FatalError, RetryableError, RoundOpened } from "#core/errors.ts";
import { executionArn } from "#core/names.ts";
import type { LedgerChange } from "#core/run/watching/ledger-change.ts";
import { type CheckRunDeps, checkRun } from "../../functions/check-run/check-run.ts";
import { settleRun } from "../../functions/settle-run/settle-run.ts";
import { startRun } from "../../functions/start-run/start-run.ts";
import { type StopRunDeps, stopRun } from "../../functions/stop-run/stop-run.ts";
import { sweep } from "../../functions/stop-run/sweep.ts";
import { wake } from "../../functions/wake/wake.ts";
import { type ConsumerWaits, watchNode } from "../../functions/watch-node/watch-node.ts";
import { CONSUMER_NET_SECONDS, QUEUE_TURN_SECONDS } from "../../infra/state-machines/turns.ts";
import { FakeArtefacts, FakeEvents } from "./fake-clients.ts";
import { memoryLedger } from "./memory-ledger.ts";
import { exampleSettings } from "./projects.ts";
import { SimulatedWarehouse } from "./simulated-dbt.ts";
import { type LaunchTroubles, SimulatedEcs } from "./simulated-ecs.ts";
import type { SimulatedProject } from "./simulated-project.ts";
import { Random } from "./simulated-random.ts";
import { Crash, type Faults, faulty, NO_FAULTS, Schedule } from "./simulated-schedule.ts";
import { JOB_WITH_STEPS } from "./simulated-steps.ts";
import { withStream } from "./simulated-stream.ts";

export interface WorldOptions {
  readonly seed: number;
  readonly project: SimulatedProject;
  /** How calls of the functions go wrong. */
  readonly faults?: Faults;
  readonly troubles?: LaunchTroubles;
  /** Whether waits are woken by the ledger's stream, or poll; by the seed where it is not said. */
  readonly watch?: "wake" | "poll";
  /** Share of the stream's records that never come, and that come twice. */
  readonly stream?: { readonly lost: number; readonly doubled: number };
  /** Share of check-run turns that go on while the next one has begun already. */
  readonly lingering?: number;
}

const RUN_MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:run";
const CONSUMER_MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:consumer";
const NO_TROUBLES: LaunchTroubles = { refusedPercent: 0, neverStartedPercent: 0, forgottenTokenPercent: 0, most: 0 };

export interface RunEnd {
  readonly state: "green" | "red" | "skipped" | "refused" | "aborted";
  readonly words: string;
}

/** Of an execution that has ended. */
const STATUS_OF: Readonly<Record<RunEnd["state"], string>> = {
  green: "SUCCEEDED",
  skipped: "SUCCEEDED",
  red: "FAILED",
  refused: "FAILED",
  aborted: "ABORTED",
};

interface Consumer {
  readonly reference: ConsumerReference;
  outcome: string | null;
  stopped: boolean;
  redrives: number;
}

const goesOn = (error: unknown): "goes on" => {
  if (error instanceof RoundOpened) return "goes on";
  throw error;
};

/** The functions over a ledger in memory, a simulated ECS and machines that call them turn by turn. */
export class SimulatedWorld {
  readonly ledger: Ledger = withStream(memoryLedger(), (change) => this.#stream(change));
  readonly artefacts = new FakeArtefacts();
  readonly events = new FakeEvents();
  readonly schedule: Schedule;
  readonly warehouse: SimulatedWarehouse;
  readonly ends = new Map<string, RunEnd>();
  readonly consumers = new Map<string, Consumer>();
  readonly errors: unknown[] = [];
  readonly calls = { calls: 0, writes: 0, crashed: 0 };
  /** Tasks whose container passed the fence, and how often. */
  readonly fences = new Map<string, number>();
  readonly random: Random;
  /** When everything began. */
  readonly startedAtMs: number;
  readonly #options: WorldOptions;
  readonly #ecs: SimulatedEcs;
  readonly #settings: ProjectSettings;
  readonly #building = new Set<string>();
  /** The walk that each live execution is at: a redrive begins another one, and the old one takes no further step. */
  readonly #running = new Map<string, object>();
  readonly #walk = new AsyncLocalStorage<object>();
  readonly #references = new Map<string, RunReference>();
  readonly #redrives = new Map<string, { readonly count: number; readonly atMs: number }>();
  readonly #endedAgain = new Set<string>();
  /** Waits of runs by their tokens: what ends them. */
  readonly #waits = new Map<string, () => void>();
  /** Waits of consumers by their tokens: what answers them. */
  readonly #consumerWaits = new Map<string, (answer: ConsumerEnd) => void>();
  readonly #wakes: boolean;
  #tokens = 0;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.warehouse = new SimulatedWarehouse(options.project.policy.onTestFailure === "node");
    this.random = new Random(options.seed);
    this.schedule = new Schedule(this.random);
    this.startedAtMs = this.schedule.nowMs;
    this.#wakes = options.watch === undefined ? options.seed % 3 !== 0 : options.watch === "wake";
    const { project, troubles = NO_TROUBLES } = options;
    const { warehouse, schedule, random, ledger, artefacts } = this;
    const onError = (error: unknown) => void this.errors.push(error);
    const onFence = (key: { runId: string }, task: number) => this.#passed(key.runId, task);
    const onExit = (key: { runId: string }, task: number) => void this.#building.delete(`${key.runId}/${task}`);
    this.#ecs = new SimulatedEcs(
      { project, warehouse, schedule, random, ledger, artefacts, onFence, onExit, onError },
      troubles,
    );
    const settings = exampleSettings("shop", project.policy);
    const executionQueue = { ...settings.executionQueue, maxTasks: project.maxTasks };
    this.#settings = { ...settings, executionQueue, ...(project.steps ? { job: JOB_WITH_STEPS } : {}) };
  }

  /** One execution of the run machine; returns when {@link settled} has let everything end. */
  begin(runId: string, delayMs = 0, input: Record<string, unknown> = {}): void {
    this.#begin(runId, () => this.#machine(runId, delayMs, { project: "shop", ...input }));
  }

  #begin(runId: string, steps: () => Promise<void>): void {
    const walk = {};
    this.#running.set(runId, walk);
    this.#walk
      .run(walk, steps)
      .catch((error) => this.errors.push(error))
      .finally(() => this.#running.get(runId) === walk && this.#running.delete(runId));
  }

  /** Whether the execution is still at the walk that asks. */
  #goesOn(runId: string): boolean {
    return this.#running.get(runId) === this.#walk.getStore();
  }

  /** Something that a person does, some time from now. */
  later(delayMs: number, act: () => Promise<unknown>): void {
    this.schedule
      .pause(delayMs)
      .then(act)
      .catch((error) => this.errors.push(error));
  }

  async settled(): Promise<void> {
    await this.schedule.run();
  }

  async runRow(runId: string): Promise<RunRow | null> {
    return await this.ledger.readRun({ project: "shop", runId });
  }

  async rows(runId: string): Promise<{ tasks: TaskRow[]; vertices: VertexRow[] }> {
    const key = { project: "shop", runId };
    return { tasks: await this.ledger.readTasks(key), vertices: await this.ledger.readVertices(key) };
  }

  #passed(runId: string, task: number): void {
    const name = `${runId}/${task}`;
    this.fences.set(name, (this.fences.get(name) ?? 0) + 1);
    const other = [...this.#building].find((one) => !one.startsWith(`${runId}/`));
    if (other) this.warehouse.violations.push(`${name} builds while ${other} of another run does`);
    this.#building.add(name);
    // A read of the ledger in memory sees it as it is at this moment.
    void this.ledger.readLock("shop", "default").then((lock) => {
      if (lock?.runId !== runId)
        this.warehouse.violations.push(`${name} builds without the lock, which ${lock?.runId ?? "nobody"} has`);
    });
  }

  async #machine(runId: string, delayMs: number, input: unknown): Promise<void> {
    await this.schedule.pause(delayMs);
    const execution = { arn: executionArn(RUN_MACHINE, runId), name: runId, startTime: "" };
    const reference = await this.#start({
      input,
      catchesLockFree: true,
      execution,
      projects: { shop: this.#settings },
    });
    if (!reference) return;
    this.#references.set(runId, reference);
    await this.#checks(runId, reference);
    await this.#settle(runId, reference);
  }

  /** StopExecution, or the machine's own timeout: whatever a function is doing goes on, and no state follows it. */
  abort(runId: string): boolean {
    if (!this.#running.delete(runId)) return false;
    if (this.#redrives.has(runId)) this.#endedAgain.add(runId);
    this.ends.set(runId, { state: "aborted", words: "" });
    return true;
  }

  /** stop-run, as EventBridge and Lambda call it: a call that dies is repeated twice. */
  async stopRun(ended: { readonly redriveCount: number; readonly runId: string }): Promise<void> {
    const { runId, redriveCount } = ended;
    await this.#twiceMore((deps) => stopRun({ executionArn: executionArn(RUN_MACHINE, runId), redriveCount }, deps));
  }

  async sweep(): Promise<void> {
    await this.#twiceMore((deps) => sweep(["shop"], deps));
  }

  async #twiceMore(call: (deps: StopRunDeps) => Promise<void>): Promise<void> {
    const pause = (milliseconds: number) => this.schedule.pause(milliseconds);
    for (const afterMs of [60_000, 120_000, 0]) {
      try {
        return await call({ ...this.#deps(), pause });
      } catch (error) {
        if (!(error instanceof Crash) && !(error instanceof RetryableError)) throw error;
        await pause(afterMs);
      }
    }
  }

  /** `Settle run`, and Check run again for as long as it opens rounds. */
  async #settle(runId: string, reference: RunReference): Promise<void> {
    for (;;) {
      const { count = 0, atMs } = this.#redrives.get(runId) ?? {};
      const time = atMs === undefined ? {} : { RedriveTime: new Date(atMs).toISOString() };
      const context = { RedriveCount: count, ...time };
      const output = await this.#state(runId, 5_000, (deps) => settleRun(reference, deps, { context }).catch(goesOn));
      if (output === null || !this.#goesOn(runId)) return;
      if (output !== "goes on") return void this.ends.set(runId, { state: output.state, words: output.verdict });
      await this.#checks(runId, reference);
    }
  }

  /** RedriveExecution of a run's execution: its last state is entered again. */
  redrive(runId: string): boolean {
    const reference = this.#references.get(runId);
    const state = this.ends.get(runId)?.state;
    if (this.#running.has(runId) || state === undefined || state === "green") return false;
    if (reference === undefined && state !== "aborted") return false;
    const count = (this.#redrives.get(runId)?.count ?? 0) + 1;
    this.#redrives.set(runId, { count, atMs: this.schedule.nowMs });
    this.ends.delete(runId);
    this.#begin(runId, async () => {
      if (reference === undefined) return await this.#machine(runId, 0, { project: "shop" });
      if (state === "aborted") await this.#checks(runId, reference);
      await this.#settle(runId, reference);
    });
    return true;
  }

  /** Redriven, and not ended by hand after that. */
  redriven(runId: string): boolean {
    return this.#redrives.has(runId) && !this.#endedAgain.has(runId);
  }

  /** The Redrive button on a consumer that ended red. */
  redriveConsumer(consumer: Consumer): void {
    if (consumer.outcome !== "red" || consumer.stopped) return;
    consumer.outcome = null;
    consumer.redrives += 1;
    this.#consume(consumer).catch((error) => this.errors.push(error));
  }

  /** `Start run`: each call has a token of its own; whoever fails it ends the turn. */
  async #start(payload: Omit<StartRunPayload, "taskToken">): Promise<RunReference | null> {
    const runId = payload.execution.name;
    for (;;) {
      const wait = this.#openWait(runId);
      const answer = await this.#state(runId, 0, async (deps) => ({
        reference: await startRun({ ...payload, taskToken: wait.token }, deps),
      }));
      if (answer === null || (answer.reference !== null && !wait.isOver())) return answer?.reference ?? null;
      await wait.over(QUEUE_TURN_SECONDS * 1_000);
    }
  }

  /** False: no such wait is open. */
  #endWait(taskToken: string): boolean {
    const end = this.#waits.get(taskToken);
    this.#waits.delete(taskToken);
    end?.();
    return end !== undefined;
  }

  async #checks(runId: string, reference: RunReference): Promise<void> {
    const { lingering = 0 } = this.#options;
    const seen: CheckRunDeps["seen"] = new Map();
    let { waitSeconds } = WAITS;
    for (;;) {
      const wait = this.#openWait(runId);
      const waits = this.#wakes
        ? { ...WAITS, taskToken: wait.token, waitSeconds, beganAtMs: this.schedule.nowMs }
        : null;
      const turn = this.#state(runId, 0, async (deps) => ({
        said: await checkRun(reference, { ...deps, seen }, waits),
      }));
      if (this.random.chance(lingering)) turn.catch((error) => this.errors.push(error));
      else {
        const said = (await turn)?.said ?? "waiting";
        if (said === "settle" || !this.#goesOn(runId)) return;
        if (typeof said === "object") await this.schedule.pause(said.afterMs ?? 0);
        if (typeof said === "object" && !wait.isOver()) {
          ({ waitSeconds } = said);
          continue;
        }
      }
      await wait.over(this.#wakes ? waitSeconds * 1_000 : this.random.below(5_000));
    }
  }

  /** A wait of a state whose token somebody may fail. */
  #openWait(name: string) {
    const token = `${name}, turn ${++this.#tokens}`;
    let ring: (() => void) | undefined;
    let rung = false;
    this.#waits.set(token, () => {
      rung = true;
      ring?.();
    });
    const over = async (forMs: number) => {
      if (!rung) {
        const alarm = this.schedule.alarm(forMs);
        ring = alarm.ring;
        await alarm.over;
      }
      this.#waits.delete(token);
    };
    return { token, isOver: () => rung, over };
  }

  /** A record of the table's stream: wake is called with it a moment later, once, twice or never. */
  #stream(change: LedgerChange): void {
    if (!this.#wakes) return;
    const { lost = 0, doubled = 0 } = this.#options.stream ?? {};
    if (this.random.chance(lost)) return;
    for (let times = this.random.chance(doubled) ? 2 : 1; times > 0; times--) {
      const wakeLater = async () => {
        await this.schedule.pause(this.random.below(1_500));
        await wake([change], this.#deps());
      };
      wakeLater().catch((error) => {
        // Lambda tries it again for a minute, and then it is dropped: here at once.
        if (!(error instanceof Crash) && !(error instanceof RetryableError)) this.errors.push(error);
      });
    }
  }

  /** One state: called again after a crash, a transient error or (null) a turn; a fatal error ends the run. */
  async #state<T>(runId: string, turnMs: number, call: (deps: FunctionDeps) => Promise<T | null>): Promise<T | null> {
    for (;;) {
      if (!this.#goesOn(runId)) return null;
      try {
        const answer = await call(this.#deps());
        if (answer !== null) return answer;
        await this.schedule.pause(turnMs);
      } catch (error) {
        if (error instanceof FatalError) {
          if (this.#goesOn(runId))
            this.ends.set(runId, { state: error.name === "RunFailed" ? "red" : "refused", words: error.message });
          return null;
        }
        if (!(error instanceof Crash) && !(error instanceof RetryableError)) throw error;
        await this.schedule.pause(1_000);
      }
    }
  }

  #deps(): FunctionDeps {
    const { faults = NO_FAULTS } = this.#options;
    const caller = { dead: false };
    const wrap = <T extends object>(target: T) =>
      faulty(target, this.schedule, this.random, faults, this.calls, caller);
    const artefacts = wrap<FakeArtefacts>(this.artefacts);
    const order = { seen: 0 };
    return {
      ledger: this.#obeying(wrap(this.ledger), order),
      artefacts,
      events: wrap(this.events),
      warn: () => undefined,
      tasks: this.#obeying(wrap(this.#ecs), order),
      executions: wrap(this.#executions()),
      readPlan: planReader(artefacts),
      consumerMachineArn: CONSUMER_MACHINE,
      nowMs: () => this.schedule.nowMs,
    };
  }

  /** The same calls, where a launch after the caller has seen an order to stop is a violation (behaviour G12). */
  #obeying<T extends object>(target: T, order: { seen: number }): T {
    const get =
      (_: T, method: string) =>
      async (...given: unknown[]) => {
        const launches = order.seen > 0 && (method === "createTask" || method === "launch");
        const answer = await (Reflect.get(target, method) as (...given: unknown[]) => unknown)(...given);
        if (launches && answer !== false)
          this.warehouse.violations.push(`${method} after a stop of round ${order.seen}`);
        if (method === "readRun") order.seen = stoppedRound(answer as RunRow | null);
        return answer;
      };
    return new Proxy(target, { get: get as ProxyHandler<T>["get"] & {} });
  }

  #executions(): Pick<Executions, "start" | "describe" | "succeed" | "fail" | "redrive"> {
    const answer = (token: string, end: ConsumerEnd): boolean => {
      const give = this.#consumerWaits.get(token);
      this.#consumerWaits.delete(token);
      give?.(end);
      return give !== undefined;
    };
    return {
      start: async (machine, name, input) =>
        this.#startConsumer(executionArn(machine, name), input as ConsumerReference),
      describe: async (arn) => this.#describe(arn),
      redrive: async (arn) => this.redrive(arn.split(":").at(-1)!),
      succeed: async (token, output) => answer(token, (output as { outcome: ConsumerEnd }).outcome),
      fail: async (token, { name }) =>
        answer(token, name === CLOSELY || name === PATIENTLY ? name : "red") || this.#endWait(token),
    };
  }

  async #describe(arn: string): ReturnType<Executions["describe"]> {
    const name = arn.split(":").at(-1)!;
    const end = this.ends.get(name)?.state;
    const status = this.#running.has(name) ? "RUNNING" : STATUS_OF[end ?? "red"];
    const nothing = {
      input: { project: "shop" },
      output: null,
      error: end === "red" ? "RunFailed" : null,
      cause: null,
    };
    return {
      status,
      name,
      startedAtMs: 0,
      stoppedAtMs: null,
      ...nothing,
      redriveCount: this.#redrives.get(name)?.count ?? 0,
    };
  }

  #startConsumer(arn: string, reference: ConsumerReference) {
    const known = this.consumers.has(arn);
    if (!known) {
      const consumer: Consumer = { reference, outcome: null, stopped: false, redrives: 0 };
      this.consumers.set(arn, consumer);
      this.#consume(consumer).catch((error) => this.errors.push(error));
    }
    return { executionArn: arn, started: !known };
  }

  /** `Watch node` ⟲, and with wakes `Watch node closely` ⟲: until somebody has answered a turn's token. */
  async #consume(consumer: Consumer): Promise<void> {
    let waits: ConsumerWaits | null = this.#wakes ? "patiently" : null;
    while (consumer.outcome === null && !consumer.stopped) {
      const turn = this.#openConsumerWait(consumer);
      const forMs = waits === "patiently" ? CONSUMER_NET_SECONDS * 1_000 : 5_000;
      if (waits === null) await turn.over(forMs);
      try {
        await watchNode(turn.token, consumer.reference, this.#deps(), consumer.redrives, waits);
      } catch (error) {
        if (!(error instanceof Crash) && !(error instanceof RetryableError)) throw error;
        turn.end();
        await this.schedule.pause(1_000);
        continue;
      }
      if (waits !== null) await turn.over(forMs);
      const said = turn.end();
      if (said === CLOSELY) waits = "closely";
      else if (said === PATIENTLY) waits = "patiently";
      else if (said !== null && !consumer.stopped) consumer.outcome = said;
    }
  }

  #openConsumerWait(consumer: Consumer) {
    const token = `${consumer.reference.uniqueId}, turn ${++this.#tokens}`;
    let said: ConsumerEnd | null = null;
    let ring: (() => void) | undefined;
    this.#consumerWaits.set(token, (end) => {
      said = end;
      ring?.();
    });
    const over = async (forMs: number) => {
      if (said !== null) return;
      const alarm = this.schedule.alarm(forMs);
      ring = alarm.ring;
      await alarm.over;
    };
    const end = (): ConsumerEnd | null => {
      this.#consumerWaits.delete(token);
      return said;
    };
    return { token, over, end };
  }
}

/** How a consumer's turn ended: an outcome, or another way to wait. */
type ConsumerEnd = "green" | "red" | "skipped" | typeof CLOSELY | typeof PATIENTLY;

/** As a stack with a longest run of four hours says it (infra/state-machines/turns.ts). */
const WAITS = { waitSeconds: 60, netSeconds: 60, averageSeconds: 7 };

/** The round of a run that is to be stopped; 0: nobody has asked. */
const stoppedRound = (run: RunRow | null): number =>
  run !== null && (run.stopRequestedAtMs ?? run.stopAfterCurrentAtMs) !== undefined ? run.round : 0;

interface FunctionDeps {
  readonly ledger: Ledger;
  readonly artefacts: FakeArtefacts;
  readonly events: FakeEvents;
  readonly warn: () => void;
  readonly tasks: SimulatedEcs;
  readonly executions: Pick<Executions, "start" | "describe" | "succeed" | "fail" | "redrive">;
  readonly readPlan: ReturnType<typeof planReader>;
  readonly consumerMachineArn: string;
  readonly nowMs: () => number;
}
