import { buildEnded, type EndByLog, endOfRecording } from "#core/dbt/build-end.ts";
import { applyEvent, type BuildLog, newBuildLog } from "#core/dbt/build-log.ts";
import { closeBuildLog } from "#core/dbt/close-log.ts";
import { dbtGraph } from "#core/dbt/dbt-graph.ts";
import { readLine } from "#core/dbt/log-line.ts";
import type { Manifest, ManifestNode } from "#core/dbt/manifest.ts";
import { NOT_SELECTED, outcomes, type VertexOutcome } from "#core/dbt/outcome.ts";
import type { PlannedVertex } from "#core/dbt/planned-vertex.ts";
import { reconcile } from "#core/dbt/reconcile.ts";
import { TEST_TYPES } from "#core/dbt/resource-types.ts";
import type { RunResults } from "#core/dbt/run-results.ts";
import { nodesOf } from "#core/dbt/tested-nodes.ts";
import { gateGraph } from "#core/run/gate-graph.ts";
import type { NodeReport } from "#core/run/report.ts";
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
  const joined = reconcile(log, runResults, { invocationId: log.invocationId });
  const end = buildEnded(log, endOfRecording(log));
  closeBuildLog(log, end);
  const found = ended({ log, end, runResults }, manifest);
  return {
    contract: 1,
    dbtVersion: log.dbtVersion,
    invocationId: log.invocationId,
    cause: end.cause,
    inOrder: end.inOrder,
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

interface Ended {
  readonly log: BuildLog;
  readonly end: EndByLog;
  readonly runResults: RunResults | null;
}

/**
 * How each vertex ended. What was selected stands in no recording: only where dbt set out to run as many vertices as
 * the manifest has, and left none of them out for no reason, all of them were; otherwise it is what dbt mentioned.
 */
function ended(build: Ended, manifest: Manifest | null): VertexOutcome[] {
  if (manifest === null) return outcomes(build);
  if (countsOf(manifest).includes(build.log.nodeCount ?? -1)) {
    const everything = outcomes({ ...build, plan: planOf(manifest, () => true) });
    if (!everything.some((one) => one.message?.startsWith(NOT_SELECTED))) return everything;
  }
  const plain = outcomes(build);
  const inLog = plain.map((one) => one.uniqueId).filter((id) => build.log.vertices.has(id));
  const named = [...inLog, ...skippedWithoutId(build.log, manifest)];
  const mentioned = new Set(named);
  const planned = new Set([...named, ...ephemeralsAbove(named, build, manifest)]);
  const told = outcomes({ ...build, plan: planOf(manifest, (node) => planned.has(node.uniqueId)) });
  // A good ephemeral was asked for its children's sake alone.
  const shown = told.filter((one) => mentioned.has(one.uniqueId) || one.class !== "good");
  const known = new Set(shown.map((one) => one.uniqueId));
  return [...shown, ...plain.filter((one) => !known.has(one.uniqueId))];
}

/** What `dbt build` runs. */
const RUNNABLE: ReadonlySet<string> = new Set(["model", "seed", "snapshot", "test", "unit_test", "function"]);

/** The numbers that dbt may print for the whole project: 1.10 and later count exposures and saved queries too. */
function countsOf(manifest: Manifest): number[] {
  const nodes = [...manifest.nodes.values()];
  const ofType = (type: string) => nodes.filter((node) => node.resourceType === type).length;
  const runs = nodes.filter((one) => RUNNABLE.has(one.resourceType) && one.materialized !== "ephemeral" && !one.hollow);
  return [0, ofType("exposure")].flatMap((exposures) =>
    [0, ofType("saved_query")].map((savedQueries) => runs.length + exposures + savedQueries),
  );
}

function planOf(manifest: Manifest, isPlanned: (node: ManifestNode) => boolean): PlannedVertex[] {
  const nodes = [...manifest.nodes.values()].filter((node) => RUNNABLE.has(node.resourceType) && isPlanned(node));
  const gates = gateGraph(
    dbtGraph(manifest),
    nodes.map((node) => node.uniqueId),
  );
  return nodes.map((node) => ({
    uniqueId: node.uniqueId,
    resourceType: node.resourceType,
    gateParents: gates.get(node.uniqueId) ?? [],
    builds: node.materialized !== "ephemeral" && !node.hollow,
  }));
}

/** Children of a failed ephemeral model: dbt 1 names only schema and relation, which the manifest knows with quotes. */
function skippedWithoutId(log: BuildLog, manifest: Manifest): string[] {
  const names = new Set(log.skippedWithoutId.map(({ schema, relation }) => `${schema}.${relation}`));
  const isNamed = (node: ManifestNode) =>
    node.relationName === null
      ? [...names].some((name) => name.endsWith(`.${node.name}`))
      : names.has(
          node.relationName
            .replaceAll(/["`[\]]/g, "")
            .split(".")
            .slice(-2)
            .join("."),
        );
  return [...manifest.nodes.values()]
    .filter((node) => RUNNABLE.has(node.resourceType) && isNamed(node))
    .map((n) => n.uniqueId);
}

/** Ephemeral models between what dbt names: without them nobody could tell why it skipped a node below one. */
function ephemeralsAbove(named: readonly string[], { log }: Ended, manifest: Manifest): string[] {
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

function nodeOf(outcome: VertexOutcome, all: readonly VertexOutcome[], manifest: Manifest | null): ReplayNode {
  const tests = manifest === null ? [] : all.filter((other) => isTestOf(other, outcome.uniqueId, manifest));
  return {
    uniqueId: outcome.uniqueId,
    resourceType: outcome.resourceType,
    status: outcome.status,
    class: outcome.class,
    outcome: null,
    testsOutcome: null,
    tries: outcome.evidence ? 1 : 0,
    startedAt: iso(outcome.startedAtMs),
    finishedAt: iso(outcome.endedAtMs),
    message: outcome.message,
    failures: outcome.failures,
    reused: outcome.status === "reused",
    relation: outcome.relationName,
    tests: tests.map((test) => ({ uniqueId: test.uniqueId, status: test.status, class: test.class })),
    batches: outcome.batches,
  };
}

const isTestOf = (vertex: VertexOutcome, nodeId: string, manifest: Manifest): boolean =>
  TEST_TYPES.has(vertex.resourceType) && nodesOf(manifest, vertex.uniqueId).includes(nodeId);

const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());
