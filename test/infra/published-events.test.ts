import { expect, test } from "vitest";
import { exampleConfig } from "../support/projects.ts";
import { asText, resourcesOf, synthesise } from "./example-stack.ts";

const functionsOf = (top: Record<string, unknown>) =>
  Object.values(resourcesOf(synthesise(exampleConfig(top)).template)).filter(
    ({ Type, Properties }) => Type === "AWS::Lambda::Function" && Properties.FunctionName === "stepwatch-publish",
  );

test("H3: the function and its place at the stream are made only where events are asked for; datasets can be off", () => {
  const environment = (top: Record<string, unknown>) =>
    functionsOf(top).map(
      ({ Properties }) =>
        (Properties.Environment as unknown as { Variables: Record<string, string> }).Variables.STEPWATCH_DATASETS,
    );
  expect(environment({})).toEqual(["on"]);
  expect(environment({ events: { datasets: false } })).toEqual(["off"]);
  expect(environment({ events: { publish: "warnings" } })).toEqual([]);
  const streams = (top: Record<string, unknown>) =>
    Object.keys(synthesise(exampleConfig(top)).template.findResources("AWS::Lambda::EventSourceMapping")).length;
  expect(streams({})).toBe(streams({ events: { publish: "warnings" } }) + 1);
});

test("H4: an event waits for an EventBridge that is away, and what can not be told is kept", () => {
  const { template } = synthesise();
  const mapping = Object.entries(template.findResources("AWS::Lambda::EventSourceMapping")).find(([id]) =>
    id.startsWith("Events"),
  )![1].Properties;
  expect(mapping).toMatchObject({
    MaximumRecordAgeInSeconds: 6 * 3_600,
    BisectBatchOnFunctionError: true,
    MaximumBatchingWindowInSeconds: 1,
  });
  expect(asText(mapping.DestinationConfig.OnFailure.Destination)).toMatch(/^<EventsFailedQueue/);
  // Lambda takes five filters a mapping.
  expect(mapping.FilterCriteria.Filters.length).toBeLessThanOrEqual(5);
});
