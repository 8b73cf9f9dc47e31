import { asciiJson } from "./ascii-json.ts";

/** What dbt calls a secret: it masks the values of such variables in everything that it logs, wherever they stand. */
const SECRET_PREFIX = "DBT_ENV_SECRET_";

/** What dbt prints in a value's place. */
export const MASK = "*****";

/**
 * Shorter values stand by chance in ids, times and dbt's own words. Of digits alone even longer ones stand in the
 * fractions of seconds of every line, where a mask is no JSON any more.
 */
const SHORTEST = 6;
const SHORTEST_NUMBER = 10;

/** Of a value of several lines (a key) each line is masked that is no shorter than this. */
const SHORTEST_LINE = 16;

export interface Secret {
  variable: string;
  value: string;
}

/** A secret with which dbt's log can not be read; `why` never holds the value. */
export interface UnreadableSecret {
  variable: string;
  why: string;
}

/** The secrets of an environment that dbt will mask, by name. */
export function secretsOf(environment: Readonly<Record<string, string | undefined>>): Secret[] {
  return Object.entries(environment)
    .flatMap(([variable, value = ""]) =>
      variable.startsWith(SECRET_PREFIX) && value.trim() ? [{ variable, value }] : [],
    )
    .sort((a, b) => (a.variable < b.variable ? -1 : 1));
}

/**
 * The first secret that would mask what the reader needs: parts of ids, of dbt's own words, or of JSON. dbt masks the
 * finished line, and a masked id can only be guessed at. `words` are the names that make this project's ids.
 */
export function unreadableSecret(secrets: readonly Secret[], words: Iterable<string> = []): UnreadableSecret | null {
  const names = [...words];
  for (const { variable, value } of secrets) {
    const why = reasonAgainst(value, names);
    if (why !== null) return { variable, why };
  }
  return null;
}

/** A sentence about it, and what to do. */
export const unreadableSentence = ({ variable, why }: UnreadableSecret): string =>
  `The value of ${variable} ${why}: dbt masks it in its own log, which can not be read then; nothing was built.`;

export const UNREADABLE_NEXT_STEP =
  "Give the variable another value, or a name without DBT_ENV_SECRET_ if it is no secret.";

function reasonAgainst(value: string, names: readonly string[]): string | null {
  if (value.length < SHORTEST) return `has fewer than ${SHORTEST} characters`;
  if (/^\d+$/.test(value) && value.length < SHORTEST_NUMBER)
    return `is a number of fewer than ${SHORTEST_NUMBER} digits`;
  if (OWN_WORDS.some((word) => word.includes(value))) return "stands in dbt's own words or in the characters of JSON";
  return names.some((name) => name.includes(value)) ? "stands in the names of this project's vertices" : null;
}

/** A line of dbt's, as 1.x and 2.0 space it, and the words that the reader tells lines and vertices by. */
const OWN_WORDS: readonly string[] = [
  ...[", ", ","].map((comma) => {
    const colon = comma === "," ? ":" : ": ";
    const object = (keys: readonly string[]) => `{${keys.map((key) => `"${key}"${colon}""`).join(comma)}}`;
    const node = ["node_info", "materialized", "node_checksum", "node_finished_at", "node_name", "node_path"];
    const more = ["node_relation", "relation_name", "node_started_at", "node_status", "resource_type", "unique_id"];
    const data = [
      "description",
      "execution_time",
      "index",
      "num_failures",
      "num_models",
      "run_result",
      "status",
      "total",
    ];
    const info = ["category", "code", "extra", "invocation_id", "level", "msg", "name", "pid", "thread", "ts"];
    return `${object([...data, ...node, ...more])}}${comma}"info"${colon}${object(info)}}`;
  }),
  ...["LogStartLine", "LogModelResult", "LogSeedResult", "LogSnapshotResult", "LogTestResult", "LogFunctionResult"],
  ...["LogFreshnessResult", "LogNodeNoOpResult", "LogNodeResult", "LogHookStartLine", "LogHookEndLine"],
  ...[
    "LogStartBatch",
    "LogBatchResult",
    "LogStartOverload",
    "LogOverloadResult",
    "LogCancelLine",
    "LogSkipBecauseError",
  ],
  ...["NodeStart", "NodeCompiling", "NodeExecuting", "NodeFinished", "SkippingDetails", "MainReportVersion"],
  ...["MainReportArgs", "MainEncounteredError", "MainStackTrace", "ConcurrencyLine", "StatsLine", "EndOfRunSummary"],
  ...["CommandCompleted", "FreshnessCheckComplete", "RunResultErrorNoMessage", "RunResultFailure", "Generic"],
  ...["RunResultWarningMessage", "NoNodesForSelectionCriteria", "NothingToDo", "SQLCompiledPath"],
  ...["partial success", "runtime error", "cancelled", "skipped", "success", "executing", "compiling", "started"],
  ...["model", "snapshot", "unit_test", "exposure", "function", "operation", "source", "saved_query", "incremental"],
  ...["ephemeral", "materialized_view", "table", "view", "on-run-start", "on-run-end", "keyboard_interrupt"],
];

/**
 * Masks the secrets in a text that dbt has not masked itself: dbt 2 masks nothing, and dbt 1 finds a value with quotes
 * or letters beyond ASCII no more once it is escaped in JSON. The longest first, since one may stand in another.
 */
export function maskerOf(secrets: readonly Secret[]): (text: string) => string {
  const lines = secrets.flatMap(({ value }) => value.split("\n").filter((line) => line.length >= SHORTEST_LINE));
  const forms = new Set([...secrets.map(({ value }) => value), ...lines].flatMap(formsOf));
  const byLength = [...forms].sort((a, b) => b.length - a.length);
  if (byLength.length === 0) return (text) => text;
  return (text) => byLength.reduce((masked, form) => masked.replaceAll(form, MASK), text);
}

/** A value as it is, in JSON, and in JSON inside of JSON; each as Python writes it too, with ASCII alone. */
function formsOf(value: string): string[] {
  const escaped = (text: string) => JSON.stringify(text).slice(1, -1);
  const both = (text: string) => [escaped(text), asciiJson(escaped(text))];
  return [value, ...both(value), ...both(value).flatMap(both)];
}
