import type { BuildEnd, TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import { isTerminal } from "#core/dbt/status.ts";
import type { Decision, LaunchDecision, StepInput } from "#core/run/deciding/decision.ts";
import { step } from "#core/run/deciding/step.ts";
import { currentProducer, isOver } from "#core/run/judging/vertex-view.ts";
import { SINGLE_WRITERS } from "#core/run/planning/plan.ts";
import { type Verdict, verdict } from "#core/run/reporting/verdict.ts";
import { buildEnd, taskRow } from "./ledger-rows.ts";
import { type BuildEvent, SimulatedBuild, SimulatedWarehouse } from "./simulated-dbt.ts";
import type { SimulatedProject } from "./simulated-project.ts";
import type { Random } from "./simulated-random.ts";

export interface SimulatedEnd {
  readonly verdict: Verdict;
  readonly rows: readonly VertexRow[];
  readonly tasks: readonly TaskRow[];
  readonly warehouse: SimulatedWarehouse;
  readonly turns: number;
  /** Vertices that were taken from a build that went on. */
  readonly early: number;
}

/** More turns than any run of a dozen vertices can need: beyond them a run counts as one that never ends. */
const MOST_TURNS = 6_000;

/** Launches that come to nothing, and builds that are killed from outside before they begin, in one run. */
const MOST_MISHAPS = 2;

/**
 * Drives the step alone: decisions are applied at once, tasks go on by one line at a time in any order, time passes. Each
 * step's invariants (docs/design.md, "The step") are held against what really stands in the warehouse.
 * @param onTurn gets what the step is asked, turn by turn
 * @throws Error naming the first invariant that does not hold
 */
export function simulateRun(
  project: SimulatedProject,
  random: Random,
  onTurn: (asked: StepInput) => void = () => {},
): SimulatedEnd {
  return new SimulatedRun(project, random).toItsEnd(onTurn);
}

class SimulatedRun {
  readonly #project: SimulatedProject;
  readonly #random: Random;
  readonly #warehouse: SimulatedWarehouse;
  readonly #mayRebuild: boolean;
  readonly #rows = new Map<string, VertexRow>();
  readonly #tasks: TaskRow[] = [];
  readonly #builds = new Map<number, SimulatedBuild>();
  #heldSinceMs: number | null = null;
  #nowMs = 1_000_000;
  #mishaps = 0;
  #early = 0;

  constructor(project: SimulatedProject, random: Random) {
    this.#project = project;
    this.#random = random;
    this.#mayRebuild = project.policy.onTestFailure === "node";
    this.#warehouse = new SimulatedWarehouse(this.#mayRebuild);
  }

  toItsEnd(onTurn: (asked: StepInput) => void): SimulatedEnd {
    for (let turns = 1; turns <= MOST_TURNS; turns++) {
      const asked = this.#input();
      onTurn(asked);
      const decision = step(asked);
      this.#apply(decision);
      if (decision.settle) return this.#settled(decision, turns);
      this.#goOn();
    }
    throw new Error(`The run did not end within ${MOST_TURNS} turns.`);
  }

  #input(): StepInput {
    const { plan, policy, maxTasks } = this.#project;
    const planned = this.#tasks.some((task) => isOver(task)) || this.#rows.size > 0;
    const rows = [...this.#rows.values()];
    const held = this.#heldSinceMs;
    return {
      plan: planned ? plan : null,
      rows,
      tasks: this.#tasks.map((task) => ({ ...task, heartbeatAtMs: this.#nowMs })),
      policy,
      maxTasks,
      stopReason: null,
      heldSinceMs: held,
      nowMs: this.#nowMs,
    };
  }

  #apply(decision: Decision): void {
    for (const launch of decision.launches) this.#launch(launch);
    for (const { uniqueId, ...word } of decision.finals) this.#change(uniqueId, word);
    this.#heldSinceMs = decision.heldSinceMs;
  }

  #launch(launch: LaunchDecision): void {
    const number = this.#tasks.length + 1;
    const { plan, maxTasks } = this.#project;
    const selection = launch.kind === "producer" ? plan.vertices.map((one) => one.uniqueId) : launch.uniqueIds;
    for (const claim of launch.claims) this.#claim(number, claim, launch);
    this.#tasks.push(
      taskRow(number, {
        kind: launch.kind,
        size: launch.size,
        state: "running",
        claimedAtMs: this.#nowMs,
        startedAtMs: this.#nowMs,
        reason: launch.reason,
      }),
    );
    const live = this.#tasks.filter((task) => !isOver(task));
    if (SINGLE_WRITERS.has(plan.adapterType ?? "")) must(live.length <= 1, `${live.length} tasks write at once`);
    const busy = live.filter((task) => task.size === "queue").length;
    must(busy <= maxTasks, `${busy} tasks of the execution queue at once, the cap is ${maxTasks}`);
    const { vertices, threads, silentSkips } = this.#project;
    const failFast = launch.kind === "producer" && this.#project.failFast;
    const common = { name: `task ${number}`, vertices, selection, warehouse: this.#warehouse, random: this.#random };
    this.#builds.set(number, new SimulatedBuild({ ...common, threads, failFast, silentSkips }));
  }

  #claim(number: number, claim: LaunchDecision["claims"][number], launch: LaunchDecision): void {
    const id = claim.uniqueId;
    const row = this.#rows.get(id);
    must(
      (row?.ownerTask ?? null) === claim.from,
      `${id} is claimed from ${claim.from}, its owner is ${row?.ownerTask}`,
    );
    const owner = this.#tasks.find((task) => task.task === row?.ownerTask);
    if (owner && !isOver(owner)) this.#mustBeLeft(id, owner);
    const built = this.#project.vertices.get(id)!.builds;
    const { good: isGood, onFailure } = this.#warehouse.table(id);
    must(!built || this.#mayRebuild || !isGood || onFailure, `${id} is good and is claimed for a ${launch.kind} build`);
    for (const parent of this.#project.plan.vertices.find((one) => one.uniqueId === id)!.gateParents) {
      // dbt compiles such an ephemeral anew with each vertex that reads it.
      const isQuiet = this.#project.vertices.get(parent)!.quiet === true;
      const good = isQuiet || this.#warehouse.table(parent).good || launch.uniqueIds.includes(parent);
      must(good, `${id} is claimed although its gate parent ${parent} is neither good nor in the set`);
    }
    this.#mustNotBeRead(id, launch);
    const lostTasks = [
      ...new Set([...(row?.lostTasks ?? []), ...(claim.lostTask === undefined ? [] : [claim.lostTask])]),
    ];
    const { final: _, finalReason: __, rootCause: ___, ...kept } = row ?? { uniqueId: id, epoch: 0, tryTasks: [] };
    this.#rows.set(id, { ...kept, ownerTask: number, epoch: kept.epoch + 1, lostTasks });
  }

  /** `recovery: early`: dbt will touch neither the vertex nor what reads it in the build that goes on. */
  #mustBeLeft(id: string, owner: TaskRow): void {
    must(this.#project.policy.recovery === "early", `${id} is claimed from task ${owner.task}, which lives`);
    const build = this.#builds.get(owner.task)!;
    must(!build.mayTouch(id), `${id} is claimed from task ${owner.task}, which may still build it`);
    for (const { uniqueId, gateParents } of this.#project.plan.vertices)
      if (gateParents.includes(id))
        must(!build.mayTouch(uniqueId), `${id} is claimed from task ${owner.task}, which may still build ${uniqueId}`);
    this.#early += 1;
  }

  /** A table is not replaced while another build reads it. */
  #mustNotBeRead(id: string, launch: LaunchDecision): void {
    if (!id.startsWith("model_")) return;
    for (const { uniqueId, gateParents } of this.#project.plan.vertices) {
      if (!gateParents.includes(id) || launch.uniqueIds.includes(uniqueId)) continue;
      const row = this.#rows.get(uniqueId);
      const owner = this.#tasks.find((task) => task.task === row?.ownerTask);
      const hasEnded = row?.statusTask === owner?.task && isTerminal(row?.status ?? "");
      const isLeft = this.#builds.get(owner?.task ?? 0)?.mayTouch(uniqueId) === false;
      must(
        !owner || isOver(owner) || hasEnded || isLeft,
        `${id} is claimed while ${uniqueId}, which it gates, is being built`,
      );
    }
  }

  /** One live task goes on by a line, or time passes alone. */
  #goOn(): void {
    const living = this.#tasks.filter((task) => !isOver(task));
    this.#nowMs += living.length === 0 ? 5_000 : this.#random.below(2_000);
    if (living.length === 0) return;
    const task = this.#random.pick(living);
    const mishap = this.#mishaps < MOST_MISHAPS && !this.#rowsOf(task) && this.#random.chance(0.03);
    if (mishap) this.#miscarry(task);
    if (mishap) return;
    const event = this.#builds.get(task.task)!.turn();
    if (event) this.#note(task, event);
  }

  #rowsOf = (task: TaskRow): boolean => [...this.#rows.values()].some((row) => row.statusTask === task.task);

  #miscarry(task: TaskRow): void {
    this.#mishaps += 1;
    if (this.#builds.get(task.task)!.begun) return;
    this.#builds.get(task.task)!.kill();
    this.#stop(task);
  }

  #note(task: TaskRow, event: BuildEvent): void {
    if (event.kind === "status") this.#write(task.task, event);
    else if (event.kind === "ended") this.#end(task, { ...event.end, endedAtMs: this.#nowMs });
    else if (this.#random.chance(0.5)) this.#stop(task);
    else this.#die(task);
  }

  /** The supervisor survives dbt and says how it died. */
  #die(task: TaskRow): void {
    const begun = [...this.#rows.values()].some((row) => row.tryTasks.includes(task.task));
    const cause = {
      kind: this.#random.pick(["killed", "out_of_memory"] as const),
      sentence: "dbt was killed.",
      lines: [],
    };
    this.#end(task, {
      endedAtMs: this.#nowMs,
      inOrder: false,
      signal: "SIGKILL",
      exitCode: null,
      cause,
      retryableLaunch: !begun,
    });
  }

  #write(task: number, event: Extract<BuildEvent, { kind: "status" }>): void {
    const row = this.#rows.get(event.uniqueId);
    if (row && row.ownerTask !== task) {
      // The ledger refuses it. A build has nothing more than a skip to say of what was taken from it.
      const isSkip = this.#project.policy.recovery === "early" && event.status === "skipped";
      must(isSkip, `task ${task} writes ${event.uniqueId}, which task ${row.ownerTask} owns`);
      return;
    }
    const tryTasks = [
      ...new Set([...(row?.tryTasks ?? []).filter((one) => one !== task), ...(event.evidence ? [task] : [])]),
    ];
    const at = isTerminal(event.status) ? { endedAtMs: this.#nowMs } : {};
    const base = row ?? { uniqueId: event.uniqueId, epoch: 0, lostTasks: [] };
    const { endedAtMs: _, message: __, ...kept } = base as VertexRow;
    const message = event.message === undefined ? {} : { message: event.message };
    this.#rows.set(event.uniqueId, {
      ...kept,
      ownerTask: task,
      statusTask: task,
      status: event.status,
      tryTasks,
      ...at,
      ...message,
    });
  }

  #end(task: TaskRow, end: Partial<BuildEnd>): void {
    this.#tasks[task.task - 1] = { ...task, state: "over", end: buildEnd(end) };
  }

  #stop(task: TaskRow): void {
    const stop = {
      stoppedAtMs: this.#nowMs,
      stopCode: null,
      stoppedReason: null,
      exitCode: 137,
      outOfMemory: false,
      neverStarted: false,
    };
    this.#tasks[task.task - 1] = { ...task, state: "over", stop };
  }

  #change(uniqueId: string, word: Partial<VertexRow>): void {
    const ownerTask = currentProducer(this.#tasks)?.task ?? 1;
    const row = this.#rows.get(uniqueId) ?? { uniqueId, ownerTask, epoch: 0, tryTasks: [], lostTasks: [] };
    this.#rows.set(uniqueId, { ...row, ...word });
  }

  #settled(decision: Decision, turns: number): SimulatedEnd {
    must(this.#tasks.every(isOver), "the run is settled while a task lives");
    must(decision.launches.length === 0, "the run is settled and launches");
    must(this.#warehouse.violations.length === 0, this.#warehouse.violations.join("; "));
    const rows = [...this.#rows.values()];
    const { plan, policy } = this.#project;
    const given = verdict({ plan, rows, tasks: this.#tasks, policy, stopReason: null, selectsByState: false });
    this.#checkBounds(rows);
    this.#checkOrder();
    if (given.state === "green") this.#checkGreen();
    return { verdict: given, rows, tasks: this.#tasks, warehouse: this.#warehouse, turns, early: this.#early };
  }

  #checkBounds(rows: readonly VertexRow[]): void {
    const { policy } = this.#project;
    if (this.#mayRebuild) return;
    for (const row of rows) {
      const tries = row.tryTasks.filter((task) => !row.lostTasks.includes(task)).length;
      must(tries <= 4, `${row.uniqueId} was tried ${tries} times`);
      must(
        row.lostTasks.length <= policy.losses,
        `${row.uniqueId} was lost ${row.lostTasks.length} times and built again`,
      );
    }
  }

  /** A good child stands on its parents' last good builds. */
  #checkOrder(): void {
    for (const { uniqueId, gateParents, builds } of this.#project.plan.vertices) {
      const table = this.#warehouse.table(uniqueId);
      if (!table.good || !builds || !this.#counts(uniqueId)) continue;
      for (const parent of gateParents) {
        const above = this.#warehouse.table(parent);
        const stands = !above.good || !this.#project.vertices.get(parent)!.builds || above.builtAt < table.builtAt;
        must(stands, `${uniqueId} is good and older than its parent ${parent}`);
      }
    }
  }

  /** What has a last word is not good to the run, whatever stands there; a unit test reads no table. */
  #counts = (uniqueId: string): boolean =>
    !uniqueId.startsWith("unit_test.") && this.#rows.get(uniqueId)?.final === undefined;

  /**
   * An ephemeral that no selected vertex reads leaves nothing behind, whether it compiles or not: a gate through what the
   * selection leaves out is no reading of it.
   */
  #checkGreen(): void {
    const { plan, vertices } = this.#project;
    const reads = (id: string, seen = new Set<string>()): Set<string> => {
      for (const parent of vertices.get(id)!.parents) {
        if (vertices.get(parent)!.builds || seen.has(parent)) continue;
        seen.add(parent);
        reads(parent, seen);
      }
      return seen;
    };
    const read = new Set(plan.vertices.flatMap(({ uniqueId, builds }) => (builds ? [...reads(uniqueId)] : [])));
    for (const { uniqueId, builds } of plan.vertices)
      if (builds || read.has(uniqueId))
        must(this.#warehouse.table(uniqueId).good, `the run is green although ${uniqueId} is not good`);
  }
}

function must(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise);
}
