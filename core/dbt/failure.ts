import { FAILURE_MESSAGES, type FailureKind, type FailureMessage, failureKinds } from "./failure-messages.ts";

/** A line of `policy.failureMessages`: the project's own words for a kind of failure. */
export interface ProjectFailureMessage {
  readonly pattern: string;
  readonly kind: FailureKind;
  readonly adapter?: string | undefined;
}

/** The driver's own words stand in the first lines; what follows is the statement, a hint, or data. */
const MOST_LINES = 2;
const MOST_CHARACTERS = 2_000;

/** `[error] [DbDriverFailed (dbt1308)]: `, with which dbt 2 begins. */
const CODE = /^\[\w+\](?: \[\w+ \(dbt\d+\)\])?:\s*/;

/** `Database Error in model orders (models/orders.sql)`, `Error materializing test test.shop.…`: whose failure it is. */
const WHOSE = /^(?:(?:Database|Runtime|Dbt) Error(?: in .*)?|Error (?:materializing|executing) .*)$/i;

/** pyodbc's error as Python prints it: a SQLSTATE and one quoted text, which is the driver's own. */
const PYODBC = /^\('[0-9A-Z]{5}', (['"])(.*)\1\)$/;

/** Quoted text is a name or a value, never the driver's word; an apostrophe within a word quotes nothing. */
const QUOTED = /"[^"\n]*"|`[^`\n]*`|(?<!\w)'[^'\n]*'/g;

/**
 * The words that tell what kind of failure a message is of: its first lines without dbt's own head and without anything
 * quoted, so that neither the names of a project nor the data of a table can decide.
 */
export function wordsOfFailure(message: string): string {
  const lines = message
    .slice(0, 4 * MOST_CHARACTERS)
    .split("\n")
    .map((line) => line.trim().replace(CODE, "").replace(PYODBC, "$2"))
    .filter((line) => line !== "");
  while (lines.length > 1 && WHOSE.test(lines[0]!)) lines.shift();
  const statement = lines.findIndex((line) => /^(?:LINE \d+:|compiled (?:code|sql) at |\[SQL|DETAIL:)/.test(line));
  const head = lines.slice(0, statement < 0 ? MOST_LINES : Math.min(statement, MOST_LINES));
  return head.join("\n").slice(0, MOST_CHARACTERS).replace(QUOTED, '""');
}

/** What a message says of the failure. */
export interface Failure {
  readonly kind: FailureKind;
  /** The vertex's first statement never reached the warehouse. */
  readonly neverBegan: boolean;
}

/**
 * What a failure is a matter of, by its message (behaviour G32); null where nobody knows its words. The project's own
 * lines win, the first that fits; of the table the kind that stands first in `failureKinds`.
 */
export function failureOf(
  message: string | null | undefined,
  adapterType: string | null,
  own: readonly ProjectFailureMessage[] = [],
): Failure | null {
  if (!message) return null;
  const words = wordsOfFailure(message);
  const ofProject = own.find((line) => isOf(adapterType, line.adapter) && new RegExp(line.pattern, "im").test(words));
  if (ofProject !== undefined) return { kind: ofProject.kind, neverBegan: false };
  const told = FAILURE_MESSAGES.filter((entry) => fits(entry, words, adapterType));
  const kind = failureKinds.find((one) => told.some((entry) => entry.kind === one));
  if (kind === undefined) return null;
  return { kind, neverBegan: told.some((entry) => entry.kind === kind && entry.neverBegan === true) };
}

const fits = ({ adapters, pattern }: FailureMessage, words: string, adapterType: string | null): boolean =>
  (adapters === undefined || adapterType === null || adapters.includes(adapterType)) && pattern.test(words);

const isOf = (adapterType: string | null, adapter: string | undefined): boolean =>
  adapter === undefined || adapter === adapterType;
