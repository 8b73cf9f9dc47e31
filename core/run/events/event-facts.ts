import { executionUrl, logUrl } from "#core/console-links.ts";
import type { RunRow, TaskRow } from "#core/contracts/ledger.ts";
import { NODE_TYPES } from "#core/dbt/resource-types.ts";
import { consumerName, eventId, executionArn, projectLogGroup } from "#core/names.ts";
import type { FactOwner, NodeFacts, VertexFacts } from "#core/run/planning/node-facts.ts";
import type { PlanVertex } from "#core/run/planning/plan.ts";

/** Where events come from: what their links and names are made of. */
export interface EventOrigin {
  readonly stack: string;
  readonly consumerMachineArn: string;
}

/** A text that events carry of what dbt or a person wrote. Characters. */
export const MOST_TEXT = 4_000;

/** A text as an event carries it: cut where it is long. */
export const cut = (text: string, most = MOST_TEXT): string => (text.length <= most ? text : `${text.slice(0, most)}…`);

/** What every event of a run begins with. */
export function headOf(run: RunRow, { stack }: EventOrigin, about: string) {
  const { project, runId, round } = run;
  return {
    contract: 1 as const,
    id: eventId({ project, runId, round }, about),
    project,
    runId,
    round,
    stack,
    runUrl: executionUrl(run.executionArn),
  };
}

/** Facts of one vertex; none where they are not known. */
export const factsIn = (facts: NodeFacts | null, uniqueId: string): VertexFacts =>
  facts !== null && Object.hasOwn(facts.vertices, uniqueId) ? facts.vertices[uniqueId]! : {};

/** Who answers for a vertex. */
export const ownerIn = (facts: NodeFacts | null, uniqueId: string): FactOwner | null =>
  factsIn(facts, uniqueId).owner ?? null;

/** What every event about one vertex begins with. */
export function vertexHead(
  run: RunRow,
  vertex: PlanVertex,
  from: EventOrigin & { readonly facts: NodeFacts | null; readonly task: TaskRow | null },
  about: string,
) {
  const facts = factsIn(from.facts, vertex.uniqueId);
  const hasExecution = NODE_TYPES.has(vertex.resourceType) && vertex.builds;
  const arn = hasExecution ? executionArn(from.consumerMachineArn, consumerName(run, vertex.uniqueId)) : null;
  return {
    ...headOf(run, from, `${about} ${vertex.uniqueId}`),
    uniqueId: vertex.uniqueId,
    name: vertex.name,
    resourceType: vertex.resourceType,
    materialized: vertex.materialized,
    owner: facts.owner ?? null,
    tags: facts.tags ?? [],
    meta: facts.meta ?? null,
    executionArn: arn,
    executionUrl: arn === null ? null : executionUrl(arn),
    logUrl: logUrl(run.executionArn, projectLogGroup(from.stack, run.project), from.task?.logStream),
  };
}
