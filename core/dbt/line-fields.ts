import { cutMessage, stripColours } from "./message-text.ts";

/** A JSON object of which nothing is known. */
export type Fields = Readonly<Record<string, unknown>>;

/** The value as an object; null for anything else. */
export function fieldsOf(value: unknown): Fields | null {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : null;
}

/** The value as a text; empty for anything else. */
export function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** A whole text of dbt's, or null when it has none: cleaned of colours and cut. */
export function messageOf(value: unknown): string | null {
  const clean = stripColours(textOf(value)).trim();
  return clean === "" ? null : cutMessage(clean);
}

/** The value as a finite number; null for anything else. */
export function numberOf(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

/** dbt's times are UTC; 1.x leaves the `Z` away in `node_info`. */
export function timeOf(value: unknown): number | null {
  const text = textOf(value);
  if (text === "") return null;
  const time = Date.parse(/(Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text}Z`);
  return Number.isNaN(time) ? null : time;
}
