import { buildEnded, endOfRecording } from "#core/dbt/build-end.ts";
import { applyEvent, type BuildLog, newBuildLog } from "#core/dbt/build-log.ts";
import { closeBuildLog } from "#core/dbt/close-log.ts";
import { readLine } from "#core/dbt/log-line.ts";
import type { Manifest, ManifestNode } from "#core/dbt/manifest.ts";
import { reconcile } from "#core/dbt/reconcile.ts";
import { isBuilt, NO_OPS, PLANNED_TYPES, TEST_TYPES } from "#core/dbt/resource-types.ts";
import { nameSkips } from "#core/dbt/skipped-without-id.ts";
import { nodesOf } from "#core/dbt/tested-nodes.ts";
import { toldEnd } from "#core/dbt/told-end.ts";
import { type RecordedOutcome, type Recording, recordedOutcomes } from "#core/run/judging/recorded-outcomes.ts";
import { NOT_SELECTED } from "#core/run/judging/silence.ts";
import { makePlan } from "#core/run/planning/make-plan.ts";
import type { Plan } from "#core/run/planning/plan.ts";
import { iso, type NodeReport } from "#core/run/reporting/report.ts";
import { UsageError } from "./failure.ts";
import { linesOf, manifestOf, resultsOf } from "./replay-files.ts";

export interface ReplayFiles {
  /** dbt's JSON log, one event a line. Each file may be gzipped, told by its first bytes. */
  readonly log: string;
  readonly runResults?: string | undefined;
  readonly manifest?: string | undefined;
}

/** What a recorded build says, by the rules of a live one. */
export interface Replay {
  readonly contract: 1;
  readonly dbtVersion: string | null;
  readonly invocationId: string | null;
  /** How the build ended. */
  readonly cause: {
    readonly kind: string;
    readonly sentence: string;
    readonly nextStep: string;
    readonly lines: readonly string[];
  };
  readonly inOrder: boolean;
  /** Every vertex that dbt reported or, with a manifest, planned; tests are entries of their own. */
  readonly nodes: readonly ReplayNode[];
  readonly hookFailures: readonly { readonly name: string; readonly message: string | null; readonly phase: string }[];
  readonly drift: {
    readonly filled: readonly string[];
    readonly contradictions: readonly { uniqueId: string; log: string; file: string; knownReason: string | null }[];
  };
}

export type ReplayNode = Omit<NodeReport, "rootCause" | "reason">;

/** Reads a recorded log as the runner reads a live one, joins run_results.json by rank, and says how each vertex ended. */
export async function replay(files: ReplayFiles): Promise<Replay> {
  const runResults = files.runResults === undefined ? null : await resultsOf(files.runResults);
  const manifest = files.manifest === undefined ? null : await manifestOf(files.manifest);
  const log = await readLog(files.log, runResults?.invocationId ?? null);
  if (manifest !== null) nameSkips(log, namedByRelation(log, manifest));
  const joined = reconcile(log, runResults, { invocationId: log.invocationId });
  const ended = buildEnded(log, endOfRecording(log));
  closeBuildLog(log, ended);
  const found = outcomesOf({ log, end: toldEnd(log, ended), runResults }, manifest);
  return {
    contract: 1,
    dbtVersion: log.dbtVersion,
    invocationId: log.invocationId,
    cause: ended.cause,
    inOrder: ended.inOrder,
    nodes: found.map((outcome) => nodeOf(outcome, found, manifest)),
    hookFailures: log.hookFailures,
    drift: { filled: joined.filled, contradictions: joined.contradictions },
  };
}

/**
 * One invocation of the log: that of run_results.json where the log has it, since dbt's own log file holds every build
 * since it was last deleted; otherwise the first.
 */
async function readLog(path: string, wantedInvocation: string | null): Promise<BuildLog> {
  let first: BuildLog | undefined;
  let wanted: BuildLog | undefined;
  for await (const line of linesOf(path)) {
    const event = readLine(line);
    if (event === null) continue;
    if (wantedInvocation !== null && event.invocationId === wantedInvocation) wanted ??= newBuildLog();
    else first ??= newBuildLog();
    // A log leaves out by itself what is not of its invocation.
    for (const log of [wanted, first]) if (log !== undefined) applyEvent(log, event);
  }
  const log = wanted ?? first;
  if (log !== undefined) return log;
  throw new UsageError(
    `${path} holds no JSON event of dbt.`,
    "Record one with: dbt --log-format json build > build.jsonl",
  );
}

/**
 * How each vertex ended. What was selected stands in no recording: only where dbt set out to run as many vertices as
 * the manifest has, and left none of them out for no reason, all of them were; otherwise it is what dbt mentioned.
 */
function outcomesOf(recording: Recording, manifest: Manifest | null): RecordedOutcome[] {
  if (manifest === null) return recordedOutcomes(recording);
  if (countsOf(manifest).includes(recording.log.nodeCount ?? -1)) {
    const everything = recordedOutcomes({ ...recording, plan: planOf(manifest, () => true) });
    if (!everything.some((one) => one.message?.startsWith(NOT_SELECTED))) return everything;
  }
  const plain = recordedOutcomes(recording);
  const inLog = plain.map((one) => one.uniqueId).filter((id) => recording.log.vertices.has(id));
  const named = [...inLog, ...namedByRelation(recording.log, manifest).map((one) => one.uniqueId)];
  const mentioned = new Set(named);
  const planned = new Set([...named, ...ephemeralsAbove(named, recording, manifest)]);
  const told = recordedOutcomes({ ...recording, plan: planOf(manifest, (node) => planned.has(node.uniqueId)) });
  // A good ephemeral was asked for its children's sake alone.
  const shown = told.filter((one) => mentioned.has(one.uniqueId) || one.class !== "good");
  const known = new Set(shown.map((one) => one.uniqueId));
  return [...shown, ...plain.filter((one) => !known.has(one.uniqueId))];
}

/** What dbt runs something for, or would if there were SQL; exposures and the like are told where dbt told of them. */
const isRunnable = ({ resourceType }: ManifestNode): boolean =>
  PLANNED_TYPES.has(resourceType) && !NO_OPS.has(resourceType);

/** The numbers that dbt may print for the whole project: 1.10 and later count exposures and saved queries too. */
function countsOf(manifest: Manifest): number[] {
  const nodes = [...manifest.nodes.values()];
  const ofType = (type: string) => nodes.filter((node) => node.resourceType === type).length;
  const runs = nodes.filter(isBuilt).length;
  return [0, ofType("exposure")].flatMap((exposures) =>
    [0, ofType("saved_query")].map((savedQueries) => runs + exposures + savedQueries),
  );
}

/** A plan of these nodes, in the order of the manifest. */
function planOf(manifest: Manifest, isPlanned: (node: ManifestNode) => boolean): Plan {
  const nodes = [...manifest.nodes.values()].filter((node) => isRunnable(node) && isPlanned(node));
  const selectedIds = nodes.map((node) => node.uniqueId);
  const plan = makePlan({ project: "", runId: "", manifest, selectedIds, source: "manifest", dbtVersion: "" });
  const placeOf = new Map(selectedIds.map((id, at) => [id, at]));
  const inPlace = plan.vertices.toSorted((a, b) => placeOf.get(a.uniqueId)! - placeOf.get(b.uniqueId)!);
  return { ...plan, vertices: inPlace };
}

/** Children of a failed ephemeral model: dbt 1 names only schema and relation, which the manifest knows with quotes. */
function namedByRelation(log: BuildLog, manifest: Manifest): { uniqueId: string; name: string }[] {
  const names = new Set(log.skippedWithoutId.map(({ schema, relation }) => `${schema}.${relation}`));
  if (names.size === 0) return [];
  const isNamed = (node: ManifestNode) => {
    const relation = relationOf(node);
    return relation === null ? [...names].some((name) => name.endsWith(`.${node.name}`)) : names.has(relation);
  };
  return [...manifest.nodes.values()]
    .filter((node) => isRunnable(node) && isNamed(node))
    .map((node) => ({ uniqueId: node.uniqueId, name: relationOf(node)?.split(".").at(-1) ?? node.name }));
}

/** Schema and relation, without quotes. */
const relationOf = ({ relationName }: ManifestNode): string | null =>
  relationName
    ?.replaceAll(/["`[\]]/g, "")
    .split(".")
    .slice(-2)
    .join(".") ?? null;

/** Ephemeral models between what dbt names: without them nobody could tell why it skipped a node below one. */
function ephemeralsAbove(named: readonly string[], { log }: Recording, manifest: Manifest): string[] {
  if (log.skippedWithoutId.length === 0) return [];
  const found = new Set<string>();
  const open = [...named];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    for (const parent of manifest.nodes.get(id)?.dependsOn ?? []) {
      if (manifest.nodes.get(parent)?.materialized !== "ephemeral" || found.has(parent)) continue;
      found.add(parent);
      open.push(parent);
    }
  }
  return [...found];
}

function nodeOf(outcome: RecordedOutcome, all: readonly RecordedOutcome[], manifest: Manifest | null): ReplayNode {
  const tests = manifest === null ? [] : all.filter((other) => isTestOf(other, outcome.uniqueId, manifest));
  return {
    uniqueId: outcome.uniqueId,
    resourceType: outcome.resourceType,
    status: outcome.status,
    class: outcome.class,
    outcome: null,
    testsOutcome: null,
    tries: outcome.evidence ? 1 : 0,
    startedAt: iso(outcome.startedAtMs ?? undefined),
    finishedAt: iso(outcome.endedAtMs ?? undefined),
    message: outcome.message,
    failures: outcome.failures,
    reused: outcome.status === "reused",
    relation: outcome.relationName,
    tests: tests.map((test) => ({ uniqueId: test.uniqueId, status: test.status, class: test.class })),
    batches: outcome.batches,
  };
}

const isTestOf = (vertex: RecordedOutcome, nodeId: string, manifest: Manifest): boolean =>
  TEST_TYPES.has(vertex.resourceType) && nodesOf(manifest, vertex.uniqueId).includes(nodeId);
