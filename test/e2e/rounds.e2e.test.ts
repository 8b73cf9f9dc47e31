import { expect, test } from "vitest";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import { runCli } from "../support/cli.ts";
import { consumerArn, endedConsumers, endedExecution, redriveExecution } from "../support/consumers.ts";
import { needs } from "../support/needs.ts";
import { expectRepaired, orchardId, redOrchard } from "../support/orchard.ts";
import { ownStack } from "../support/own-stack.ts";
import { repaired } from "../support/run-status.ts";

const deployed = ownStack();

test("G8: stepwatch retry: says what it builds, builds what is not good in one build, and ends the same execution green", async (context) => {
  needs(context, "redrive");
  const first = await redOrchard(deployed);
  const line = ["retry", first.runId, "--reason", "the grant is there", "--config", deployed.configPath, "--json"];
  const end = await runCli(deployed, line);
  expect(end.stderr).toMatch(/builds\s+apple \(failed or cut off\)/);
  expect(end.code).toBe(0);
  const summary = JSON.parse(end.stdout) as RunSummary;
  await expectRepaired(deployed, summary);
  expect(summary.opening).toMatchObject({ by: "person", reason: "the grant is there" });
  const again = await runCli(deployed, line);
  expect(again).toMatchObject({ code: 2, stderr: expect.stringContaining("there is nothing to retry") });
}, 240_000);

test("F14: Redrive on a consumer: its node is tried again, what waited for it is built, the consumer itself ends green", async (context) => {
  needs(context, "redrive");
  const first = await redOrchard(deployed);
  const arn = await consumerArn(deployed, first, orchardId("apple"));
  expect(await endedExecution(deployed, arn)).toBe("FAILED");
  await redriveExecution(deployed, arn);
  const summary = await repaired(deployed, first.runId);
  await expectRepaired(deployed, summary);
  const consumers = await endedConsumers(deployed, summary);
  expect(consumers.get(orchardId("apple_juice"))).toBe("SUCCEEDED");
  expect(consumers.has(orchardId("apple"))).toBe(false);
  expect(await endedExecution(deployed, arn)).toBe("SUCCEEDED");
}, 240_000);
