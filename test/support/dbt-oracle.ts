/**
 * A second reader of dbt's logs, written apart from `core` from dbt-facts alone: it looks at the lines of one vertex as
 * a list, newest last, and applies one rule after the other. It knows nothing of order, duplicates or live changes.
 */
export type Verdict = "good" | "failed" | "not_built" | "interrupted";

interface Line {
  info: { name: string; level: string; msg: string; invocation_id?: string };
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
  const ours = lines.map(eventIn).find((line) => line !== null)?.info.invocation_id;
  for (const text of lines) {
    if (!text.includes('"unique_id"')) continue;
    const line = eventIn(text);
    if (line === null || line.info.invocation_id !== ours) continue;
    const id = line.data.node_info?.unique_id ?? "";
    if (id === "" || id.startsWith("operation.")) continue;
    byVertex.set(id, [...(byVertex.get(id) ?? []), line]);
  }
  const verdicts = new Map<string, Verdict>();
  const cut =
    lines.some((line) => /"dbt-fusion/.test(line) || /dbt-fusion=2/.test(line)) &&
    lines.some((line) => /--fail-fast|OperationCanceled|dbt1404/.test(line));
  for (const [id, own] of byVertex) {
    const neverRan =
      cut &&
      !own.some((line) => line.info.name === "NodeExecuting" || line.data.node_info?.materialized === "ephemeral");
    const said = verdictOf(own);
    const verdict = neverRan && said === "good" ? "interrupted" : said;
    if (verdict !== null) verdicts.set(id, verdict);
  }
  return verdicts;
}

/** A Python model may print before an event, in its line; dbt ends the line right behind its event. */
function eventIn(text: string): Line | null {
  const from = Math.max(text.lastIndexOf('{"data": {"'), 0);
  for (const part of [text, text.slice(from)]) {
    try {
      return JSON.parse(part) as Line;
    } catch {}
  }
  return null;
}

function verdictOf(own: readonly Line[]): Verdict | null {
  const is = (pattern: RegExp) => own.filter((line) => pattern.test(line.info.name));
  const microbatch = is(/^Log(Start)?Batch/).length > 0;
  const ends = is(/^(Log(Model|Seed|Snapshot|Test|NodeNoOp|Freshness)Result|SkippingDetails)$/);
  const word = ends.at(-1) ?? (microbatch ? undefined : is(/^NodeFinished$/).at(-1));
  const errorLine = is(/^Generic$/).some((line) => line.info.level === "error");
  if (word !== undefined) {
    const verdict = classed(wordOf(word));
    const isOrdinary = word.info.name !== "LogNodeNoOpResult" && word.data.node_info?.materialized !== "ephemeral";
    if (wordOf(word) === "no-op" && isOrdinary) return "interrupted";
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
