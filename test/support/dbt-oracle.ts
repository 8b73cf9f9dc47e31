/**
 * A second reader of dbt's logs, written apart from `core` from dbt-facts alone: it looks at the lines of one vertex as
 * a list, newest last, and applies one rule after the other. It knows nothing of order, duplicates or live changes.
 */
export type Verdict = "good" | "failed" | "not_built" | "interrupted";

interface Line {
  info: { name: string; level: string; msg: string };
  data: {
    status?: string;
    msg?: string;
    node_info?: { unique_id?: string; node_status?: string; materialized?: string };
    run_result?: { status?: string };
  };
}

const GOOD = ["success", "pass", "warn", "no-op", "reused"];

/** What each vertex that the log names came to. Vertices whose only trace is 1.x's NodeStart are left out. */
export function oracle(lines: readonly string[]): Map<string, Verdict> {
  const byVertex = new Map<string, Line[]>();
  for (const text of lines) {
    if (!text.includes('"unique_id"')) continue;
    const line = JSON.parse(text) as Line;
    const id = line.data.node_info?.unique_id ?? "";
    if (id === "" || id.startsWith("operation.")) continue;
    byVertex.set(id, [...(byVertex.get(id) ?? []), line]);
  }
  const verdicts = new Map<string, Verdict>();
  for (const [id, own] of byVertex) {
    const verdict = verdictOf(own);
    if (verdict !== null) verdicts.set(id, verdict);
  }
  return verdicts;
}

function verdictOf(own: readonly Line[]): Verdict | null {
  const is = (pattern: RegExp) => own.filter((line) => pattern.test(line.info.name));
  const microbatch = is(/^Log(Start)?Batch/).length > 0;
  const ends = is(/^(Log(Model|Seed|Snapshot|Test|NodeNoOp|Freshness)Result|SkippingDetails)$/);
  const word = ends.at(-1) ?? (microbatch ? undefined : is(/^NodeFinished$/).at(-1));
  const errorLine = is(/^Generic$/).some((line) => line.info.level === "error");
  if (word !== undefined) {
    const verdict = classed(wordOf(word));
    return verdict === "good" && errorLine ? "failed" : verdict;
  }
  const late = is(/^RunResult(Error|Failure|ErrorNoMessage)$/);
  if (late.length > 0) {
    const neverRan = late.every((line) => /fail_fast|in referenced ephemeral model/.test(line.info.msg));
    return neverRan ? "not_built" : "failed";
  }
  // dbt 2, cut short: its error line may be the last one about the vertex.
  if (errorLine) return is(/^Generic$/).some((line) => line.info.msg.includes("dbt1404")) ? "interrupted" : "failed";
  return is(/^(LogStartLine|NodeExecuting)$/).length > 0 ? "interrupted" : null;
}

function wordOf(line: Line): string {
  if (line.info.name === "SkippingDetails") return "skipped";
  const nodeStatus = line.data.node_info?.node_status ?? "None";
  if (line.info.name === "NodeFinished" && ["None", "started"].includes(nodeStatus))
    return line.data.run_result?.status ?? "?";
  return nodeStatus === "None" ? (line.data.status ?? "?") : nodeStatus;
}

function classed(word: string): Verdict {
  if (word === "skipped") return "not_built";
  return GOOD.includes(word) ? "good" : "failed";
}
