import type { RunRow, TaskRow } from "#core/contracts/ledger.ts";
import type { StepInput } from "#core/run/deciding/decision.ts";
import { nextMomentMs } from "#core/run/deciding/next-moment.ts";
import { roundOf } from "#core/run/judging/rounds.ts";
import { viewVertices } from "#core/run/judging/vertex-view.ts";
import { nextOverdueMs } from "./node-timeout.ts";
import { hasTurnsToSpare } from "./spent-turns.ts";
import { lastSignMs } from "./task-watch.ts";

/**
 * When the run's loop has to look next although nothing has been said (`watch: wake`). `exactMs`: time itself decides
 * something then. `roughlyMs`: ECS is to be asked about a task then, which may be a little later. Null: never.
 */
export interface NextLook {
  readonly exactMs: number | null;
  readonly roughlyMs: number | null;
}

/**
 * How often ECS is asked of a task that is on its way to the fence, since nothing in the ledger tells that it never
 * came: starts take 20 to 60 s on Fargate. Milliseconds.
 */
const START_LOOK_MS = 15_000;

/**
 * How often ECS is asked of a task that stays silent though it runs: its heartbeats are lost, or its host's clock is
 * slow. Each second would spend the turns that wakes need. Milliseconds.
 */
const SILENT_LOOK_MS = 15_000;

/** What time decides is found so exactly; of more vertices to the second, since each step over 23,000 takes a quarter of one. */
const EXACT_MS = 100;
const EXACT_UP_TO_VERTICES = 5_000;

/** A state waits whole seconds. */
const SECOND_MS = 1_000;

/** What the next look is found from, as a check has read it. */
export interface Looked {
  readonly run: RunRow;
  readonly tasks: readonly TaskRow[];
  /** What the step was asked; null where it was not, since no vertex was read: nothing of it changes by time alone. */
  readonly asked: StepInput | null;
  readonly nowMs: number;
  /** No further than this. Milliseconds. */
  readonly horizonMs: number;
}

export function nextLook(looked: Looked): NextLook {
  const { run, tasks, asked, nowMs, horizonMs } = looked;
  const { lostAfterSeconds } = run.settings.policy;
  const live = tasks.filter((task) => task.state !== "over");
  const launches = live.flatMap((task) =>
    task.state === "launching" && task.taskArn === undefined ? [task.nextLaunchAtMs ?? nowMs] : [],
  );
  const exactnessMs = (asked?.plan?.vertices.length ?? 0) > EXACT_UP_TO_VERTICES ? SECOND_MS : EXACT_MS;
  const bySteps = asked === null ? null : nextMomentMs(asked, horizonMs, exactnessMs);
  // Once it is obeyed, the ends of what it stops wake the run; one that came after the look had its reasons still counts.
  const isObeyed = run.deadlineAtMs <= nowMs && asked !== null && asked.stopReason !== null;
  const deadline = isObeyed ? [] : [run.deadlineAtMs];
  const exact = [...deadline, ...launches, ...(bySteps === null ? [] : [bySteps]), ...overdueMs(looked)];
  const roughly = live.flatMap((task) => {
    if (task.state === "launching" && task.taskArn !== undefined) return [nowMs + START_LOOK_MS];
    if (task.state !== "running") return [];
    const silentAtMs = lastSignMs(task) + lostAfterSeconds * 1_000;
    return [silentAtMs > nowMs ? silentAtMs : nowMs + SILENT_LOOK_MS];
  });
  return { exactMs: soonest(exact, nowMs), roughlyMs: soonest(roughly, nowMs) };
}

function overdueMs({ run, asked, nowMs }: Looked): number[] {
  if (asked === null || asked.plan === null) return [];
  const { policy } = run.settings;
  if (policy.nodeTimeoutMinutes === undefined && !asked.plan.vertices.some((one) => one.overrides.timeoutMinutes))
    return [];
  const views = viewVertices(asked.plan, asked.rows, asked.tasks, roundOf(run, asked.plan));
  const next = nextOverdueMs(views.values(), policy, nowMs);
  return next === null ? [] : [next];
}

const soonest = (moments: readonly number[], nowMs: number): number | null =>
  moments.length === 0 ? null : Math.max(nowMs, Math.min(...moments));

/**
 * Seconds that the loop is to wait instead of `waitSeconds`, or null: let it wait. A wait is cut for what time decides,
 * and for ECS only where it would be asked much too late, since each cut is a turn of its own; a short one is drawn out
 * once nothing is near, or where a check takes too long for it.
 */
export function otherWait(
  look: NextLook,
  present: {
    readonly waitSeconds: number;
    readonly netSeconds: number;
    readonly averageSeconds: number;
    /** Less than this it may not wait. */
    readonly leastSeconds: number;
  },
  run: RunRow,
  nowMs: number,
): number | null {
  const { waitSeconds, netSeconds, averageSeconds, leastSeconds } = present;
  const seconds = (atMs: number | null) =>
    atMs === null ? netSeconds : Math.min(netSeconds, Math.max(leastSeconds, Math.ceil((atMs - nowMs) / 1_000)));
  const isSpare = hasTurnsToSpare(run, nowMs, averageSeconds);
  const exact = isSpare ? seconds(look.exactMs) : netSeconds;
  const roughly = isSpare ? seconds(look.roughlyMs) : netSeconds;
  const wanted = Math.min(exact, roughly);
  if (waitSeconds < leastSeconds || exact < waitSeconds || roughly < waitSeconds / 2) return wanted;
  return wanted > waitSeconds && wanted >= Math.min(netSeconds, 2 * waitSeconds) ? wanted : null;
}

/**
 * How a wait until a moment between two whole seconds is waited: what is beyond them passes before the turn is answered,
 * while its own state still waits, and the rest in the next one. Without it a retry would come up to a second late.
 * @param seconds the wait in whole seconds, rounded up ({@link otherWait})
 * @param turnEndsMs when the present turn's wait is over by itself. Milliseconds
 */
export function toTheMoment(
  { seconds, exactMs }: { readonly seconds: number; readonly exactMs: number | null },
  { leastSeconds, turnEndsMs }: { readonly leastSeconds: number; readonly turnEndsMs: number },
  nowMs: number,
): { readonly waitSeconds: number; readonly afterMs?: number } {
  const beyondMs = exactMs === null ? 0 : (exactMs - nowMs) % SECOND_MS;
  const isForIt = exactMs !== null && Math.ceil((exactMs - nowMs) / SECOND_MS) === seconds && beyondMs > 0;
  if (!isForIt || seconds <= leastSeconds || nowMs + beyondMs + SECOND_MS > turnEndsMs) return { waitSeconds: seconds };
  return { waitSeconds: seconds - 1, afterMs: beyondMs };
}
