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
  const byName = Map.groupBy(planned, ({ name }) => name);
  const classOf = ({ uniqueId }: Named) => log.vertices.get(uniqueId)?.class ?? null;
  return log.skippedWithoutId.flatMap((skip) => {
    const ofName = byName.get(skip.relation) ?? [];
    const [meant, ...others] = ofName.filter((one) => classOf(one) === null);
    if (meant === undefined) skip.uniqueId ??= ofName.find((one) => classOf(one) === "not_built")?.uniqueId ?? null;
    if (meant === undefined || others.length > 0) return [];
    skip.uniqueId = meant.uniqueId;
    return changeVertex(log, meant.uniqueId, (record) => {
      record.saidSkipped ??= { atMs: null };
    });
  });
}
