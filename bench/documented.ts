import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Table, tableText } from "./table.ts";

const DOCUMENT = join(import.meta.dirname, "../docs/benchmarks.md");

/**
 * A document with one block of tables put in the place of the old one, between `<!-- bench:name -->` and
 * `<!-- /bench:name -->`. What a run did not measure stays as it was.
 * @throws Error where the document has no such place
 */
export function withTables(text: string, name: string, header: string, tables: readonly Table[]): string {
  const [from, to] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`];
  const [start, end] = [text.indexOf(from), text.indexOf(to)];
  if (start < 0 || end < start) throw new Error(`docs/benchmarks.md has no place for the tables of ${name}.`);
  const blocks = tables.map((table) => `\`\`\`\n${tableText(table).trimEnd()}\n\`\`\``);
  return `${text.slice(0, start)}${[from, header, ...blocks, ""].join("\n\n").trimEnd()}\n\n${text.slice(end)}`;
}

/** Writes the tables of one benchmark into docs/benchmarks.md, with the machine and the date. */
export function document(name: string, header: string, tables: readonly Table[]): void {
  writeFileSync(DOCUMENT, withTables(readFileSync(DOCUMENT, "utf8"), name, header, tables));
}
