import { GetExecutionHistoryCommand, type HistoryEvent, SFNClient } from "@aws-sdk/client-sfn";
import { consumerName, executionArn } from "#core/names.ts";
import type { BenchStack } from "./stack.ts";

export interface ExecutionCount {
  readonly transitions: number;
  readonly events: number;
  /** Calls of functions, by state. */
  readonly calls: Readonly<Record<string, number>>;
  /** When each state was entered last. */
  readonly entered: Readonly<Record<string, number>>;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  /** It came to no end of its own. */
  readonly stopped: boolean;
}

export interface Histories {
  readonly run: ExecutionCount;
  /** By unique_id. */
  readonly consumers: ReadonlyMap<string, ExecutionCount>;
}

const AT_ONCE = 4;

/** Reads the histories of a run and of the consumers of these nodes. */
export async function readHistories(
  { deployed }: BenchStack,
  run: { project: string; runId: string; round: number; executionArn: string },
  nodes: readonly string[],
): Promise<Histories> {
  const client = new SFNClient({});
  const consumers = new Map<string, ExecutionCount>();
  const open = [...nodes];
  const reader = async () => {
    for (let node = open.pop(); node !== undefined; node = open.pop()) {
      const arn = executionArn(deployed.resources.consumerMachineArn, consumerName(run, node));
      consumers.set(node, countOf(await historyOf(client, arn)));
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, reader));
    return { run: countOf(await historyOf(client, run.executionArn)), consumers };
  } finally {
    client.destroy();
  }
}

async function historyOf(client: SFNClient, executionArn: string): Promise<HistoryEvent[]> {
  const events: HistoryEvent[] = [];
  let nextToken: string | undefined;
  do {
    const page = { executionArn, maxResults: 1000, ...(nextToken === undefined ? {} : { nextToken }) };
    const answer = await client.send(new GetExecutionHistoryCommand(page));
    events.push(...(answer.events ?? []));
    nextToken = answer.nextToken;
  } while (nextToken !== undefined);
  return events;
}

/** A transition is a state that is entered, or a task that is tried again in it. */
function countOf(events: readonly HistoryEvent[]): ExecutionCount {
  const calls: Record<string, number> = {};
  const enteredAtMs: Record<string, number> = {};
  let entered = 0;
  let scheduled = 0;
  let tasks = 0;
  let state = "";
  for (const { type = "", stateEnteredEventDetails, timestamp } of events) {
    if (type.endsWith("StateEntered")) {
      entered += 1;
      if (type === "TaskStateEntered") tasks += 1;
      state = stateEnteredEventDetails?.name ?? "";
      enteredAtMs[state] = timestamp?.getTime() ?? 0;
    } else if (type === "TaskScheduled" || type === "LambdaFunctionScheduled") {
      scheduled += 1;
      calls[state] = (calls[state] ?? 0) + 1;
    }
  }
  const times = events.map((event) => event.timestamp?.getTime() ?? 0);
  return {
    transitions: entered + Math.max(0, scheduled - tasks),
    events: events.length,
    calls,
    entered: enteredAtMs,
    startedAtMs: times[0] ?? 0,
    endedAtMs: times.at(-1) ?? 0,
    stopped: !["ExecutionSucceeded", "ExecutionFailed"].includes(events.at(-1)?.type ?? ""),
  };
}
