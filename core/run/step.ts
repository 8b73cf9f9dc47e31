import type { TaskRow } from "#core/contracts/ledger.ts";
import { isDbt1 } from "#core/dbt/dbt-version.ts";
import { isDue } from "#core/run/claims.ts";
import { type Closing, closeRest, closings } from "#core/run/closing.ts";
import { type Decision, endOf, launch, nothing, type StepInput } from "#core/run/decision.ts";
import { windowMoves } from "#core/run/event-window.ts";
import { failedTogether } from "#core/run/failed-together.ts";
import { dueSingles } from "#core/run/fallbacks.ts";
import { type Plan, SINGLE_WRITERS } from "#core/run/plan.ts";
import { planless, producerLaunch, relaunchOfProducer, touched, unbegun } from "#core/run/producers.ts";
import { gatesAreGood, recoverySet, type Standing } from "#core/run/recovery-set.ts";
import { brokenProject, quietUntilMs } from "#core/run/silent-tasks.ts";
import { currentProducer, isFailure, isOver, type VertexView, viewVertices } from "#core/run/vertex-view.ts";
import { recoveryWave } from "#core/run/wave.ts";

/**
 * The rule of the whole system: pure, and the only place that decides what is built, when, and when a run is over.
 * See docs/design.md, "The step", for its invariants; test/core/run/step.properties holds them on random graphs.
 */
export function step(input: StepInput): Decision {
  const live = input.tasks.filter((task) => !isOver(task));
  const producer = currentProducer(input.tasks);
  if (input.stopReason !== null) return stopping(input, live, input.stopReason);
  if (producer === null) return launch(producerLaunch("The run begins."));
  if (!isOver(producer)) return nothing;
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
  const views = viewVertices(input.plan, input.rows, input.tasks);
  const closed = closings(views, input.policy, currentProducer(input.tasks));
  return { ...nothing, finals: unwritten(closeRest(views, closed, reason), views), settle: true };
}

function recover(input: StepInput, plan: Plan, live: readonly TaskRow[], producer: TaskRow): Decision {
  const views = viewVertices(plan, input.rows, input.tasks);
  const begun = producer.end?.inOrder || touched(input.rows);
  const forbidden = begun ? null : unbegun(producer);
  const closed = closings(views, input.policy, producer, forbidden, windowGone(plan, producer, input.nowMs));
  const standing: Standing = { views, closed: new Set(closed.keys()) };
  const cap = SINGLE_WRITERS.has(plan.adapterType ?? "") ? 1 : input.maxTasks;
  const quiet = quietUntilMs(input.tasks, input.rows, input.policy);
  const broken = brokenProject(input.tasks, input.rows);
  if (broken !== null) return silenced(views, closed, live, `Task ${broken.task} could not begin: ${endOf(broken)}`);
  if (quiet === null) {
    const reason = `Task after task ended before any node began; the last: ${endOf(input.tasks.at(-1)!)}`;
    return silenced(views, closed, live, reason);
  }
  const room = input.nowMs < quiet ? 0 : cap - live.length;
  const groups = failedTogether(standing, input.policy);
  const grouped = new Set(groups.flatMap((group) => group.uniqueIds));
  // Deferred tests wait for open nodes: a place that is kept for them could be the one that those need.
  const reachable = groups.length > 0 ? new Set(recoverySet(standing, new Set(), grouped)) : grouped;
  const isNow = (id: string) => reachable.has(id) && isDue(views.get(id)!, input, standing, plan);
  const due = groups.filter((group) => group.uniqueIds.every(isNow));
  const singles = dueSingles(input, standing, plan, room - Math.min(due.length, 1), grouped);
  const taken = new Set(singles.flatMap((single) => single.uniqueIds));
  const wave = recoveryWave(input, standing, plan, producer, taken, due);
  const launches = [...singles, ...(wave.launch && singles.length < room ? [wave.launch] : [])];
  const waveWaits = wave.launch !== null && launches.length === singles.length;
  const heldSinceMs = wave.held ? (input.heldSinceMs ?? input.nowMs) : null;
  if (launches.length > 0 || wave.held || waveWaits || awaited(standing)) {
    return { ...nothing, launches, finals: unwritten(closed, views), heldSinceMs };
  }
  return { ...nothing, ...ending(views, closed, live) };
}

/**
 * dbt 2 can not be told to choose the batches of another moment: a microbatch model that it has not built yet would by
 * now leave some out, so that it stays unbuilt (behaviour G27). Of dbt 1 its container sees to that.
 */
function windowGone(plan: Plan, producer: TaskRow, nowMs: number): (view: VertexView) => string | null {
  const startedAtMs = producer.startedAtMs;
  if (isDbt1(plan.dbtVersion) || startedAtMs === undefined) return () => null;
  return ({ plan: vertex }) => (windowMoves([vertex], startedAtMs, nowMs) ? WINDOW_GONE : null);
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
