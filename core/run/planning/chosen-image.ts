import type { ImageRow } from "#core/contracts/project-rows.ts";
import type { ProjectSettings } from "#core/contracts/settings.ts";

/**
 * A project's settings with the image that a person has chosen since the deploy. Once another deploy has made new task
 * definitions, theirs counts: the chosen ones were made from what is no longer deployed (roles, variables, sizes).
 */
export function withChosenImage(deployed: ProjectSettings, chosen: ImageRow | null): ProjectSettings {
  if (chosen === null || !isOverDeployed(deployed, chosen)) return deployed;
  return {
    ...deployed,
    producer: { ...deployed.producer, taskDefinitionArn: chosen.producer },
    executionQueue: { ...deployed.executionQueue, taskDefinitionArn: chosen.executionQueue },
  };
}

/** Whether an image was chosen over the task definitions that are deployed now. */
export const isOverDeployed = (deployed: Pick<ProjectSettings, "producer" | "executionQueue">, { over }: ImageRow) =>
  over.producer === deployed.producer.taskDefinitionArn &&
  over.executionQueue === deployed.executionQueue.taskDefinitionArn;
