import type { TaskRow } from "#core/contracts/ledger.ts";
import { isDbt1 } from "#core/dbt/dbt-version.ts";
import { isDue } from "#core/run/deciding/claims.ts";
import { type Closing, closeRest, closings } from "#core/run/deciding/closing.ts";
import { type Decision, endOf, launch, nothing, type StepInput } from "#core/run/deciding/decision.ts";
import { freedEarly, hasWork, waveIsNear } from "#core/run/deciding/early-recovery.ts";
import { isBuiltWhole, windowMoves } from "#core/run/deciding/event-window.ts";
import { failedTogether } from "#core/run/deciding/failed-together.ts";
import { dueSingles } from "#core/run/deciding/fallbacks.ts";
import { hooksLaunch, startsAgain } from "#core/run/deciding/hooks.ts";
import { planless, producerLaunch, relaunchOfProducer, touched, unbegun } from "#core/run/deciding/producers.ts";
import { gatesAreGood, recoverySet, type Standing, unsettled } from "#core/run/deciding/recovery-set.ts";
import { brokenProject, quietUntilMs } from "#core/run/deciding/silent-tasks.ts";
import { afterBuild, beforeBuild } from "#core/run/deciding/steps.ts";
import { recoveryWave } from "#core/run/deciding/wave.ts";
import { FIRST_ROUND, type Round, tasksOfRound } from "#core/run/judging/rounds.ts";
import { currentProducer, isFailure, isOver, type VertexView, viewVertices } from "#core/run/judging/vertex-view.ts";
import { type Plan, takesOneWriter } from "#core/run/planning/plan.ts";

/**
 * The rule of the whole system: pure, and the only place that decides what is built, when, and when a run is over.
 * See docs/design.md, "The step", for its invariants; test/core/run/step.properties holds them on random graphs.
 */
export function step(asked: StepInput): Decision {
  const decision = beforeBuild(asked) ?? building(withoutCommands(asked));
  return decision.settle && asked.stopReason === null ? afterBuild(asked, decision) : decision;
}

/** No command owns a vertex: what is built is decided as if there were none. */
const withoutCommands = (input: StepInput): StepInput => ({
  ...input,
  tasks: input.tasks.filter(({ kind }) => kind !== "command"),
});

function building(input: StepInput): Decision {
  const live = input.tasks.filter((task) => !isOver(task));
  const producer = currentProducer(input.tasks);
  if (input.stopReason !== null) return stopping(input, live, input.stopReason);
  if (input.nowMs < (input.notBeforeMs ?? 0)) return nothing;
  if (producer === null) return launch(producerLaunch("The run begins."));
  if (!isOver(producer)) return meanwhile(input, live, producer);
  if (live.some((task) => task.kind === "plan")) return nothing;
  const relaunch = relaunchOfProducer(input, producer);
  if (relaunch) return relaunch;
  if (input.plan === null) return planless(input);
  return recover(input, input.plan, live, producer);
}

/** The run is being stopped: nothing more is launched, live tasks are ended, and the rest is not built. */
function stopping(input: StepInput, live: readonly TaskRow[], reason: string): Decision {
  if (live.length > 0) return { ...nothing, stopTasks: true };
  if (input.plan === null) return { ...nothing, settle: true };
  const views = viewVertices(input.plan, input.rows, input.tasks, input.round);
  const closed = closings(views, input.policy, currentProducer(input.tasks), null, undefined, input.round);
  return { ...nothing, finals: unwritten(closeRest(views, closed, reason), views), settle: true };
}

/** While the producer builds, only what it has left behind for good can be decided (`recovery: early`). */
function meanwhile(input: StepInput, live: readonly TaskRow[], producer: TaskRow): Decision {
  if (input.policy.recovery !== "early" || input.plan === null) return nothing;
  return recover(input, input.plan, live, producer);
}

function recover(input: StepInput, plan: Plan, live: readonly TaskRow[], producer: TaskRow): Decision {
  const round = input.round ?? FIRST_ROUND;
  const views = viewVertices(plan, input.rows, input.tasks, round);
  const tasks = tasksOfRound(input.tasks, round);
  const builds = !isOver(producer);
  const begun = builds || producer.round < round.number || producer.end?.inOrder || touched(input.rows);
  const forbidden = begun ? null : unbegun(producer);
  const gone = windowGone(plan, producer, input.nowMs, round);
  const closed = closings(views, input.policy, producer, forbidden, gone, round);
  const given = new Set(closed.keys());
  const free = freedEarly(views, input, plan, gone);
  const standing: Standing = { views: free, closed: given, unsettled: unsettled(free, given) };
  const quiet = quietUntilMs(tasks, input.rows, input.policy);
  const broken = brokenProject(tasks, input.rows);
  if (broken !== null) return silenced(views, closed, live, `Task ${broken.task} could not begin: ${endOf(broken)}`);
  if (quiet === null) {
    const reason = `Task after task ended before any node began; the last: ${endOf(input.tasks.at(-1)!)}`;
    return silenced(views, closed, live, reason);
  }
  const room = input.nowMs < quiet ? 0 : roomFor(plan, input.maxTasks, live);
  const groups = failedTogether(standing, input.policy);
  const grouped = new Set(groups.flatMap((group) => group.uniqueIds));
  // Deferred tests wait for open nodes: a place that is kept for them could be the one that those need.
  const reachable = groups.length > 0 ? new Set(recoverySet(standing, new Set(), grouped)) : grouped;
  const isNow = (id: string) => reachable.has(id) && isDue(standing.views.get(id)!, input, standing, plan);
  const due = groups.filter((group) => group.uniqueIds.every(isNow));
  const singles = dueSingles(input, standing, plan, room - Math.min(due.length, 1), grouped);
  const taken = new Set(singles.flatMap((single) => single.uniqueIds));
  const wave = recoveryWave(input, standing, plan, producer, taken, due);
  const isNear = due.length === 0 && waveIsNear(input, plan);
  const isPut = isNear || (builds && !hasWork(wave.launch, standing.views));
  const launches = [...singles, ...(wave.launch && !isPut && singles.length < room ? [wave.launch] : [])];
  const waveWaits = wave.launch !== null && launches.length === singles.length;
  // A build that was held and now waits for a place is not held anew.
  const heldSinceMs = wave.held ? (input.heldSinceMs ?? input.nowMs) : waveWaits ? input.heldSinceMs : null;
  if (launches.length > 0 || wave.held || waveWaits || awaited(standing)) {
    const startHooks = startsAgain(plan, input.tasks, input.policy);
    const told = startHooks ? launches.map((one) => ({ ...one, startHooks })) : launches;
    return { ...nothing, launches: told, finals: unwritten(closed, views), heldSinceMs };
  }
  return { ...nothing, ...withHooks(ending(views, closed, live), input, plan, views) };
}

/** Before the verdict: what of the project's on-run hooks is left to do (behaviour G30). */
function withHooks(
  end: Pick<Decision, "finals" | "settle">,
  input: StepInput,
  plan: Plan,
  views: ReadonlyMap<string, VertexView>,
): Pick<Decision, "finals" | "settle"> & Partial<Pick<Decision, "launches">> {
  const hooks = end.settle ? hooksLaunch(input, plan, views) : null;
  if (hooks === null) return end;
  return { finals: end.finals, settle: false, launches: hooks === "waits" ? [] : [hooks] };
}

/** Free places on the execution queue. A producer has its own, except where one process alone may write. */
export function roomFor(plan: Plan, maxTasks: number, live: readonly TaskRow[]): number {
  if (takesOneWriter(plan)) return 1 - live.length;
  return maxTasks - live.filter(({ kind, size }) => kind !== "producer" || size === "queue").length;
}

/**
 * dbt 2 can not be told to choose the batches of another moment: a microbatch model that it has not built yet would by
 * now leave some out, so that it stays unbuilt (behaviour G27), but in a full refresh. Of dbt 1 its container sees to that.
 */
function windowGone(plan: Plan, producer: TaskRow, nowMs: number, round: Round): (view: VertexView) => string | null {
  const startedAtMs = producer.startedAtMs;
  if (isDbt1(plan.dbtVersion) || startedAtMs === undefined) return () => null;
  return ({ plan: vertex }) =>
    !isBuiltWhole(vertex, round) && windowMoves([vertex], startedAtMs, nowMs) ? WINDOW_GONE : null;
}

const WINDOW_GONE =
  "Not built: dbt 2 would by now take later batches of it than when the run began, and leave those between missing. Start a run with --event-time-start and --event-time-end.";

/** No further task would begin: what is not good by now is given up. */
function silenced(
  views: ReadonlyMap<string, VertexView>,
  closed: ReadonlyMap<string, Closing>,
  live: readonly TaskRow[],
  reason: string,
): Decision {
  if (live.length > 0) return nothing;
  return { ...nothing, finals: unwritten(closeRest(views, closed, reason), views), settle: true };
}

/** Some vertex will be built again, or is in a live task: there is something to wait for. */
function awaited(standing: Standing): boolean {
  for (const [id, view] of standing.views) {
    if (standing.closed.has(id)) continue;
    if (!view.free && view.class !== "good") return true;
    if (isFailure(view) && gatesAreGood(view, standing)) return true;
  }
  return false;
}

/** Nothing can be launched and nothing is awaited: what is open is closed, and the run is over with its last task. */
function ending(
  views: ReadonlyMap<string, VertexView>,
  closed: ReadonlyMap<string, Closing>,
  live: readonly TaskRow[],
): Pick<Decision, "finals" | "settle"> {
  if (live.length > 0) return { finals: unwritten(closed, views), settle: false };
  return { finals: unwritten(closeRest(views, closed, "No build of this run could reach it."), views), settle: true };
}

const unwritten = (closed: ReadonlyMap<string, Closing>, views: ReadonlyMap<string, VertexView>): Closing[] =>
  [...closed.values()].filter((word) => views.get(word.uniqueId)?.row?.final !== word.final);
