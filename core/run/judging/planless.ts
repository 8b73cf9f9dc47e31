import type { TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import { type VertexView, viewVertices } from "#core/run/judging/vertex-view.ts";
import { type Plan, type PlanVertex, VERTEX_DEFAULTS } from "#core/run/planning/plan.ts";

/** A row that no plan has, or whose plan is not known (yet): seen as it is, with what the row itself tells. */
export function viewOfRow(row: VertexRow, tasks: readonly TaskRow[]): VertexView {
  const [type = "model"] = row.uniqueId.split(".");
  const vertex: PlanVertex = {
    uniqueId: row.uniqueId,
    name: row.uniqueId,
    resourceType: (row.resourceType ?? type) as PlanVertex["resourceType"],
    materialized: null,
    builds: true,
    gateParents: [],
    nodes: [],
    fqn: [],
    packageName: "",
    originalFilePath: "",
    ...VERTEX_DEFAULTS,
  };
  const single: Plan = {
    contract: 1,
    project: "",
    runId: "",
    dbtVersion: "",
    adapterType: null,
    dbtProject: "",
    source: "ls",
    vertices: [vertex],
    endHooks: false,
    endHookCount: 0,
    hookCount: 0,
    warnings: [],
  };
  return viewVertices(single, [row], tasks).get(row.uniqueId)!;
}
