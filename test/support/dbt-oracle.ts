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
    node_info?: { unique_id?: string; node_status?: string; materialized?: string; resource_type?: string };
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
  const two = lines.some((line) => /Running with dbt-(?:fusion|core)=2/.test(line));
  const cut = two && lines.some((line) => /--fail-fast|OperationCanceled|dbt1404/.test(line));
  for (const [id, own] of byVertex) {
    const verdict = two ? verdictOfTwo(own, cut) : verdictOf(own);
    if (verdict !== null) verdicts.set(id, verdict);
  }
  return verdicts;
}

/** dbt 2 tells why something failed in a line of its own. What it cancels it ends by whatever word. */
function verdictOfTwo(own: readonly Line[], cut: boolean): Verdict | null {
  const word = verdictOf(own);
  const ordinary = own.every(
    (line) => line.data.node_info?.materialized !== "ephemeral" && line.data.node_info?.resource_type !== "source",
  );
  const reasons = own.filter((line) => line.info.level === "error").map((line) => line.info.msg);
  const cancels = reasons.filter((text) => /dbt1404|Cancelled: SQL statement execution was cancelled/.test(text));
  if (word === "not_built") return reasons.length > cancels.length ? "failed" : word;
  if (cancels.length > 0 && cancels.length === reasons.length) return "interrupted";
  if (reasons.length > 0) return "failed";
  if (!cut || !ordinary) return word;
  const ran = own.some((line) => line.info.name === "NodeExecuting");
  const ended = own.filter((line) => /^(Log\w+Result|NodeFinished)$/.test(line.info.name)).map(wordOf);
  if (word === "failed") return ended.includes("error") ? "interrupted" : word;
  return word === "good" && !ran ? "interrupted" : word;
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
  const ends = is(/^(Log(Model|Seed|Snapshot|Test|NodeNoOp|Freshness|Function)Result|SkippingDetails)$/);
  const word = ends.at(-1) ?? (microbatch ? undefined : is(/^NodeFinished$/).at(-1));
  if (word !== undefined) {
    const verdict = classed(wordOf(word));
    const isOrdinary = word.info.name !== "LogNodeNoOpResult" && word.data.node_info?.materialized !== "ephemeral";
    if (wordOf(word) === "no-op" && isOrdinary) return "interrupted";
    return verdict;
  }
  const late = is(/^RunResult(Error|Failure|ErrorNoMessage)$/);
  if (late.length > 0) {
    const neverRan = late.every((line) => /fail_fast|in referenced ephemeral model/.test(line.info.msg));
    return neverRan ? "not_built" : "failed";
  }
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
