import {
  DisableRuleCommand,
  EnableRuleCommand,
  ListRulesCommand,
  PutRuleCommand,
  type Rule,
} from "@aws-sdk/client-eventbridge";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import { runCli, startProject } from "../support/cli.ts";
import { eventClients, stopExecution } from "../support/consumers.ts";
import { ownStack } from "../support/own-stack.ts";
import { statusOnce } from "../support/run-status.ts";

const deployed = ownStack();
const over = (summary: RunSummary) => summary.state !== "running";
const statusOf = (runId: string) => runCli(deployed, ["status", runId, "--config", deployed.configPath]);

async function ruleNamed(part: string): Promise<Rule & { Name: string }> {
  const { bus } = await eventClients(deployed);
  const { Rules: rules = [] } = await bus.send(new ListRulesCommand({}));
  const found = rules.find(({ Name: name = "" }) => name.includes(part));
  if (found?.Name === undefined) throw new Error(`No rule ${part} among ${rules.map(({ Name }) => Name).join(", ")}.`);
  return { ...found, Name: found.Name };
}

/** The event of an ended execution reaches nobody in these tests. */
beforeAll(async () => {
  const { bus } = await eventClients(deployed);
  await bus.send(new DisableRuleCommand({ Name: (await ruleNamed("Ended")).Name }));
});
afterAll(async () => {
  const { bus } = await eventClients(deployed);
  await bus.send(new EnableRuleCommand({ Name: (await ruleNamed("Ended")).Name }));
});

/** A run whose execution was stopped while dbt builds, and of which nobody has heard. */
async function leftAlone(): Promise<RunSummary> {
  const runId = await startProject(deployed, "orchard", ["--vars", JSON.stringify({ slow: { plum: 600 } })]);
  const plum = "model.orchard.plum";
  const live = await statusOnce(deployed, runId, ({ nodes }) =>
    nodes.some((node) => node.uniqueId === plum && node.class === "running"),
  );
  await stopExecution(deployed, live.executionArn, "nobody hears of it");
  const status = await statusOf(runId);
  expect(status.code).toBe(3);
  expect(status.stdout).toContain("✘ no verdict");
  return live;
}

test("G33: a run whose end nobody heard of is ended by stepwatch stop", async () => {
  const { runId } = await leftAlone();
  const stop = ["stop", runId, "--reason", "its execution has ended", "--config", deployed.configPath];
  const end = await runCli(deployed, stop);
  expect(end).toMatchObject({ code: 0, stderr: expect.stringContaining("Its execution has ended (ABORTED)") });
  expect((await statusOf(runId)).code).toBe(1);
}, 240_000);

test("G33: and by the sweep, when its time has come", async () => {
  const { runId } = await leftAlone();
  const { bus } = await eventClients(deployed);
  const sweep = await ruleNamed("Sweep");
  expect(sweep.ScheduleExpression).toBe("rate(15 minutes)");
  await bus.send(new PutRuleCommand({ Name: sweep.Name, ScheduleExpression: "rate(1 minute)", State: "ENABLED" }));
  try {
    const summary = await statusOnce(deployed, runId, over);
    expect(summary.verdict).toBe("Stopped: its execution was stopped in Step Functions: nobody hears of it");
  } finally {
    await bus.send(new PutRuleCommand({ Name: sweep.Name, ScheduleExpression: "rate(15 minutes)", State: "ENABLED" }));
  }
}, 300_000);
