import { type BuildLog, type Change, changeVertex } from "./build-log.ts";

/** A vertex that a build was to build. */
interface Named {
  uniqueId: string;
  name: string;
}

/**
 * dbt 1 skips what hangs on an ephemeral model that could not be compiled by a line that has no id, only a relation. Of
 * what the build was to build, the one vertex of that name of which dbt says nothing else is meant: it is skipped. Where
 * several could be it, nothing is guessed. Changes `log`; call it when dbt has ended.
 */
export function nameSkips(log: BuildLog, planned: Iterable<Named>): Change[] {
  if (log.skippedWithoutId.length === 0) return [];
  const silent = [...planned].filter(({ uniqueId }) => (log.vertices.get(uniqueId)?.class ?? null) === null);
  const byName = Map.groupBy(silent, ({ name }) => name);
  return log.skippedWithoutId.flatMap(({ relation }) => {
    const [meant, ...others] = byName.get(relation) ?? [];
    if (meant === undefined || others.length > 0) return [];
    return changeVertex(log, meant.uniqueId, (record) => {
      record.saidSkipped ??= { atMs: null };
    });
  });
}
