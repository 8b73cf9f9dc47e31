import { type DbtCode, kindOfCode } from "./dbt-code.ts";

/** What made dbt give up as a whole. */
export type FatalKind =
  | "parse"
  | "connection"
  | "hook"
  | "profile"
  | "flags"
  | "memory"
  | "selection"
  | "environment"
  | "disk"
  | "unknown";

/**
 * The kinds in the order in which they are tried: the narrow ones first, since a connection's text may well name a
 * profile, and a parse error's may quote a database's. Texts of dbt-core 1.8 to 1.12 and dbt 2.0; the code words in
 * parentheses are 2.0's.
 */
const KINDS: readonly (readonly [FatalKind, RegExp])[] = [
  ["selection", /selection criterion .* does not match|NoNodesForSelectionCriteria/i],
  ["disk", /no space left on device|\berrno 28\b|disk quota exceeded|\bENOSPC\b/i],
  ["environment", /env var required but not provided|environment variable '[^']*' not found/i],
  ["memory", /\bMemoryError\b|out of memory|cannot allocate memory/i],
  [
    "profile",
    /does not have a target named|target '[^']*' not found in profile|could not find profile|profiles\.yml|credentials in profile|no profile|profile "[^"]*" (?:is|was) not/i,
  ],
  [
    "flags",
    // A selector that does not exist is no empty selection: allowEmpty must not make it green.
    /could not find selector named|unknown selector|no such option|unexpected argument|invalid value (?:'[^']*' )?for|is not a valid (?:choice|argument)|warn_error_options|usage: dbt/i,
  ],
  ["hook", /on-run-(?:start|end)|'Exposure' object has no attribute/i],
  [
    "connection",
    /could not set lock on file|not a valid \w+ database|file is not a database|cannot open (?:file|database)|failed to create schema|could not connect|server closed the connection|terminating connection|the database system is (?:shutting down|starting up|in recovery)|connection (?:refused|reset|timed out|to server|already closed)|failed to connect|could not translate host|timeout expired|temporar(?:y|ily) unavailable|network is unreachable|name or service not known|ssl (?:error|syscall)|OperationalError|authentication failed|access denied|DbDriverFailed|failed to load \w+ driver/i,
  ],
  [
    "parse",
    /Compilation Error|Parsing Error|YAML|syntax error|depends on a (?:node|source|macro) named|not found in project|cannot contain spaces|MacroSyntaxInvalid|SerializationError|DependencyNotFound|Duplicate|found a cycle|CyclicDependency|dbt found two resources|Validator Error|schema\.yml|dbt_project\.yml|dbt deps|packages|-->\s+\S+\.(?:sql|py|ya?ml|csv|md)\b/i,
  ],
];

/**
 * What a database's client says when the server went away while it was used: narrower than a connection that could not
 * be opened, since this is looked for in the messages of vertices, where a table may well deny access.
 */
const LOST =
  /server closed the connection|terminating connection|the database system is (?:shutting down|starting up|in recovery)|connection (?:refused|reset|already closed|timed out|to server .*failed|was lost)|lost connection|could not connect|failed to connect|ssl syscall|broken pipe|network is unreachable/i;

/** Whether a vertex's message says that the warehouse went away. */
export const saysConnectionLost = (message: string): boolean => LOST.test(message);

/**
 * A database answered, and did not like the SQL: no connection is to blame, though dbt 2 says it under the code of the
 * driver, and asking again would be told the same.
 */
const DATABASE_ANSWERED = /\b(?:Binder|Catalog|Parser|Conversion) Error\b/;

/** Sorts dbt's last error into a kind, by its code where that is enough; `unknown` where nothing of it is recognised. */
export function fatalKind(text: string, code: DbtCode | null = null): FatalKind {
  const byCode = code === null ? null : kindOfCode(code);
  if (byCode !== null) return byCode;
  const byText =
    KINDS.find(([, pattern]) => pattern.test(text))?.[0] ?? (code?.name === "InvalidConfig" ? "parse" : "unknown");
  return byText === "connection" && code !== null && DATABASE_ANSWERED.test(text) ? "unknown" : byText;
}
