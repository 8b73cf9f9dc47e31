import type { Artefacts } from "#clients/artefacts.ts";
import { factsKeyOf, MOST_FACTS_BYTES, type NodeFacts, nodeFactsSchema } from "#core/run/planning/node-facts.ts";

/** Facts of the runs of one moment that a warm function keeps. */
const KEPT = 4;

/**
 * Reads what the dbt project says of a plan's nodes, and keeps the last few. Null where it is not there, or can not be
 * read: a container writes it, nothing is decided by it, and events go without it.
 */
export function factsReader(
  artefacts: Pick<Artefacts, "getJson">,
  warn: (sentence: string) => void,
): (planKey: string) => Promise<NodeFacts | null> {
  const kept = new Map<string, NodeFacts>();
  return async (planKey) => {
    const known = kept.get(planKey);
    if (known) return known;
    const facts = await read(factsKeyOf(planKey)).catch((error: unknown) => {
      warn(`What the project says of its nodes can not be read beside ${planKey} (${String(error)}).`);
      return null;
    });
    if (facts === null) return null;
    kept.set(planKey, facts);
    const oldest = kept.keys().next().value;
    if (kept.size > KEPT && oldest !== undefined) kept.delete(oldest);
    return facts;
  };

  async function read(key: string): Promise<NodeFacts | null> {
    const value = await artefacts.getJson(key, MOST_FACTS_BYTES);
    return value === null ? null : nodeFactsSchema.parse(value);
  }
}
