import { EventBridgeClient } from "@aws-sdk/client-eventbridge";
import { ListExecutionsCommand, SFNClient, StopExecutionCommand } from "@aws-sdk/client-sfn";
import { consumerName } from "#core/names.ts";
import type { RunSummary } from "#core/run/summary.ts";
import { status } from "#local/embedded-aws.ts";
import { clientEnvironment } from "#local/endpoints.ts";
import { readDeployment } from "../../cli/deployment-record.ts";
import type { Deployed } from "./e2e-setup.ts";

async function client(
  deployed: Deployed,
): Promise<{ sfn: SFNClient; consumerMachineArn: string; runMachineArn: string }> {
  const { endpoints } = await status({ stateDir: deployed.stateDir });
  const outputs = readDeployment(deployed.stateDir)?.outputs;
  if (!endpoints || !outputs?.ConsumerMachineArn || !outputs.RunMachineArn)
    throw new Error("Nothing is deployed for the tests.");
  Object.assign(process.env, clientEnvironment(endpoints));
  return {
    sfn: new SFNClient({}),
    consumerMachineArn: outputs.ConsumerMachineArn,
    runMachineArn: outputs.RunMachineArn,
  };
}

/** Clients of the embedded AWS for what its rules deliver. */
export async function eventClients(deployed: Deployed): Promise<{ bus: EventBridgeClient; machines: SFNClient }> {
  const { sfn: machines } = await client(deployed);
  return { bus: new EventBridgeClient({}), machines };
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
