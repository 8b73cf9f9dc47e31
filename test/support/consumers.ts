import { CloudFormationClient } from "@aws-sdk/client-cloudformation";
import { EventBridgeClient } from "@aws-sdk/client-eventbridge";
import {
  DescribeExecutionCommand,
  ListExecutionsCommand,
  RedriveExecutionCommand,
  SFNClient,
  StopExecutionCommand,
} from "@aws-sdk/client-sfn";
import { consumerName } from "#core/names.ts";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import type { Deployed } from "./e2e-setup.ts";
import { useStack } from "./place.ts";

async function client(
  deployed: Deployed,
): Promise<{ sfn: SFNClient; consumerMachineArn: string; runMachineArn: string }> {
  const { ConsumerMachineArn: consumerMachineArn, RunMachineArn: runMachineArn } = await useStack(deployed);
  if (!consumerMachineArn || !runMachineArn) throw new Error("The tests' stack has no machines.");
  return { sfn: new SFNClient({}), consumerMachineArn, runMachineArn };
}

/** Clients of the embedded AWS for what its rules deliver. */
export async function eventClients(
  deployed: Deployed,
): Promise<{ bus: EventBridgeClient; machines: SFNClient; templates: CloudFormationClient }> {
  const { sfn: machines } = await client(deployed);
  return { bus: new EventBridgeClient({}), machines, templates: new CloudFormationClient({}) };
}

/** Status of each consumer execution of a run, by unique_id; executions that no node explains come out under their name. */
export async function consumerStatuses(deployed: Deployed, summary: RunSummary): Promise<Map<string, string>> {
  const { sfn, consumerMachineArn } = await client(deployed);
  const nodes = new Map(summary.nodes.map((node) => [consumerName(summary, node.uniqueId), node.uniqueId]));
  const statuses = new Map<string, string>();
  let nextToken: string | undefined;
  do {
    const page = await sfn.send(new ListExecutionsCommand({ stateMachineArn: consumerMachineArn, nextToken }));
    for (const { name = "", status: state = "" } of page.executions ?? [])
      if (nodes.has(name)) statuses.set(nodes.get(name)!, state);
    nextToken = page.nextToken;
  } while (nextToken);
  return statuses;
}

/** Waits until every consumer of a run has ended: a turn after the run at most, since none depends on it. */
export async function endedConsumers(
  deployed: Deployed,
  summary: RunSummary,
  withinMs = 30_000,
): Promise<Map<string, string>> {
  const until = Date.now() + withinMs;
  for (;;) {
    const statuses = await consumerStatuses(deployed, summary);
    if (![...statuses.values()].includes("RUNNING")) return statuses;
    if (Date.now() > until) throw new Error(`Consumers still run: ${JSON.stringify([...statuses])}`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

/** Waits until a node's consumer runs: check-run starts it a turn after dbt has reached the node. */
export async function runningConsumer(deployed: Deployed, summary: RunSummary, uniqueId: string): Promise<void> {
  const until = Date.now() + 30_000;
  while ((await consumerStatuses(deployed, summary)).get(uniqueId) !== "RUNNING") {
    if (Date.now() > until) throw new Error(`The consumer of ${uniqueId} does not run.`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

/** Stops a consumer execution as a person would in the console. */
export async function stopConsumer(
  deployed: Deployed,
  run: { project: string; runId: string; round: number },
  uniqueId: string,
): Promise<void> {
  const { sfn, consumerMachineArn } = await client(deployed);
  const executionArn = `${consumerMachineArn.replace(":stateMachine:", ":execution:")}:${consumerName(run, uniqueId)}`;
  await sfn.send(new StopExecutionCommand({ executionArn, cause: "stopped by a person" }));
}

/** Stops the execution of a run as a person would in the console. */
export async function stopExecution(deployed: Deployed, executionArn: string, cause: string): Promise<void> {
  const { sfn } = await client(deployed);
  await sfn.send(new StopExecutionCommand({ executionArn, cause }));
}

/** Waits until a run's execution has ended, hence what follows its verdict. */
export async function endedExecution(deployed: Deployed, executionArn: string, withinMs = 60_000): Promise<string> {
  const until = Date.now() + withinMs;
  for (;;) {
    const status = await executionStatus(deployed, executionArn);
    if (status !== "RUNNING") return status;
    if (Date.now() > until) throw new Error(`The execution goes on: ${executionArn}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** The status of an execution as it is now. */
export async function executionStatus(deployed: Deployed, executionArn: string): Promise<string> {
  const { sfn } = await client(deployed);
  return (await sfn.send(new DescribeExecutionCommand({ executionArn }))).status ?? "";
}

/** Presses Redrive on an execution, as a person would in the console, where only one that has ended has that button. */
export async function redriveExecution(deployed: Deployed, executionArn: string): Promise<void> {
  const { sfn } = await client(deployed);
  await endedExecution(deployed, executionArn);
  await sfn.send(new RedriveExecutionCommand({ executionArn }));
}

/** ARN of the execution that watches a node in a round of its run. */
export async function consumerArn(
  deployed: Deployed,
  run: { project: string; runId: string; round: number },
  uniqueId: string,
): Promise<string> {
  const { consumerMachineArn } = await client(deployed);
  return `${consumerMachineArn.replace(":stateMachine:", ":execution:")}:${consumerName(run, uniqueId)}`;
}
