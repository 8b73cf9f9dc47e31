import { PROJECT_CAUSES, SIGNAL_CAUSES } from "#core/contracts/cause.ts";
import type { BuildEnd, TaskRow } from "#core/contracts/ledger.ts";
import type { Policy } from "#core/contracts/settings.ts";
import type { HookResult } from "#core/contracts/task-set.ts";
import { isDbt1 } from "#core/dbt/dbt-version.ts";
import { failureOf } from "#core/dbt/failure.ts";
import { KINDS } from "#core/dbt/failure-messages.ts";
import { classOfStatus, isTerminal } from "#core/dbt/status.ts";
import { backOffMs } from "#core/run/deciding/back-off.ts";
import type { LaunchDecision, StepInput } from "#core/run/deciding/decision.ts";
import { touched } from "#core/run/deciding/producers.ts";
import { FIRST_ROUND, tasksOfRound } from "#core/run/judging/rounds.ts";
import { letsThrough, overAtMs, type VertexView } from "#core/run/judging/vertex-view.ts";
import type { Plan } from "#core/run/planning/plan.ts";

type HookFailure = BuildEnd["hookFailures"][number];

/** A hook whose last word is that it failed, and the task that says so. */
export interface OpenFailure {
  readonly task: TaskRow;
  readonly hook: HookFailure;
}

/** How the project's on-run hooks stand in a run, by the ends of its tasks alone. */
export interface HooksStanding {
  /** The on-run-end hooks were all run by the process that was to run them last. */
  readonly ended: boolean;
  /** Of on-run-end hooks that one process did not get through: those that are done, as dbt names them. */
  readonly done: readonly string[];
  /** Failures that no later process has healed in which the same hooks ran well. */
  readonly failures: readonly OpenFailure[];
}

/**
 * Follows the run's processes in their order. A hook that failed is healed by a later process in which it ran well
 * (behaviour G30). With `hooks: once` no build runs end hooks but a producer that leaves nothing to be built; what is
 * built after them makes them stale.
 */
export function hooksStanding(plan: Plan | null, tasks: readonly TaskRow[], policy: Policy): HooksStanding {
  const once = policy.hooks === "once";
  const count = Math.max(1, plan?.endHookCount ?? 0);
  let ended = false;
  let done: readonly string[] = [];
  let starts: readonly OpenFailure[] = [];
  let ends: readonly OpenFailure[] = [];
  // By their ends: a build that recovers beside the producer ends before it.
  for (const task of tasks.toSorted((a, b) => overAtMs(a) - overAtMs(b))) {
    if (task.kind === "plan" || (task.startedAtMs === undefined && !task.end)) continue;
    const isHooks = task.kind === "hooks";
    if (once && !isHooks) [ended, done, ends] = [false, [], []];
    const { end } = task;
    if (!end) continue;
    const failed = (phase: HookFailure["phase"]) =>
      end.hookFailures.filter((hook) => hook.phase === phase).map((hook) => ({ task, hook }));
    const left = isHooks ? starts.filter((one) => !isRepeatable(one, task.round)) : [];
    starts = failed("start").length > 0 ? failed("start") : end.inOrder ? left : starts;
    const doneNow = isHooks ? [...new Set([...done, ...end.endHooksDone])] : end.endHooksDone;
    // Of dbt 1 at info an end in order is the proof that they ran; cut off after them, the log shows them as done. A
    // build of exposures alone selects nothing for dbt before 1.10 and dbt 2, which then run no hook.
    const isOwn = end.cause.kind !== "empty_selection" && (isHooks || !once);
    const ranAll = doneNow.length >= count || (end.inOrder && isOwn);
    if (failed("end").length > 0) [ended, done, ends] = [false, doneNow, failed("end")];
    else if (ranAll) [ended, done, ends] = [true, [], []];
    else if (isHooks || (once && doneNow.length > 0)) done = doneNow;
  }
  return { ended, done, failures: [...starts, ...ends] };
}

/**
 * Whether a start hook's failure is mended by running it alone in a round. While the first build's fails nothing is built by
 * it, or what was built stands on it: only a person's further round takes that up.
 */
const isRepeatable = ({ task }: OpenFailure, round: number): boolean => task.kind !== "producer" || task.round < round;

/**
 * Under `hooks: once` the builds of a later round run the project's on-run-start hooks where the first build's failed: what
 * they prepare is not there.
 */
export const startsAgain = (plan: Plan, tasks: readonly TaskRow[], policy: Policy): boolean =>
  policy.hooks === "once" && hooksStanding(plan, tasks, policy).failures.some(({ hook }) => hook.phase === "start");

/** The task that runs hooks alone, once nothing else is left to do; `waits`: its time has not come. Null: none is needed. */
export function hooksLaunch(
  input: StepInput,
  plan: Plan,
  views: ReadonlyMap<string, VertexView>,
): LaunchDecision | "waits" | null {
  const { policy, tasks, round = FIRST_ROUND } = input;
  // dbt 2 has no place in which it could be told to run them alone.
  if (!isDbt1(plan.dbtVersion) || !touched(input.rows)) return null;
  const standing = hooksStanding(plan, tasks, policy);
  const reason = whyHooks(standing, plan, policy, views, round.number);
  if (reason === null) return null;
  const tried = tasksOfRound(tasks, round).filter((task) => task.kind === "hooks");
  if (!mayTry(tried, standing, policy, round.number)) return null;
  const last = tried.at(-1);
  if (last && input.nowMs < overAtMs(last) + backOffMs(tried.length, policy)) return "waits";
  const start = standing.failures.some((one) => one.hook.phase === "start" && isRepeatable(one, round.number));
  const brief = { start, done: [...standing.done], results: resultsForHooks(views) };
  return { kind: "hooks", uniqueIds: [], claims: [], size: "queue", hooks: brief, reason };
}

/**
 * With `each` a run that is red anyway is not worth a task: its builds have run their hooks. With `once` they are run
 * whatever the vertices say, as dbt runs them after a failure.
 */
function whyHooks(
  { ended, failures }: HooksStanding,
  plan: Plan,
  policy: Policy,
  views: ReadonlyMap<string, VertexView>,
  round: number,
): string | null {
  const open = failures.filter(({ hook }) => counts(hook, policy));
  const starts = open.filter(({ hook }) => hook.phase === "start");
  if (policy.hooks === "each" && starts.some((one) => !isRepeatable(one, round))) return null;
  const neverRan = plan.endHooks && !ended && failures.every(({ hook }) => hook.phase === "start");
  if (policy.hooks === "once") {
    if (neverRan) return "hooks: once: on-run-end hooks run when nothing is left to be built.";
  } else {
    if (![...views.values()].every(letsThrough)) return null;
    if (neverRan && policy.hookFailure === "red") return "No dbt process came to the project's on-run-end hooks.";
  }
  const first = open.find((one) => (one.hook.phase === "end" ? plan.endHooks : isRepeatable(one, round)));
  return first
    ? `The on-run-${first.hook.phase} hook ${first.hook.name} failed in task ${first.task.task}: it is run alone.`
    : null;
}

/** Whether a hook's failure makes a run red. */
export const counts = ({ phase }: Pick<HookFailure, "phase">, policy: Policy): boolean =>
  phase === "start" || policy.hookFailure === "red";

/**
 * As many tries as a node has; a process that was killed uses none of them, and has the bound of losses. What comes to
 * the same each time is not repeated within a round, unless a build saw less than the whole run's results.
 */
function mayTry(tried: readonly TaskRow[], { failures }: HooksStanding, policy: Policy, round: number): boolean {
  const isLost = ({ end }: TaskRow) => end === undefined || SIGNAL_CAUSES.has(end.cause.kind);
  const lost = tried.filter(isLost).length;
  if (lost > policy.losses || tried.length - lost > policy.retries.node) return false;
  if (tried.some(({ end }) => end && (PROJECT_CAUSES.has(end.cause.kind) || end.cause.kind === "environment")))
    return false;
  return !failures.some(
    ({ task, hook }) =>
      task.round >= round && (task.kind === "producer" || task.kind === "hooks") && isDeterministic(hook, policy),
  );
}

function isDeterministic({ message }: HookFailure, policy: Policy): boolean {
  if (policy.retryOn === "all") return false;
  const failure = failureOf(message, null, policy.failureMessages);
  return failure !== null && KINDS[failure.kind].deterministic;
}

/** How every vertex of the run ended, whichever build built it, as dbt's own `results` would have it (behaviour G30, H9). */
export function resultsForHooks(views: ReadonlyMap<string, VertexView>): HookResult[] {
  return [...views.values()].flatMap((view) => {
    const { plan, row } = view;
    const status = wordForHooks(view);
    if (status === null) return [];
    const isOwn = status === row?.status;
    return {
      uniqueId: plan.uniqueId,
      status,
      task: isOwn ? (row?.statusTask ?? null) : null,
      ...(isOwn && row?.startedAtMs !== undefined ? { startedAtMs: row.startedAtMs } : {}),
      ...(isOwn && row?.endedAtMs !== undefined ? { endedAtMs: row.endedAtMs } : {}),
      ...(isOwn && row?.executionSeconds !== undefined ? { executionSeconds: row.executionSeconds } : {}),
      ...(isOwn && row?.failures !== undefined ? { failures: row.failures } : {}),
      ...(isOwn && row?.rowsAffected !== undefined ? { rowsAffected: row.rowsAffected } : {}),
      ...messageForHooks(view, isOwn),
    };
  });
}

/** Null: dbt has no result of it either (what it never builds, what our own policy leaves out). */
function wordForHooks({ class: cls, plan, row }: VertexView): string | null {
  if (cls === "skipped") return null;
  const word = row?.status;
  if (cls === "good") return word !== undefined && isTerminal(word) ? word : null;
  if (cls === "interrupted") return "error";
  if (cls === "failed")
    return word !== undefined && isTerminal(word) && classOfStatus(word) === "failed" ? word : "error";
  return plan.builds ? "skipped" : null;
}

function messageForHooks({ class: cls, row }: VertexView, isOwn: boolean): { message?: string } {
  if (isOwn && row?.message !== undefined) return { message: row.message };
  if (row?.finalReason) return { message: row.finalReason };
  return cls === "interrupted" ? { message: "Its build was cut off while it ran." } : {};
}
