import type { RunSummary } from "#core/run/reporting/summary.ts";
import { UsageError } from "./failure.ts";
import { nodeName } from "./view/node-table.ts";

/** As much of a run as it takes to know a vertex by its name. */
export type NamedRun = Pick<RunSummary, "runId"> & { readonly uniqueIds: readonly string[] };

/** What the commands call one vertex of a run: its name where no other has it, else its unique_id. */
export function callable({ uniqueIds }: Pick<NamedRun, "uniqueIds">): (uniqueId: string) => string {
  const times = new Map<string, number>();
  for (const id of uniqueIds) times.set(nodeName(id), (times.get(nodeName(id)) ?? 0) + 1);
  return (id) => (times.get(nodeName(id)) === 1 ? nodeName(id) : id);
}

/**
 * A vertex by its unique_id or by the name that a person calls it.
 * @param command what the person ran, for the command to run next: `logs`
 * @throws {UsageError} naming what fits, or what to look at
 */
export function vertexNamed({ runId, uniqueIds }: NamedRun, name: string, command: string, options: string): string {
  const fits: readonly ((id: string) => boolean)[] = [
    (id) => id === name,
    (id) => nodeName(id) === name,
    // The versions of a model: `orders` means orders.v1, orders.v2 …
    (id) => nodeName(id).startsWith(`${name}.`),
  ];
  const found = fits.map((fit) => uniqueIds.filter(fit)).find((some) => some.length > 0) ?? [];
  if (found.length === 1) return found[0]!;
  if (found.length > 1)
    throw new UsageError(
      `${name} is ambiguous: ${found.join(", ")}.`,
      `npx stepwatch ${command} ${runId} ${found[0]}${options}`,
    );
  throw new UsageError(`The run ${runId} has no node ${name}.`, `npx stepwatch status ${runId}${options}`);
}

/** Ids of all vertices of a run. */
export const uniqueIdsOf = ({ nodes, tests, others }: Pick<RunSummary, "nodes" | "tests" | "others">): string[] =>
  [...nodes, ...tests, ...others].map((vertex) => vertex.uniqueId);
