import { expect, test } from "vitest";
import type { ImageRow } from "#core/contracts/project-rows.ts";
import { withChosenImage } from "#core/run/planning/chosen-image.ts";
import { exampleSettings } from "../../support/projects.ts";

const deployed = exampleSettings();
const chosen: ImageRow = {
  project: "shop",
  image: "shop@sha256:2",
  over: { producer: deployed.producer.taskDefinitionArn, executionQueue: deployed.executionQueue.taskDefinitionArn },
  producer: "chosen-producer:9",
  executionQueue: "chosen-queue:9",
  by: "jane",
  atMs: 5,
  reason: "",
};

test("D14: a run begins with the revisions that were chosen, both of them, and everything else as deployed", () => {
  expect(withChosenImage(deployed, chosen)).toEqual({
    ...deployed,
    producer: { ...deployed.producer, taskDefinitionArn: "chosen-producer:9" },
    executionQueue: { ...deployed.executionQueue, taskDefinitionArn: "chosen-queue:9" },
  });
});

test("D14: without a choice, and after a deploy that changed either definition, what is deployed counts", () => {
  expect(withChosenImage(deployed, null)).toBe(deployed);
  for (const size of ["producer", "executionQueue"] as const) {
    const later = { ...deployed, [size]: { ...deployed[size], taskDefinitionArn: "deployed-later:10" } };
    expect(withChosenImage(later, chosen)).toBe(later);
  }
});
