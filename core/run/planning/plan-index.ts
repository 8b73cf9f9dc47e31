import { TEST_TYPES } from "#core/dbt/resource-types.ts";
import type { Plan, PlanVertex } from "#core/run/planning/plan.ts";

/** What is looked up in a plan again and again, found by one pass over its vertices. */
export interface PlanIndex {
  /** Each vertex of the plan by its unique_id. */
  readonly vertexOf: ReadonlyMap<string, PlanVertex>;
  /** The planned tests of a node, unit tests included, in plan order. A test over several nodes stands at each of them (C2). */
  readonly testsOf: ReadonlyMap<string, readonly PlanVertex[]>;
}

const indexes = new WeakMap<readonly PlanVertex[], PlanIndex>();

/**
 * The index of a plan. It is kept as long as the plan's vertices are: a plan is written once, and a warm function or
 * the live view asks the same one for each node and each second (one pass a question made both quadratic).
 */
export function planIndex({ vertices }: Pick<Plan, "vertices">): PlanIndex {
  const known = indexes.get(vertices);
  if (known) return known;
  const tests = new Map<string, PlanVertex[]>();
  for (const vertex of vertices) {
    if (!TEST_TYPES.has(vertex.resourceType)) continue;
    for (const node of new Set(vertex.nodes)) {
      const ofNode = tests.get(node);
      if (ofNode) ofNode.push(vertex);
      else tests.set(node, [vertex]);
    }
  }
  const index = { vertexOf: new Map(vertices.map((vertex) => [vertex.uniqueId, vertex])), testsOf: tests };
  indexes.set(vertices, index);
  return index;
}
