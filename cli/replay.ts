import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { StringDecoder } from "node:string_decoder";
import { createGunzip, gunzipSync } from "node:zlib";
import { buildEnded, endOfRecording } from "#core/dbt/build-end.ts";
import { applyEvent, type BuildLog, newBuildLog } from "#core/dbt/build-log.ts";
import { MAX_LINE_CHARACTERS, readLine } from "#core/dbt/log-line.ts";
import { type DbtGraph, dbtGraph, type Manifest, nodesOf, readManifest } from "#core/dbt/manifest.ts";
import { closeBuildLog, outcomes, type PlannedVertex, type VertexOutcome } from "#core/dbt/outcome.ts";
import { reconcile } from "#core/dbt/reconcile.ts";
import { readRunResults } from "#core/dbt/run-results.ts";
import { gateGraph } from "#core/run/gate-graph.ts";
import { TEST_TYPES } from "#core/run/plan.ts";
import type { NodeReport } from "#core/run/summary.ts";
import { UsageError } from "./failure.ts";

export interface ReplayFiles {
  /** dbt's JSON log, one event a line. Each file may be gzipped, told by the name's end. */
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

export type ReplayNode = Omit<NodeReport, "rootCause" | "reason"> & {
  readonly batches: readonly { name: string; status: string }[];
};

/** Reads a recorded log as the runner reads a live one, joins run_results.json by rank, and says how each vertex ended. */
export async function replay(files: ReplayFiles): Promise<Replay> {
  const log = await readLog(files.log);
  const runResults = files.runResults === undefined ? null : await readResults(files.runResults);
  const manifest = files.manifest === undefined ? null : readManifest(await readText(files.manifest));
  const joined = reconcile(log, runResults, { invocationId: log.invocationId });
  const end = buildEnded(log, endOfRecording(log));
  closeBuildLog(log, end);
  const plan = manifest === null ? null : planOf(manifest, log);
  const found = outcomes({ log, end, runResults, ...(plan === null ? {} : { plan }) });
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

async function readLog(path: string): Promise<BuildLog> {
  const log = newBuildLog();
  let events = 0;
  for await (const line of linesOf(path)) {
    const event = readLine(line);
    if (event === null) continue;
    applyEvent(log, event);
    events += 1;
  }
  if (events > 0) return log;
  throw new UsageError(
    `${path} holds no JSON event of dbt.`,
    "Record one with: dbt --log-format json build > build.jsonl",
  );
}

/** Lines end at `\n` alone: JSON may hold other line ends (U+2028) that node:readline would split at. */
async function* linesOf(path: string): AsyncGenerator<string> {
  const file = createReadStream(path);
  const bytes = path.endsWith(".gz") ? file.pipe(createGunzip()) : file;
  file.once("error", (error) => bytes.destroy(error));
  const decoder = new StringDecoder("utf8");
  let rest = "";
  try {
    for await (const chunk of bytes) {
      const parts = (rest + decoder.write(chunk as Buffer)).split("\n");
      rest = (parts.pop() ?? "").slice(0, MAX_LINE_CHARACTERS);
      yield* parts;
    }
  } catch (error) {
    throw unreadable(path, error);
  }
  if (rest !== "") yield rest;
}

async function readText(path: string): Promise<string> {
  try {
    const bytes = await readFile(path);
    return (path.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
  } catch (error) {
    throw unreadable(path, error);
  }
}

async function readResults(path: string) {
  const results = readRunResults(await readText(path));
  if (results === null)
    throw new UsageError(`${path} is no run_results.json of dbt.`, "Leave --run-results out: the log alone is enough.");
  return results;
}

const unreadable = (path: string, cause: unknown) =>
  new UsageError(
    `${path} can not be read: ${cause instanceof Error ? cause.message : String(cause)}.`,
    "npx stepwatch replay --help",
    { cause },
  );

/**
 * The plan that a manifest allows. Which part of the project was selected stands in no recording: only where dbt set
 * out to run as many vertices as the manifest has, all of them were; otherwise it is what dbt reported.
 */
function planOf(manifest: Manifest, log: BuildLog): PlannedVertex[] {
  const graph: DbtGraph = dbtGraph(manifest);
  const runnable = [...manifest.nodes.values()]
    .filter((node) => RUNNABLE.has(node.resourceType))
    .map((node) => node.uniqueId);
  const counted = runnable.filter((id) => manifest.nodes.get(id)?.materialized !== "ephemeral");
  const everything = log.nodeCount !== null && [runnable.length, counted.length].includes(log.nodeCount);
  const ids = everything ? runnable : runnable.filter((id) => log.vertices.has(id));
  const gates = gateGraph(graph, ids);
  return ids.map((uniqueId) => {
    const node = manifest.nodes.get(uniqueId)!;
    return {
      uniqueId,
      resourceType: node.resourceType,
      gateParents: gates.get(uniqueId) ?? [],
      builds: node.materialized !== "ephemeral" && !node.hollow,
    };
  });
}

/** What `dbt build` counts and runs. */
const RUNNABLE: ReadonlySet<string> = new Set(["model", "seed", "snapshot", "test", "unit_test", "function"]);

function nodeOf(outcome: VertexOutcome, all: readonly VertexOutcome[], manifest: Manifest | null): ReplayNode {
  const tests = manifest === null ? [] : all.filter((other) => isTestOf(other, outcome.uniqueId, manifest));
  return {
    uniqueId: outcome.uniqueId,
    resourceType: outcome.resourceType,
    status: outcome.status,
    class: outcome.class,
    outcome: null,
    tries: outcome.evidence ? 1 : 0,
    startedAt: iso(outcome.startedAtMs),
    finishedAt: iso(outcome.endedAtMs),
    message: outcome.message,
    failures: outcome.failures,
    relation: outcome.relationName,
    tests: tests.map((test) => ({ uniqueId: test.uniqueId, status: test.status, class: test.class })),
    batches: outcome.batches,
  };
}

const isTestOf = (vertex: VertexOutcome, nodeId: string, manifest: Manifest): boolean =>
  TEST_TYPES.has(vertex.resourceType) && nodesOf(manifest, vertex.uniqueId).includes(nodeId);

const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());
