import type { AlertKind } from "#core/contracts/alerts.ts";
import type { RowSample } from "#core/dbt/failing-rows.ts";
import type { FactOwner } from "#core/run/planning/node-facts.ts";

/** One message to people, before it is put into the form of a channel. */
export interface Alert {
  readonly kind: AlertKind;
  /** It was told before, and is no better. */
  readonly again: boolean;
  readonly project: string;
  readonly runId: string;
  /** Null where it is no vertex'. */
  readonly uniqueId: string | null;
  /** What is wrong, or was, in dbt's words. */
  readonly words: string;
  readonly owner: FactOwner | null;
  /** Vertices that are not built because of it. */
  readonly gates: number;
  /** Rows that a data test has found. */
  readonly failures: number | null;
  readonly relation: string | null;
  readonly rows: RowSample | null;
  /** Since when it was failing: of what is told again, or has recovered. ISO 8601. */
  readonly since: string | null;
  /** What a person types next. */
  readonly commands: readonly string[];
  /** The run in the console; null on the embedded AWS. */
  readonly url: string | null;
}

/** A name that a person reads: the last part of a unique_id, with its type. */
export function shortName(uniqueId: string): string {
  const [type = "", , name = uniqueId] = uniqueId.split(".");
  return `${type} ${name}`;
}

/** The first line of every channel. */
export function titleOf({ kind, again, project, uniqueId }: Alert): string {
  const what = uniqueId === null ? `a run of ${project}` : `${shortName(uniqueId)} of ${project}`;
  if (kind === "recovered") return `Recovered: ${what}`;
  if (kind === "warned") return `Warning: ${what}`;
  if (kind === "stopped") return `Stopped: ${what}`;
  return again ? `Still failing: ${what}` : `Failed: ${what}`;
}

/** An owner in one line; null where nobody is named. */
export function ownerWords(owner: FactOwner | null): string | null {
  if (owner === null) return null;
  const names = [owner.name, owner.email === null ? null : owner.name === null ? owner.email : `<${owner.email}>`];
  const words = names.filter((name) => name !== null).join(" ");
  const group = owner.group === null || owner.group === owner.name ? "" : ` (group ${owner.group})`;
  return words === "" ? owner.group : `${words}${group}`;
}

/** What stands beside the words: name and value. */
export function factsOf({ owner, gates, failures, relation, since }: Alert): [string, string][] {
  const facts: [string, string | null][] = [
    ["Owner", ownerWords(owner)],
    ["Not built because of it", gates > 0 ? String(gates) : null],
    ["Rows found", failures === null ? null : String(failures)],
    ["Kept in", relation],
    ["Since", since],
  ];
  return facts.flatMap(([name, value]) => (value === null ? [] : [[name, value] as [string, string]]));
}

const MOST_SAMPLED = 5;
const MOST_SHOWN_COLUMNS = 8;
const CELL_CHARACTERS = 40;

/** A sample of rows as lines of text of one width; empty where there is none. */
export function sampleLines(rows: RowSample | null): string[] {
  if (rows === null || rows.rows.length === 0) return [];
  const cell = (value: string | null) => {
    const text = (value ?? "null").replace(/\s+/g, " ");
    return text.length > CELL_CHARACTERS ? `${text.slice(0, CELL_CHARACTERS - 1)}…` : text;
  };
  const table = [rows.columns, ...rows.rows.slice(0, MOST_SAMPLED)].map((row) =>
    row.slice(0, MOST_SHOWN_COLUMNS).map(cell),
  );
  const widths = table[0]!.map((_, at) => Math.max(...table.map((row) => (row[at] ?? "").length)));
  return table.map((row) =>
    row
      .map((text, at) => text.padEnd(widths[at] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
