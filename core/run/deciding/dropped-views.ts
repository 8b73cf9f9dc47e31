import { NODE_TYPES } from "#core/dbt/resource-types.ts";
import { isGood, type VertexView } from "#core/run/judging/vertex-view.ts";
import type { PlanVertex } from "#core/run/planning/plan.ts";

/**
 * Adapters whose dbt renames the relation that it replaces, and drops that `cascade`: a view hangs on the relation that
 * it was created on, not on its name, and goes with it. Elsewhere a view finds the new one by its name.
 */
const DROP_CASCADE: ReadonlySet<string> = new Set(["postgres", "redshift"]);

/** What dbt changes in place; a full refresh replaces some of them too. */
const CHANGED_IN_PLACE: ReadonlySet<string> = new Set(["incremental", "seed", "snapshot", "materialized_view"]);

/** What has rows of its own, and keeps them whatever becomes of what it was built from. */
const TABLES: ReadonlySet<string> = new Set(["table", "incremental", "seed", "snapshot"]);

/** A reader that the warehouse drops with the relation that it reads. One of which nobody knows what it is may be one. */
export const isDroppedWith = ({ materialized }: PlanVertex, adapterType: string | null): boolean =>
  DROP_CASCADE.has(adapterType ?? "") && !TABLES.has(materialized ?? "");

/** Whether a build of it puts a new relation in the place of the old one. */
export const isReplaced = ({ materialized }: PlanVertex, fullRefresh: boolean): boolean =>
  fullRefresh || !CHANGED_IN_PLACE.has(materialized ?? "");

/**
 * Good readers that the warehouse would drop with what is built again beneath them, and that are not built again
 * themselves: views on it, and views on these. See docs/adr/0063-a-good-node-and-its-readers.md.
 * @param views in gate order
 */
export function droppedViews(
  views: ReadonlyMap<string, VertexView>,
  builds: readonly VertexView[],
  fullRefresh: boolean,
): VertexView[] {
  const again = new Set(builds);
  const gone = new Set<string>();
  const dropped: VertexView[] = [];
  for (const [id, view] of views) {
    const { plan, adapterType } = view;
    if (again.has(view) && plan.builds) {
      // A data test, which gates what is below its node, is no relation.
      if (NODE_TYPES.has(plan.resourceType) && isReplaced(plan, fullRefresh)) gone.add(id);
      continue;
    }
    if (!NODE_TYPES.has(plan.resourceType) || !plan.gateParents.some((parent) => gone.has(parent))) continue;
    // What dbt builds nothing for stands in the SQL of its readers.
    if (!plan.builds) gone.add(id);
    else if (isGood(view) && isDroppedWith(plan, adapterType)) {
      gone.add(id);
      dropped.push(view);
    }
  }
  return dropped;
}
