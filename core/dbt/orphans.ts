import { type BuildOptions, type DbtFolders, inlineArgv } from "./argv.ts";
import { asciiJson } from "./ascii-json.ts";

/** Queries that a dbt which is gone may have left running: of these vertices, of connections older than this moment. */
export interface OrphanSearch {
  readonly uniqueIds: readonly string[];
  /** Connections that were opened later are nobody's orphans of ours. Milliseconds. */
  readonly openedBeforeMs: number;
}

/** What the warehouse says when its orphans have been ended. */
export interface OrphanAnswer {
  readonly ended: number;
  /** Still there after the last look. */
  readonly left: number;
}

/**
 * By adapter: Jinja that ends the orphans through dbt's own connection, waits for their end, and logs one line that
 * {@link orphanAnswer} reads. The place for another adapter; docs/adr/0029-orphans-are-ended-through-dbts-adapter.md
 * says what it must hold.
 */
const ENDS_ORPHANS: Readonly<Record<string, (search: OrphanSearch) => string>> = { postgres: endOnPostgres };

/** Whether this adapter's orphans can be found and ended. */
export const endsOrphans = (adapterType: string | null): boolean => adapterType !== null && adapterType in ENDS_ORPHANS;

/** `dbt compile --inline` that ends them; null where nobody knows how. It runs no hook and builds nothing. */
export function orphanArgv(
  adapterType: string | null,
  folders: DbtFolders,
  options: BuildOptions,
  search: OrphanSearch,
): string[] | null {
  const jinja = ENDS_ORPHANS[adapterType ?? ""];
  return jinja ? inlineArgv(folders, options, jinja(search)) : null;
}

/** The answer in a line of dbt's output; null for any other line. */
export function orphanAnswer(line: string): OrphanAnswer | null {
  const found = /stepwatch-orphans ended=(\d+) left=(\d+)/.exec(line);
  return found ? { ended: Number(found[1]), left: Number(found[2]) } : null;
}

/** How often, and how long between, the warehouse is asked whether they are gone: ten seconds. */
const LOOKS = 20;
const PAUSE_SECONDS = 0.5;

/**
 * Postgres: sessions of our own user in our own database whose query bears dbt's comment, at its place, with our profile,
 * our target and one of the vertices. What a person runs, another target, and a dbt that began later are not touched.
 * dbt ends what it cancels by the same function. Statistics are a snapshot per transaction, hence cleared. Whether this
 * project's queries bear the comment at all is read from our own; one at the end is cut off with a long query.
 */
function endOnPostgres({ uniqueIds, openedBeforeMs }: OrphanSearch): string {
  const nodes = uniqueIds.map((id) => `position('"node_id": ${quoted(id)}' in said) > 0`).join(" or ");
  return `{% if execute %}
{% set whose %}
from pg_stat_activity,
  lateral (select coalesce(
    substring(query from '^/\\* (\\{"app": "dbt".*?\\}) \\*/'),
    substring(query from '/\\* (\\{"app": "dbt"[^*]*\\}) \\*/;?\\s*$')) as said) as comment
where pid <> pg_backend_pid() and datname = current_database() and usename = session_user
  and backend_start < to_timestamp(${openedBeforeMs / 1000})
  and position('"profile_name": ' || '{{ tojson(target.profile_name) | replace("'", "''") }}' in said) > 0
  and position('"target_name": ' || '{{ tojson(target.name) | replace("'", "''") }}' in said) > 0
  and (${nodes})
{% endset %}
{% set marked %}
select count(*) from pg_stat_activity where pid = pg_backend_pid() and query ~ '^/\\* \\{"app": "dbt".*"target_name": '
{% endset %}
{% if run_query(marked).columns[0].values()[0] == 0 %}
{{ log("stepwatch-orphans can not be told apart: the project's query comment is not dbt's own, or stands at the end", info=true) }}
{% else %}
{% set ended = run_query("select count(pg_terminate_backend(pid)) " ~ whose).columns[0].values()[0] %}
{% set ns = namespace(left=ended) %}
{% for look in range(${LOOKS}) %}{% if ns.left > 0 %}
{% do run_query("select pg_sleep(${PAUSE_SECONDS})") %}
{% do run_query("select pg_stat_clear_snapshot()") %}
{% set ns.left = run_query("select count(*) " ~ whose).columns[0].values()[0] %}
{% endif %}{% endfor %}
{{ log("stepwatch-orphans ended=" ~ ended ~ " left=" ~ ns.left, info=true) }}
{% endif %}{% endif %}
select 1 as nothing`;
}

/** As dbt's comment has it (JSON in ASCII), inside a text of SQL. */
const quoted = (uniqueId: string): string => asciiJson(JSON.stringify(uniqueId)).replaceAll("'", "''");

/**
 * Words of a warehouse for two writers that met: what a second build says while an orphan of the first is at work, or
 * has just been rolled back. Postgres' catalogue indexes, its locks and its tuples.
 */
const COLLISION =
  /duplicate key value violates unique constraint "pg_(?:type|class)_\w+"|tuple concurrently (?:updated|deleted)|could not obtain lock|lock timeout|lock not available|deadlock detected|__dbt_(?:tmp|backup)\S* already exists|could not serialize access/i;

/** Whether an orphan explains such a failure of the next build (behaviour D12). */
export const isCollision = (message: string): boolean => COLLISION.test(message);
