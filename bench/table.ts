/** A table for a terminal and for docs/benchmarks.md: text columns to the left, everything else to the right. */
export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** One line for each figure whose meaning is not plain. */
  readonly notes: readonly string[];
}

export function tableText({ title, columns, rows, notes }: Table): string {
  const all = [columns, ...rows];
  const widths = columns.map((_, at) => Math.max(...all.map((row) => (row[at] ?? "").length)));
  const line = (row: readonly string[]) =>
    widths
      .map((width, at) => (at === 0 ? (row[at] ?? "").padEnd(width) : (row[at] ?? "").padStart(width)))
      .join("  ")
      .trimEnd();
  const rule = widths.map((width) => "-".repeat(width)).join("  ");
  return [title, "", line(columns), rule, ...rows.map(line), "", ...notes.map((note) => `  ${note}`), ""].join("\n");
}

/** A number with a fixed count of decimals; a dash for what was not measured. */
export function fixed(value: number | null | undefined, decimals = 1): string {
  return value === null || value === undefined || Number.isNaN(value) ? "-" : value.toFixed(decimals);
}

export const seconds = (milliseconds: number | null | undefined, decimals = 1): string =>
  fixed(milliseconds === null || milliseconds === undefined ? null : milliseconds / 1000, decimals);

export const mib = (bytes: number | null | undefined): string =>
  fixed(bytes === null || bytes === undefined ? null : bytes / 2 ** 20, 0);

export const dollars = (value: number): string => `$${value.toFixed(4)}`;

/** Of sorted or unsorted numbers the smallest that at least `share` of them do not pass; null of none. */
export function percentile(values: readonly number[], share: number): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? null;
}
