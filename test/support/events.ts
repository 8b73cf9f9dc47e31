import { type EventBridgeClient, PutRuleCommand, PutTargetsCommand } from "@aws-sdk/client-eventbridge";
import {
  CreateStateMachineCommand,
  DescribeExecutionCommand,
  ListExecutionsCommand,
  type SFNClient,
} from "@aws-sdk/client-sfn";
import { vi } from "vitest";
import { EVENT_SOURCE } from "#core/contracts/events.ts";

/** An event as a target of a rule gets it. */
export interface ReceivedEvent {
  readonly source: string;
  readonly "detail-type": string;
  readonly resources: readonly string[];
  readonly detail: Record<string, unknown>;
}

/** Any role that an emulator takes: it enforces none. */
const ROLE = "arn:aws:iam::000000000000:role/rule";

/** EventBridge delivers a moment after PutEvents has answered. Milliseconds. */
const DELIVERED_WITHIN_MS = 10_000;

/**
 * A rule on the default bus, as a person would put it, with a state machine as target: each event is an execution, and
 * its input the event. The answer waits until so many events have arrived, and gives all of them.
 */
export async function receiveEvents(
  clients: { bus: EventBridgeClient; machines: SFNClient },
  name: string,
  pattern: Record<string, unknown>,
): Promise<(count: number) => Promise<ReceivedEvent[]>> {
  const { bus, machines } = clients;
  const definition = JSON.stringify({ StartAt: "Received", States: { Received: { Type: "Succeed" } } });
  const { stateMachineArn } = await machines.send(new CreateStateMachineCommand({ name, roleArn: ROLE, definition }));
  const EventPattern = JSON.stringify({ source: [EVENT_SOURCE], ...pattern });
  await bus.send(new PutRuleCommand({ Name: name, EventPattern }));
  const target = { Id: name, Arn: stateMachineArn!, RoleArn: ROLE };
  await bus.send(new PutTargetsCommand({ Rule: name, Targets: [target] }));
  const list = async () => (await machines.send(new ListExecutionsCommand({ stateMachineArn }))).executions ?? [];
  return async (count) => {
    const executions = await vi.waitUntil(
      async () => {
        const found = await list();
        return found.length >= count && found;
      },
      { timeout: DELIVERED_WITHIN_MS },
    );
    const described = executions.map(({ executionArn }) =>
      machines.send(new DescribeExecutionCommand({ executionArn })),
    );
    return (await Promise.all(described)).map(({ input }) => JSON.parse(input ?? "null") as ReceivedEvent);
  };
}
