import type { TaskRow } from "#core/contracts/ledger.ts";
import { counted } from "#core/counted.ts";
import { dueAtMs } from "#core/run/deciding/claims.ts";
import type { Decision, StepInput } from "#core/run/deciding/decision.ts";
import { freedEarly } from "#core/run/deciding/early-recovery.ts";
import { nextMomentMs } from "#core/run/deciding/next-moment.ts";
import { quietUntilMs } from "#core/run/deciding/silent-tasks.ts";
import { roomFor, step } from "#core/run/deciding/step.ts";
import { roundOf, tasksOfRound } from "#core/run/judging/rounds.ts";
import { stepsOf } from "#core/run/judging/run-steps.ts";
import { isFailure, isOver, letsThrough, type VertexView } from "#core/run/judging/vertex-view.ts";
import { type Plan, takesOneWriter } from "#core/run/planning/plan.ts";
import { iso } from "#core/run/reporting/report.ts";
import type { SummaryInput } from "#core/run/reporting/summary.ts";
import { stopReason } from "#core/run/watching/stop-reason.ts";

/** What a run that goes on is doing, who waits for whom, and when something is decided next. */
export interface LiveRun {
  /** dbt builds that are under way, or on their way. */
  readonly tasks: readonly LiveTask[];
  /** What dbt runs now, what is late against its usual time first. */
  readonly running: readonly RunningVertex[];
  /** Why the rest does not run, most urgent first; alike ones are one entry. */
  readonly waits: readonly Wait[];
  readonly next: { readonly at: string | null; readonly words: string };
  /** When the run is ended whatever it does. */
  readonly deadlineAt: string;
}

export interface LiveTask {
  readonly task: number;
  readonly kind: string;
  readonly state: string;
  readonly since: string;
  readonly forMs: number;
  /** Why it has not begun; null of one that runs. */
  readonly words: string | null;
}

export interface RunningVertex {
  readonly uniqueId: string;
  readonly task: number;
  readonly forMs: number;
  /** What it took in the project's last green run; null where that is not known. */
  readonly usualMs: number | null;
}

export interface Wait {
  readonly for:
    | "its_build"
    | "reach"
    | "retry_delay"
    | "parent"
    | "hold"
    | "place"
    | "quiet"
    | "turn"
    | "decision"
    | "plan";
  readonly words: string;
  /** When it is over, where that is known. */
  readonly until: string | null;
  readonly count: number;
  readonly first: readonly string[];
}

export type LiveInput = SummaryInput & { readonly usualMs: ReadonlyMap<string, number> };

/** Reads a run that goes on by the step itself: what that would launch now, and what holds back the rest. */
export function liveRun(input: LiveInput, views: ReadonlyMap<string, VertexView>): LiveRun {
  const { run, plan, nowMs } = input;
  const live = input.tasks.filter((task) => !isOver(task));
  const asked = stepInput(input);
  const decision = step(asked);
  const open = plan === null ? views : freedEarly(views, asked, plan, () => null);
  const waits = plan === null ? planWait(live) : waitsOf({ ...input, plan }, open, live, decision);
  return {
    tasks: live.map((task) => liveTask(task, nowMs)),
    running: runningNow(views, input),
    waits,
    next: nextDecision(input, asked, decision),
    deadlineAt: iso(run.deadlineAtMs)!,
  };
}

/** What check-run would ask the step at this moment. */
const stepInput = ({ run, plan, rows, tasks, nowMs }: LiveInput): StepInput => ({
  plan,
  rows,
  tasks,
  policy: run.settings.policy,
  maxTasks: run.settings.executionQueue.maxTasks,
  stopReason: stopReason(run, nowMs),
  heldSinceMs: run.heldSinceMs ?? null,
  nowMs,
  round: roundOf(run, plan),
  notBeforeMs: run.notBeforeMs ?? null,
  steps: stepsOf(run),
});

function liveTask(task: TaskRow, nowMs: number): LiveTask {
  const sinceMs = task.startedAtMs ?? task.claimedAtMs;
  return {
    task: task.task,
    kind: task.kind,
    state: task.state,
    since: iso(sinceMs)!,
    forMs: Math.max(0, nowMs - sinceMs),
    words: task.state === "running" ? null : launchWords(task),
  };
}

function launchWords(task: TaskRow): string {
  if (task.capacityRefusals !== undefined && task.capacityRefusals > 0)
    return `ECS has no room for it: ${counted(task.capacityRefusals, "launch", "launches")} refused, the last: ${task.lastLaunchFailure ?? "no reason given"}; it waits within the run's time`;
  if (task.launchFailures > 0)
    return `${counted(task.launchFailures, "start")} of it failed, the last: ${task.lastLaunchFailure ?? "no reason given"}`;
  return task.taskArn === undefined ? "is being launched" : "its container has not begun yet";
}

function runningNow(views: ReadonlyMap<string, VertexView>, { usualMs, nowMs }: LiveInput): RunningVertex[] {
  const running = [...views.values()].flatMap(({ class: cls, plan, row }) =>
    cls !== "running" || row?.startedAtMs === undefined || row.statusTask === undefined
      ? []
      : [
          {
            uniqueId: plan.uniqueId,
            task: row.statusTask,
            forMs: Math.max(0, nowMs - row.startedAtMs),
            usualMs: usualMs.get(plan.uniqueId) ?? null,
          },
        ],
  );
  const late = (one: RunningVertex) => one.forMs / Math.max(1, one.usualMs ?? one.forMs);
  return running.sort((a, b) => late(b) - late(a) || b.forMs - a.forMs);
}

/** Without a plan nobody knows who waits for whom. */
const planWait = (live: readonly TaskRow[]): Wait[] =>
  live.every(({ kind }) => kind === "command")
    ? []
    : [{ for: "plan", words: "dbt reads the project: there is no plan yet", until: null, count: 0, first: [] }];

interface Held {
  readonly plan: Plan;
  readonly views: ReadonlyMap<string, VertexView>;
  readonly live: readonly TaskRow[];
  readonly decision: Decision;
  readonly input: LiveInput;
  readonly closed: ReadonlySet<string>;
  readonly launched: ReadonlySet<string>;
  readonly quietMs: number;
  /** What each waits for in the end: the first above it that is not good and waits for nothing above itself. */
  readonly blockers: ReadonlyMap<string, VertexView>;
}

/** Views come in gate order, so that what a parent waits for is known before its children. */
function blockersOf(views: ReadonlyMap<string, VertexView>): Map<string, VertexView> {
  const blockers = new Map<string, VertexView>();
  for (const [id, view] of views) {
    const parent = view.plan.gateParents.find((up) => views.has(up) && !letsThrough(views.get(up)));
    if (parent !== undefined) blockers.set(id, blockers.get(parent) ?? views.get(parent)!);
  }
  return blockers;
}

/** Why one vertex does not run: `until` in milliseconds. */
type Reason = Pick<Wait, "for" | "words"> & { readonly untilMs?: number };

function waitsOf(
  input: LiveInput & { readonly plan: Plan },
  views: ReadonlyMap<string, VertexView>,
  live: readonly TaskRow[],
  decision: Decision,
): Wait[] {
  const { run, plan, rows } = input;
  const tasks = tasksOfRound(input.tasks, roundOf(run, plan));
  const written = [...views].filter(([, view]) => view.row?.final !== undefined).map(([id]) => id);
  const held: Held = {
    plan,
    views,
    live,
    decision,
    input,
    closed: new Set([...written, ...decision.finals.map((final) => final.uniqueId)]),
    launched: new Set(decision.launches.flatMap((launch) => launch.uniqueIds)),
    blockers: blockersOf(views),
    quietMs: quietUntilMs(tasks, rows, run.settings.policy) ?? 0,
  };
  const byReason = new Map<string, { reason: Reason; ids: string[] }>();
  for (const [id, view] of views) {
    const reason = reasonOf(view, held);
    if (reason === null) continue;
    const key = `${reason.for} ${reason.words}`;
    const known = byReason.get(key);
    if (known) known.ids.push(id);
    else byReason.set(key, { reason, ids: [id] });
  }
  const waits = [...byReason.values()].map(({ reason, ids }) => ({
    for: reason.for,
    words: reason.words,
    until: iso(reason.untilMs),
    count: ids.length,
    first: ids.slice(0, MOST_NAMED),
  }));
  return waits.sort((a, b) => URGENCY.indexOf(a.for) - URGENCY.indexOf(b.for));
}

/** Ids that a wait names. */
const MOST_NAMED = 5;

const URGENCY: readonly Wait["for"][] = [
  "turn",
  "retry_delay",
  "quiet",
  "hold",
  "place",
  "its_build",
  "decision",
  "parent",
  "reach",
  "plan",
];

function reasonOf(view: VertexView, held: Held): Reason | null {
  const { uniqueId } = view.plan;
  if (["good", "skipped", "running"].includes(view.class) || held.closed.has(uniqueId)) return null;
  if (held.launched.has(uniqueId)) return { for: "turn", words: "the run's next turn launches its build" };
  if (!view.free) return ofLiveBuild(view, held);
  const blocker = held.blockers.get(uniqueId);
  if (blocker !== undefined) return { for: "parent", words: `${blocker.plan.uniqueId} is not good yet` };
  if (isFailure(view)) return ofRetry(view, held);
  return ofRecovery(held);
}

/** Its build goes on: dbt has not come to it, or it failed and is the build's until that ends. */
function ofLiveBuild(view: VertexView, { blockers, input }: Held): Reason {
  const build = view.owner === null ? "its build" : `task ${view.owner.task} (${view.owner.kind})`;
  const early = input.run.settings.policy.recovery === "early" ? "it is safe beside that, or " : "";
  if (isFailure(view))
    return { for: "its_build", words: `failed in ${build}, and is decided about when ${early}that has ended` };
  if (view.class === "not_built")
    return { for: "its_build", words: `skipped by ${build}, and is decided about when that has ended` };
  const blocker = blockers.get(view.plan.uniqueId);
  if (blocker?.class === "running") return { for: "reach", words: `dbt builds ${blocker.plan.uniqueId} first` };
  return { for: "reach", words: `dbt has not come to it in ${build}` };
}

function ofRetry(view: VertexView, held: Held): Reason {
  const { input, plan } = held;
  const dueMs = dueAtMs(view, input.run.settings.policy, plan);
  if (dueMs > input.nowMs) return { for: "retry_delay", words: "is tried again after its delay", untilMs: dueMs };
  return ofPlace(held) ?? { for: "decision", words: "waits for what else is being built" };
}

function ofRecovery(held: Held): Reason {
  const { decision, input } = held;
  const policy = input.run.settings.policy;
  if (decision.heldSinceMs !== null && held.live.length === 0)
    return {
      for: "hold",
      words: "its recovery build is held back a moment for what is being tried again",
      untilMs: decision.heldSinceMs + policy.holdSeconds * 1000,
    };
  return (
    ofPlace(held) ?? {
      for: "decision",
      words: "is built in one recovery build, once what is being tried again has ended",
    }
  );
}

/** No place among the execution queue's tasks, or none may be launched for a while. */
function ofPlace({ plan, input, live, quietMs }: Held): Reason | null {
  if (quietMs > input.nowMs)
    return { for: "quiet", words: "task after task ended before any node began: the next one waits", untilMs: quietMs };
  const { maxTasks } = input.run.settings.executionQueue;
  if (roomFor(plan, maxTasks, live) > 0) return null;
  const words = takesOneWriter(plan)
    ? `waits for the task that runs: ${plan.adapterType} takes one writing process at a time`
    : `waits for a place: as many tasks run as may (executionQueue.maxTasks: ${maxTasks})`;
  return { for: "place", words };
}

function nextDecision({ run, nowMs }: LiveInput, asked: StepInput, decision: Decision): LiveRun["next"] {
  const soon = { at: null, words: "with the run's next turn, in seconds" };
  const stop = stopReason(run, nowMs);
  if (stop !== null) return { at: null, words: `the run is being stopped (${stop}), and is over when its tasks are` };
  if (decision.launches.length + decision.finals.length > 0 || decision.settle) return soon;
  const live = asked.tasks.filter((task) => !isOver(task));
  const launchesMs = live.map((task) => (task.state === "launching" && !task.taskArn ? (task.nextLaunchAtMs ?? 0) : 0));
  const moments = [nextMomentMs(asked) ?? 0, ...launchesMs].filter((ms) => ms > nowMs);
  if (moments.length > 0) return { at: iso(Math.min(...moments)), words: "with the first turn after that" };
  if (live.length > 0)
    return { at: null, words: `when ${live.map((task) => `task ${task.task}`).join(" or ")} has ended` };
  return soon;
}
