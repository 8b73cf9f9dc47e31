import { type Cause, WHOLE_RUN_CAUSES } from "#core/contracts/cause.ts";
import type { TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import type { Policy } from "#core/contracts/settings.ts";
import { counted } from "#core/counted.ts";
import { NEVER_REACHED } from "#core/dbt/close-log.ts";
import { NODE_TYPES, TEST_TYPES } from "#core/dbt/resource-types.ts";
import { classOfStatus, isTerminal } from "#core/dbt/status.ts";
import { endOf } from "#core/run/deciding/decision.ts";
import { counts, hooksStanding } from "#core/run/deciding/hooks.ts";
import { FIRST_ROUND, type Round } from "#core/run/judging/rounds.ts";
import { failedSteps, lineOf, openSteps, type RunStep, type RunSteps } from "#core/run/judging/run-steps.ts";
import { doubtSentence } from "#core/run/judging/silence.ts";
import { currentProducer, isFailure, type VertexView, viewVertices } from "#core/run/judging/vertex-view.ts";
import type { Plan } from "#core/run/planning/plan.ts";
import { stoppedSentence } from "#core/run/watching/stop-reason.ts";
import { stopWords } from "#core/run/watching/task-stop.ts";

/** What is wrong with a run, one entry per root cause: a failed test is one, not one for each vertex that it gates. */
export interface RunCause {
  readonly kind: "vertex" | "run";
  readonly uniqueId?: string;
  readonly sentence: string;
  readonly nextStep?: string;
  readonly lines: readonly string[];
  /** Vertices that are not built because of it. */
  readonly gates: number;
}

export interface Verdict {
  readonly state: "green" | "red" | "stopped";
  readonly sentence: string;
  readonly causes: readonly RunCause[];
}

/**
 * The verdict. Green only if every planned vertex is good by evidence and nothing else is wrong: what nobody reported
 * is never green. Consumers are not asked (behaviour F16).
 */
export function verdict(asked: VerdictInput): Verdict {
  const { steps } = asked;
  if (steps == null) return verdictOfBuild(asked);
  const tasks = asked.tasks.filter(({ kind }) => kind !== "command");
  const failed = failedSteps(steps, asked).map(({ step, task }) => ({
    ...ofCause(task.end?.cause ?? { kind: "launch", sentence: stopSentence(task), lines: [] }, stepSentence(step)),
  }));
  const begins = currentProducer(tasks) !== null;
  if (steps.alone || (failed.length > 0 && !begins)) return verdictOfSteps(steps, asked, failed);
  const build = verdictOfBuild({ ...asked, tasks });
  if (failed.length > 0) return withSteps(build, failed, asked.stopReason);
  const left = build.state === "green" ? openSteps(steps, asked) : [];
  return left.length === 0 ? build : unfinished(left, asked, build.causes);
}

/** Of a run that builds nothing, or has not come to it. */
function verdictOfSteps(steps: RunSteps, { fault, ...asked }: VerdictInput, failed: readonly RunCause[]): Verdict {
  if (fault !== undefined)
    return { state: "red", sentence: fault, causes: [{ ...ofRun(fault), nextStep: FAULT_STEP }, ...failed] };
  const left = openSteps(steps, asked);
  // A command that somebody has stopped fails by that.
  if (asked.stopReason !== null && left.length + failed.length > 0)
    return { state: "stopped", sentence: stoppedSentence(asked.stopReason), causes: [...failed] };
  if (failed.length > 0) return { state: "red", sentence: redSentence(failed, 0), causes: [...failed] };
  if (left.length > 0) return unfinished(left, asked, []);
  return { state: "green", sentence: `${steps.before.map(lineOf).join(", ")} ended well.`, causes: [] };
}

const stepSentence = (step: RunStep): string =>
  step.where === "alone" ? "" : `${lineOf(step)}, a step ${step.where} the build, failed:`;

function withSteps(build: Verdict, failed: readonly RunCause[], stopReason: string | null): Verdict {
  const causes = [...build.causes, ...failed];
  if (build.state === "stopped") return { ...build, causes };
  // A step that somebody has stopped fails by that.
  if (build.state === "green" && stopReason !== null)
    return { state: "stopped", sentence: stoppedSentence(stopReason), causes };
  return build.state === "red"
    ? { ...build, causes }
    : { state: "red", sentence: `Every vertex is as it should be, and ${redSentence(failed, 0)}`, causes };
}

function unfinished(left: readonly RunStep[], { stopReason }: VerdictInput, causes: readonly RunCause[]): Verdict {
  const sentence = `${left.map(lineOf).join(", ")} was not run.`;
  if (stopReason !== null)
    return { state: "stopped", sentence: stoppedSentence(stopReason), causes: [...causes, ofRun(sentence)] };
  return { state: "red", sentence, causes: [...causes, ofRun(sentence)] };
}

/** What a verdict is made of. */
export interface VerdictInput {
  readonly plan: Plan | null;
  readonly rows: readonly VertexRow[];
  readonly tasks: readonly TaskRow[];
  readonly policy: Policy;
  readonly stopReason: string | null;
  /** What the run could not go on with, whatever its vertices say (behaviour D19). */
  readonly fault?: string | undefined;
  readonly selectsByState: boolean;
  /** Commands around the build, or instead of it; unset: there are none. */
  readonly steps?: RunSteps | null;
  /** Unset: the first of a run of its own. */
  readonly round?: Round;
}

/** The verdict on what is built alone: whether steps follow it is decided by it. */
export function verdictOfBuild(input: VerdictInput): Verdict {
  const producer = currentProducer(input.tasks);
  const { plan, rows, tasks, round = FIRST_ROUND } = input;
  const views = plan ? viewVertices(plan, rows, tasks, round) : new Map<string, VertexView>();
  const runCauses = causesOfRun(input, producer !== null && producer.round < round.number ? null : producer, round);
  const known = [...runCauses, ...causesOfVertices(views), ...causesOfUnplanned(input.plan, input.rows)];
  const causes = known.length > 0 ? known : causesOfNotBuilt(views);
  const bad = [...views.values()].filter((view) => view.class !== "good" && view.class !== "skipped").length;
  if (input.fault !== undefined) {
    const cause = { ...ofRun(input.fault), nextStep: FAULT_STEP };
    return { state: "red", sentence: input.fault, causes: [cause, ...causes] };
  }
  if (input.stopReason !== null && (bad > 0 || input.plan === null))
    return { state: "stopped", sentence: stoppedSentence(input.stopReason), causes };
  const lost = causes.length === 0 && bad === 0 ? lostEndHooks(input) : null;
  if (lost !== null) return { state: "red", sentence: lost.sentence, causes: [lost] };
  if (causes.length === 0 && bad === 0) return { state: "green", sentence: greenSentence(views), causes };
  if (causes.length === 0)
    return { state: "red", sentence: `${counted(bad, "vertex has", "vertices have")} no result.`, causes };
  return { state: "red", sentence: redSentence(causes, bad), causes };
}

const FAULT_STEP =
  "Mend what is named there (a permission, a role, a subnet, a resource that was deleted) and start a run; if nothing of the kind is named, it is a defect of stepwatch.";

function greenSentence(views: ReadonlyMap<string, VertexView>): string {
  const retried = [...views.values()].filter((view) => view.allTries > 1).length;
  const marked = [...views.values()].filter((view) => view.marked).length;
  if (views.size === 0) return "The selection found nothing to build, which this run allows.";
  const byHand = marked > 0 ? `, ${marked} of them by a person's word (green by hand)` : "";
  const skipped = [...views.values()].filter((view) => view.class === "skipped");
  const good = views.size - skipped.length;
  const why = skipped[0]?.plan.leftOut ?? "marked to be skipped.";
  const out = skipped.length > 0 ? ` ${counted(skipped.length, "vertex was", "vertices were")} left out: ${why}` : "";
  if (good === 0) return `Nothing was built.${out}`;
  return `Every one of ${good} vertices is good${retried > 0 ? `, ${retried} after a retry` : ""}${byHand}.${out}`;
}

function redSentence(causes: readonly RunCause[], bad: number): string {
  const first = causes[0]!;
  const rest = causes.length > 1 ? ` (and ${counted(causes.length - 1, "more cause")})` : "";
  return `${bad > 0 ? `${counted(bad, "vertex is", "vertices are")} not good: ` : ""}${first.sentence}${rest}`;
}

function causesOfRun(input: VerdictInput, producer: TaskRow | null, round: Round): RunCause[] {
  const causes: RunCause[] = [];
  const end = producer?.end;
  const stopped = input.stopReason !== null;
  if (!producer && !stopped && (!round.goesOn || input.plan === null))
    causes.push(ofRun("The run ended before its producer was launched."));
  if (producer && !end && producer.stop && input.plan === null) causes.push(ofRun(stopSentence(producer)));
  if (end && end.cause.kind === "empty_selection") {
    const hasDeferred = input.plan?.vertices.some((vertex) => vertex.deferred) === true;
    if (!hasDeferred && !input.policy.allowEmpty && !input.selectsByState) causes.push(ofCause(end.cause));
  } else if (end && WHOLE_RUN_CAUSES.has(end.cause.kind) && !end.lostWarehouse) causes.push(ofCause(end.cause));
  else if (end && input.plan === null) causes.push(ofCause(end.cause, "The plan of the run is not known."));
  if (
    input.plan &&
    input.plan.vertices.length === 0 &&
    end?.cause.kind !== "empty_selection" &&
    !input.policy.allowEmpty &&
    !input.selectsByState
  ) {
    causes.push(ofRun("The selection found nothing to build."));
  }
  return [...causes, ...causesOfBuilds(input, round)];
}

/** Hooks that failed, and exit codes that no vertex of their build explains (B10, B11). */
function causesOfBuilds(input: VerdictInput, round: Round): RunCause[] {
  const causes = new Map<string, RunCause>();
  const hooks = hooksStanding(input.plan, input.tasks, input.policy);
  for (const { hook } of hooks.failures.filter(({ hook }) => counts(hook, input.policy)))
    causes.set(`hook ${hook.name}`, {
      ...ofRun(`The on-run-${hook.phase} hook ${hook.name} failed: ${hook.message}`),
      nextStep:
        hook.phase === "end"
          ? "Mend the hook; hookFailure: warn keeps a failed on-run-end hook from making a run red."
          : "Mend the hook, or what it needs: nothing is built while it fails, or what was built stands as it ended.",
    });
  for (const task of input.tasks) {
    const isHealed = isHealedSince(task, input.tasks, round) || (task.kind === "hooks" && hooks.ended);
    if (task.end?.cause.kind === "unexplained_exit" && !isHealed)
      causes.set(`exit ${task.task}`, ofCause(task.end.cause, `Task ${task.task}:`));
    for (const { uniqueId, status } of (task.end?.strays ?? []).filter(
      (stray) => !isBuiltSince(stray, task, input.rows),
    ))
      causes.set(`stray ${uniqueId}`, {
        ...ofRun(`Task ${task.task} (${task.kind}) ended ${uniqueId} as ${status}, which was not in its set.`),
        nextStep:
          "Its table may not be what its last good build has left: build it again, and report this as a defect.",
      });
  }
  return [...causes.values()];
}

/** A build of an earlier round, and one of this round that ran its hooks and came to its end in order. */
const isHealedSince = ({ task, round: of }: TaskRow, tasks: readonly TaskRow[], round: Round): boolean =>
  of < round.number &&
  tasks.some((later) => later.task > task && later.round >= round.number && later.end?.inOrder && ranWell(later));

const ranWell = ({ kind, end }: TaskRow): boolean =>
  kind !== "plan" && end?.hookFailures.length === 0 && end.cause.kind !== "unexplained_exit";

const isBuiltSince = ({ uniqueId }: { uniqueId: string }, { task }: TaskRow, rows: readonly VertexRow[]): boolean =>
  rows.some((row) => row.uniqueId === uniqueId && (row.statusTask ?? 0) > task);

const NO_END = "No dbt process of the run came to its end";

/**
 * dbt runs its on-run-end hooks last of all: where each of a run's processes was cut off, none has (B11). Asked only
 * where all else is well; otherwise it is a consequence.
 */
function lostEndHooks({ plan, tasks, policy }: VerdictInput): RunCause | null {
  if (plan?.endHooks !== true || policy.hookFailure === "warn") return null;
  // dbt runs no hook either where it finds nothing to build.
  if (!plan.vertices.some((vertex) => vertex.builds && vertex.leftOut === undefined)) return null;
  const builds = tasks.filter((task) => task.kind !== "plan" && task.startedAtMs !== undefined);
  // Cut off after its hooks, as its log shows: nothing that is done is to be done again by hand.
  if (builds.length === 0 || hooksStanding(plan, tasks, policy).ended) return null;
  const done = builds.map((task) => task.end?.endHooksDone ?? []);
  const most = done.reduce((a, b) => (b.length > a.length ? b : a), []);
  const others = most.length > 0 ? "the others of them do" : "they do";
  const told = most.length > 0 ? ` (done by the log: ${most.join(", ")})` : "";
  const alone = builds.findLast((task) => task.kind === "hooks");
  const why = alone ? `Task ${alone.task}, which was to run hooks alone, did not: ${endOf(alone)}` : NO_END;
  return {
    ...ofRun(`${why}: the project's on-run-end hooks were not all run${told}.`),
    nextStep: `Do by hand what ${others}, or run again; hookFailure: warn lets such a run be green.`,
  };
}

const stopSentence = (task: TaskRow): string =>
  `Task ${task.task} (${task.kind}) ended before dbt said anything: ${(task.stop ? stopWords(task.stop) : task.lastLaunchFailure) ?? "no reason given"}.`;

const ofRun = (sentence: string): RunCause => ({ kind: "run", sentence, lines: [], gates: 0 });

const ofCause = (cause: Cause, before?: string): RunCause => ({
  kind: "run",
  sentence: before ? `${before} ${cause.sentence}` : cause.sentence,
  ...(cause.nextStep ? { nextStep: cause.nextStep } : {}),
  lines: cause.lines,
  gates: 0,
});

function causesOfVertices(views: ReadonlyMap<string, VertexView>): RunCause[] {
  const gates = new Map<string, number>();
  for (const view of views.values()) {
    const root = view.row?.rootCause;
    if (view.row?.final === "doomed" && root) gates.set(root, (gates.get(root) ?? 0) + 1);
  }
  const causes: RunCause[] = [];
  for (const [id, view] of views) {
    if (!isFailure(view) && view.row?.final !== "dead") continue;
    const said = view.row?.message?.split("\n").slice(0, 6).join("\n") ?? doubtSentence(view);
    const words = [said, view.row?.finalReason].filter(Boolean).join("\n");
    causes.push({
      kind: "vertex",
      uniqueId: id,
      sentence: `${id} ${view.class === "interrupted" ? "was interrupted" : "failed"}: ${words || view.row?.status || "no message"}`,
      lines: [],
      gates: gates.get(id) ?? 0,
    });
  }
  return causes.sort((a, b) => b.gates - a.gates);
}

/** Where nothing failed and yet not all is built (no task would start, dbt died each time): why it was given up. */
function causesOfNotBuilt(views: ReadonlyMap<string, VertexView>): RunCause[] {
  const reasons = new Map<string, number>();
  for (const { row } of views.values()) {
    if (row?.final === "not_built" && row.finalReason)
      reasons.set(row.finalReason, (reasons.get(row.finalReason) ?? 0) + 1);
  }
  return [...reasons].map(([reason, gates]) => ({ ...ofRun(reason), gates }));
}

/**
 * A vertex that the plan does not have and that dbt reported as failed, or skipped: never a green run (A14). No recovery
 * build has it, so that it stays skipped although its parent has recovered.
 */
function causesOfUnplanned(plan: Plan | null, rows: readonly VertexRow[]): RunCause[] {
  const planned = new Set(plan?.vertices.map((vertex) => vertex.uniqueId));
  return rows
    .filter(
      (row) =>
        !planned.has(row.uniqueId) &&
        row.status !== undefined &&
        (isOpenOrFailed(row) || (plan !== null && isPassedOver(row))),
    )
    .map((row) => ({
      kind: "vertex" as const,
      uniqueId: row.uniqueId,
      sentence: `${row.uniqueId}, which the plan does not have, ended as ${row.status}: ${row.message ?? ""}`.trim(),
      lines: [],
      gates: 0,
    }));
}

const isOpenOrFailed = ({ status = "" }: VertexRow): boolean =>
  !isTerminal(status) || ["failed", "interrupted"].includes(classOfStatus(status));

const isPassedOver = ({ status = "", resourceType = "", message }: VertexRow): boolean =>
  classOfStatus(status) === "not_built" &&
  (NODE_TYPES.has(resourceType) || TEST_TYPES.has(resourceType)) &&
  message !== NEVER_REACHED;
