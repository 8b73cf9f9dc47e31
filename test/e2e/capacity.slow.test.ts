import { DescribeTasksCommand, ECSClient } from "@aws-sdk/client-ecs";
import { expect, test } from "vitest";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import { status } from "#local/embedded-aws.ts";
import { clientEnvironment } from "#local/endpoints.ts";
import { readDeployment } from "../../cli/deployment-record.ts";
import { AUDIT_OF_RUN, auditRows, wrongsOf } from "../support/audit.ts";
import { runCli, startProject } from "../support/cli.ts";
import { ownStack } from "../support/own-stack.ts";
import { onlyRunning, statusOnce } from "../support/run-status.ts";
import { askPostgres } from "../support/warehouse.ts";

const deployed = ownStack();
const PROJECT = "granary_spot";
const NO_ROOM = "Capacity is unavailable at this time. Please try again later or in a different availability zone";
const LONG = { timeout: 300_000 };
const nodeOf = (summary: RunSummary, name: string) =>
  summary.nodes.find((node) => node.uniqueId === `model.granary.${name}`)!;

async function control(faults: object): Promise<void> {
  const { endpoints } = await status({ stateDir: deployed.stateDir });
  const answer = await fetch(`${endpoints!.ecsEndpointUrl}/_control`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(faults),
  });
  expect(answer.ok).toBe(true);
}

/** Which capacity each task of a run had, by ECS' word. */
async function providersOf(summary: RunSummary): Promise<(string | undefined)[]> {
  const { endpoints } = await status({ stateDir: deployed.stateDir });
  Object.assign(process.env, clientEnvironment(endpoints!));
  const cluster = readDeployment(deployed.stateDir)!.outputs!.ClusterName;
  const arns = summary.tasks.map(({ taskArn }) => taskArn!);
  const { tasks = [] } = await new ECSClient({}).send(new DescribeTasksCommand({ cluster, tasks: arns }));
  return arns.map((arn) => tasks.find(({ taskArn }) => taskArn === arn)?.capacityProviderName);
}

async function expectEachBuiltOnce(summary: RunSummary): Promise<void> {
  const audit = auditRows(await askPostgres(deployed, AUDIT_OF_RUN(PROJECT, summary.runId)));
  expect(wrongsOf(audit)).toEqual([]);
  expect(audit).toHaveLength(summary.nodes.length);
}

const ended = (runId: string) => statusOnce(deployed, runId, (one) => one.state !== "running");

test(
  "D21 D6: a container on Spot is taken away in the middle: what ran and what was left are built in one build on demand, once each, and no try is used",
  LONG,
  async () => {
    const runId = await startProject(deployed, PROJECT, ["--vars", JSON.stringify({ slow: { cheese: 12 } })]);
    const half = await statusOnce(deployed, runId, onlyRunning(["model.granary.cheese"], ["model.granary.sandwich"]));
    await control({ takeSpotAway: half.tasks[0]!.taskArn });
    const summary = await ended(runId);
    expect(summary.state, summary.verdict ?? "").toBe("green");
    expect(summary.tasks.map(({ kind }) => kind)).toEqual(["producer", "recovery"]);
    expect(await providersOf(summary)).toEqual(["FARGATE_SPOT", undefined]);
    expect(nodeOf(summary, "cheese").tries).toBe(1);
    await expectEachBuiltOnce(summary);
  },
);

test(
  "D21: without room, on Spot and then on demand, a run says what it waits for, waits, and is green",
  LONG,
  async () => {
    await control({ failNextRunTasks: [{ reason: NO_ROOM }, { reason: NO_ROOM }] });
    const runId = await startProject(deployed, PROJECT);
    for (let words = ""; !words.includes("ECS has no room for it: 2 launches refused"); )
      words = (await runCli(deployed, ["why", runId])).stdout;
    const summary = await ended(runId);
    expect(summary.state, summary.verdict ?? "").toBe("green");
    expect(summary.tasks.map(({ kind }) => kind)).toEqual(["producer"]);
    expect(await providersOf(summary)).toEqual([undefined]);
    await expectEachBuiltOnce(summary);
  },
);
