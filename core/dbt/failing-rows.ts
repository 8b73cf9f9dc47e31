import { z } from "zod";
import { type BuildOptions, type DbtFolders, inlineArgv } from "./argv.ts";
import { asciiJson } from "./ascii-json.ts";

/** A data test that found rows, and where dbt keeps them (`store_failures`). */
export interface StoredFailures {
  readonly uniqueId: string;
  readonly relation: string;
}

/** Some of the rows that a data test found, as texts; null for what is null in the warehouse. */
export const rowSampleSchema = z.object({
  columns: z.array(z.string()),
  rows: z.array(z.array(z.string().nullable())),
});
export type RowSample = z.infer<typeof rowSampleSchema>;

/** Samples by the unique_id of their test, as the task keeps them: `failing_rows.json`. */
export const rowSamplesSchema = z.record(z.string(), rowSampleSchema);
export type RowSamples = z.infer<typeof rowSamplesSchema>;

/** One object of five tests, five rows of twenty columns, is at most 100 kB. */
const MOST_COLUMNS = 20;
const MOST_CHARACTERS = 200;

/**
 * `dbt compile --inline` that reads the first rows of each of these tables through dbt's own connection and logs one line
 * for each, which {@link sampledRows} reads. How a query is limited is the adapter's to say: dbt's macro of `dbt show`.
 */
export function sampleArgv(
  folders: DbtFolders,
  options: BuildOptions,
  tests: readonly StoredFailures[],
  rows: number,
): string[] {
  const list = tests.map(({ uniqueId, relation }) => `[${literal(uniqueId)}, ${literal(relation)}]`).join(", ");
  return inlineArgv(
    folders,
    options,
    `{% if execute %}
{% for id, relation in [${list}] %}
{% set found = run_query(get_show_sql("select * from " ~ relation, none, ${rows})) %}
{% set told = namespace(rows=[]) %}
{% for row in found.rows %}{% if loop.index <= ${rows} %}
{% set line = namespace(cells=[]) %}
{% for value in row %}{% if loop.index <= ${MOST_COLUMNS} %}
{% do line.cells.append(none if value is none else (value | string)[:${MOST_CHARACTERS}]) %}
{% endif %}{% endfor %}
{% do told.rows.append(line.cells) %}
{% endif %}{% endfor %}
{% set columns = (found.column_names | list)[:${MOST_COLUMNS}] %}
{{ log("stepwatch-rows " ~ tojson({"id": id, "columns": columns, "rows": told.rows}), info=true) }}
{% endfor %}{% endif %}
select 1 as nothing`,
  );
}

const lineSchema = rowSampleSchema.extend({ id: z.string() });

/** What a line of dbt's output tells of one test; null for any other line. */
export function sampledRows(line: string): { readonly uniqueId: string; readonly sample: RowSample } | null {
  const [, json] = /stepwatch-rows (\{.*\})\s*$/.exec(line) ?? [];
  if (json === undefined) return null;
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return null;
  }
  const { data } = lineSchema.safeParse(value);
  return data === undefined ? null : { uniqueId: data.id, sample: { columns: data.columns, rows: data.rows } };
}

/** A text in Jinja, whose escapes are those of JSON; braces, so that none opens a block. */
const literal = (text: string): string =>
  asciiJson(JSON.stringify(text)).replaceAll("{", "\\u007b").replaceAll("}", "\\u007d");
