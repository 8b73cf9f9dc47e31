import type { BuildEnd, RunRow, TaskRow, TaskStop, VertexRow } from "#core/contracts/ledger.ts";
import { type Policy, policySchema } from "#core/contracts/settings.ts";
import { classOfStatus, isTerminal } from "#core/dbt/status.ts";
import type { Decision, StepInput } from "#core/run/deciding/decision.ts";
import { step } from "#core/run/deciding/step.ts";
import { FIRST_ROUND, type Round } from "#core/run/judging/rounds.ts";
import type { RunSteps } from "#core/run/judging/run-steps.ts";
import { type Plan, type PlanVertex, VERTEX_DEFAULTS } from "#core/run/planning/plan.ts";
import { type Verdict, verdict } from "#core/run/reporting/verdict.ts";
import { buildEnd, runRow, taskRow } from "./ledger-rows.ts";

/** The moment at which every table test looks at its run. Milliseconds. */
export const NOW = 2_000_000;

/** Long before {@link NOW}: every delay is over. Milliseconds. */
export const LONG_AGO = 1_000_000;

const TYPES = ["seed", "snapshot", "test", "unit_test", "exposure"] as const;

/** A planned vertex. Its type is its id's first word, a model where that is none; `on` are a test's nodes. */
export function vertex(
  uniqueId: string,
  gateParents: readonly string[] = [],
  changes: Partial<PlanVertex> & { readonly on?: readonly string[] } = {},
): PlanVertex {
  const { on = [], ...rest } = changes;
  const resourceType = TYPES.find((type) => uniqueId.startsWith(`${type}.`)) ?? "model";
  return {
    uniqueId,
    name: uniqueId,
    resourceType,
    materialized: "table",
    builds: resourceType !== "exposure",
    gateParents: [...gateParents],
    nodes: [...on],
    fqn: ["shop", uniqueId],
    packageName: "shop",
    originalFilePath: `models/${uniqueId}.sql`,
    ...VERTEX_DEFAULTS,
    ...rest,
  };
}

export const ephemeral = (uniqueId: string, gateParents: readonly string[] = []): PlanVertex =>
  vertex(uniqueId, gateParents, { builds: false, materialized: "ephemeral" });

/** A data test, gated by the nodes it is on. */
export const dataTest = (uniqueId: string, on: readonly string[], changes: Partial<PlanVertex> = {}): PlanVertex =>
  vertex(uniqueId, on, { on, ...changes });

export function planOf(vertices: readonly PlanVertex[], changes: Partial<Plan> = {}): Plan {
  const project = { contract: 1 as const, project: "shop", runId: "run-1", dbtVersion: "1.11.0", dbtProject: "shop" };
  return {
    ...project,
    adapterType: "postgres",
    source: "manifest",
    vertices: [...vertices],
    endHooks: false,
    endHookCount: 0,
    hookCount: 0,
    warnings: [],
    ...changes,
  };
}

/** What a task wrote of a vertex; a status that is no skip is a try. */
export function row(
  uniqueId: string,
  status: string,
  changes: Partial<VertexRow> & { readonly task?: number } = {},
): VertexRow {
  const { task = 1, ...rest } = changes;
  const tried = !isTerminal(status) || classOfStatus(status) !== "not_built";
  return {
    uniqueId,
    ownerTask: task,
    epoch: 0,
    tryTasks: tried ? [task] : [],
    lostTasks: [],
    statusTask: task,
    status,
    evidence: tried,
    ...(isTerminal(status) ? { endedAtMs: LONG_AGO } : {}),
    ...rest,
  };
}

/** A row whose owner has said nothing yet, over what an older task said. */
export const claimed = (older: VertexRow, task: number): VertexRow => ({
  ...older,
  ownerTask: task,
  epoch: older.epoch + 1,
});

/** A task whose build ended in order. */
export function over(task: number, end: Partial<BuildEnd> = {}, changes: Partial<TaskRow> = {}): TaskRow {
  return taskRow(task, { state: "over", end: buildEnd({ endedAtMs: LONG_AGO, ...end }), ...changes });
}

/** A task that ended without a word of its supervisor. */
export function killed(task: number, stop: Partial<TaskStop> = {}, changes: Partial<TaskRow> = {}): TaskRow {
  const ecs = { stopCode: "EssentialContainerExited", stoppedReason: "Essential container in task exited" };
  const how = { exitCode: 137, outOfMemory: false, neverStarted: false };
  return taskRow(task, { state: "over", stop: { stoppedAtMs: LONG_AGO, ...ecs, ...how, ...stop }, ...changes });
}

export const live = (task: number, changes: Partial<TaskRow> = {}): TaskRow =>
  taskRow(task, { state: "running", heartbeatAtMs: NOW, ...changes });

/** An end whose cause is a failed node. */
export const nodeFailed = (changes: Partial<BuildEnd> = {}): Partial<BuildEnd> => ({
  exitCode: 1,
  cause: { kind: "node", sentence: "1 node failed.", lines: [] },
  ...changes,
});

export const policyOf = (changes: Record<string, unknown> = {}): Policy => policySchema.parse(changes);

/** One look at a run: everything a test does not name is as in a plain run whose producer has failed nodes. */
export interface Situation {
  readonly plan?: Plan | null;
  readonly rows?: readonly VertexRow[];
  readonly tasks?: readonly TaskRow[];
  readonly policy?: Record<string, unknown>;
  readonly maxTasks?: number;
  readonly stopReason?: string | null;
  readonly heldSinceMs?: number | null;
  readonly nowMs?: number;
  readonly round?: Round;
  readonly notBeforeMs?: number;
  readonly steps?: RunSteps | null;
}

/** A further round, which a person has opened for all that is not good. */
export const secondRound = (changes: Partial<Round> = {}): Round => ({
  ...FIRST_ROUND,
  number: 2,
  goesOn: true,
  ...changes,
});

export function decide(situation: Situation): Decision {
  return step(stepInput(situation));
}

export function stepInput(situation: Situation): StepInput {
  return {
    plan: situation.plan ?? null,
    rows: situation.rows ?? [],
    tasks: situation.tasks ?? [over(1, nodeFailed())],
    policy: policyOf(situation.policy),
    maxTasks: situation.maxTasks ?? 4,
    stopReason: situation.stopReason ?? null,
    heldSinceMs: situation.heldSinceMs ?? null,
    nowMs: situation.nowMs ?? NOW,
    round: situation.round ?? FIRST_ROUND,
    notBeforeMs: situation.notBeforeMs ?? null,
    steps: situation.steps ?? null,
  };
}

/** What a decision launches: the kind and the set of each build, ids sorted. */
export const launchesOf = (decision: Decision): { kind: string; set: string[] }[] =>
  decision.launches.map((launch) => ({ kind: launch.kind, set: [...launch.uniqueIds].sort() }));

/** Last words by vertex: `dead`, `not_built`, or `doomed by <root>`. */
export const finalsOf = (decision: Decision): Record<string, string> =>
  Object.fromEntries(
    decision.finals.map((word) => [
      word.uniqueId,
      word.final === "doomed" ? `doomed by ${word.rootCause}` : word.final,
    ]),
  );

/** The verdict over rows into which a decision's last words have been written. */
export function verdictAfter(situation: Situation, decision: Decision, selectsByState = false): Verdict {
  const { plan, rows, tasks, policy, stopReason, round = FIRST_ROUND, steps = null } = stepInput(situation);
  const words = new Map(decision.finals.map((word) => [word.uniqueId, { ...word, finalRound: round.number }]));
  const told = rows.map((one) => ({ ...one, ...words.get(one.uniqueId) }));
  const silent = [...words.values()].filter((word) => !rows.some((one) => one.uniqueId === word.uniqueId));
  const made = silent.map((word) => ({ ownerTask: 1, epoch: 0, tryTasks: [], lostTasks: [], ...word }));
  return verdict({ plan, rows: [...told, ...made], tasks, policy, stopReason, selectsByState, round, steps });
}

export const runOf = (changes: Partial<RunRow> = {}): RunRow =>
  runRow({ project: "shop", runId: "run-1" }, { planKey: "plan", ...changes });
