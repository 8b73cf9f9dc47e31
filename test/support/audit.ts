/** What a model of the granary project has noted of a build, in the transaction of its own table. */
export interface AuditRow {
  readonly name: string;
  readonly task: number;
  /** Run, task and dbt invocation of the build: no two builds of one model have the same. */
  readonly build: string;
  /** The builds of its parents that it has read. */
  readonly parents: ReadonlyMap<string, string>;
}

/** Rows of one run, as the warehouse answers them: name, task, build, parents. */
export const auditRows = (rows: readonly (readonly unknown[])[]): AuditRow[] =>
  rows.map(([name, task, build, parents]) => ({
    name: String(name),
    task: Number(task),
    build: String(build),
    parents: new Map(
      String(parents)
        .split(" ")
        .filter(Boolean)
        .map((pair) => pair.split("=") as [string, string]),
    ),
  }));

export const AUDIT_OF_RUN = (schema: string, runId: string): string =>
  `select name, task, build, parents from ${schema}.audit where run_id = '${runId}'`;

/**
 * What the warehouse itself says against a run: a node that was built twice (so that a good one was built again), and a
 * child that is older than the last good build of its parent.
 */
export function wrongsOf(rows: readonly AuditRow[]): string[] {
  const builds = Map.groupBy(rows, (row) => row.name);
  const twice = [...builds]
    .filter(([, of]) => of.length > 1)
    .map(([name, of]) => `${name} was built ${of.length} times`);
  const stale = rows.flatMap(({ name, parents }) =>
    [...parents].flatMap(([parent, read]) => {
      const last = builds.get(parent)?.at(-1)?.build;
      return last === undefined || last === read ? [] : [`${name} stands on ${read} of ${parent}, not on ${last}`];
    }),
  );
  return [...twice, ...stale];
}
