import type { SimulatedProject } from "./simulated-project.ts";

/**
 * Which planned vertices can be good at the end, told from the behaviours alone and by another way than the step: no
 * time, no builds, no classes. A vertex that dbt builds in spite of an unreported parent is good all the same.
 */
export function canBeGood(project: SimulatedProject): Map<string, boolean> {
  const planned = new Map(project.plan.vertices.map((one) => [one.uniqueId, one]));
  const able = new Map<string, boolean>();
  const ask = (id: string): boolean => {
    const known = able.get(id);
    if (known !== undefined) return known;
    const answer = alone(project, id) && planned.get(id)!.gateParents.every(ask);
    able.set(id, answer);
    return answer;
  };
  for (const id of planned.keys()) ask(id);
  // Whether dbt came to a unit test before its model was out of the question is a matter of chance (behaviour C15).
  const pointless = [...planned.values()].filter(({ uniqueId, resourceType, nodes }) => {
    return resourceType === "unit_test" && able.get(uniqueId) && nodes.some((model) => !able.get(model));
  });
  for (const { uniqueId } of pointless) able.delete(uniqueId);
  return able;
}

function alone({ vertices, plan, policy }: SimulatedProject, id: string): boolean {
  const { failures, kills, unreported, message, builds } = vertices.get(id)!;
  if (unreported) return !builds;
  if (kills > policy.losses) return false;
  if (failures === 0) return true;
  const kind = id.split(".")[0];
  const retries = plan.vertices.find((one) => one.uniqueId === id)!.overrides.retries;
  if (kind === "test" && policy.onTestFailure === "none") return false;
  if (policy.retryOn === "transient" && comesToTheSame(kind, message!, policy)) return false;
  const byKind = kind === "test" || kind === "unit_test" ? policy.retries.test : policy.retries.node;
  return failures <= (retries ?? byKind);
}

/** A unit test; a test that found rows, unless its node is built again for it; what does not compile. */
function comesToTheSame(
  kind: string | undefined,
  message: string,
  { onTestFailure }: SimulatedProject["policy"],
): boolean {
  if (kind === "unit_test" || message.startsWith("Compilation")) return true;
  return kind === "test" && onTestFailure === "test" && !/closed the connection/.test(message);
}
