import {
  EventBridgeClient,
  PutEventsCommand,
  type PutEventsRequestEntry,
  type PutEventsResultEntry,
} from "@aws-sdk/client-eventbridge";
import { AWS_LIMITS } from "#core/aws-limits.ts";
import { EVENT_SOURCE, type RunEvent } from "#core/contracts/events.ts";
import { ServiceUnavailable } from "#core/errors.ts";
import { unavailable } from "./aws-errors.ts";
import { callSettings, MAX_ATTEMPTS } from "./aws-settings.ts";
import type { Events } from "./events.ts";
import { eventBytes, withinLimits } from "./within-limits.ts";

/** Wait before a call with the entries that were refused, in milliseconds, times the number of attempts so far. */
const REFUSED_WAIT_MS = 200;

/** EventBridge, default bus. */
export function eventBridgeEvents(options: { client?: EventBridgeClient } = {}): Events {
  const client = withinLimits(options.client ?? new EventBridgeClient(callSettings));
  return {
    async publish(events) {
      for (const call of calls(events.map(entryOf))) await putAll(client, call);
    },
  };
}

/** As many entries a call as AWS takes, by number and by size. One that is too large alone is refused by name. */
function calls(entries: readonly PutEventsRequestEntry[]): PutEventsRequestEntry[][] {
  const made: PutEventsRequestEntry[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const entry of entries) {
    const size = eventBytes(entry);
    const isFull = made.at(-1)?.length === AWS_LIMITS.eventEntries || bytes + size > AWS_LIMITS.eventBytes;
    if (isFull) made.push([]);
    bytes = isFull ? size : bytes + size;
    made.at(-1)!.push(entry);
  }
  return made;
}

/** PutEvents answers 200 with refused entries inside: those alone are put again. */
async function putAll(client: EventBridgeClient, entries: readonly PutEventsRequestEntry[]): Promise<void> {
  let left = entries;
  let refusal: PutEventsResultEntry | undefined;
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
    const command = new PutEventsCommand({ Entries: [...left] });
    const { Entries: answers = [] } = await client.send(command).catch(unavailable(ServiceUnavailable, "PutEvents"));
    left = left.filter((_, n) => answers[n]?.ErrorCode !== undefined);
    if (left.length === 0) return;
    refusal = answers.find((answer) => answer.ErrorCode !== undefined);
    // No wait after the last attempt: nothing comes after it.
    if (attempt < MAX_ATTEMPTS) await new Promise((resolve) => setTimeout(resolve, REFUSED_WAIT_MS * attempt));
  }
  throw new ServiceUnavailable(
    `PutEvents refused ${left.length} of ${entries.length} events (${refusal?.ErrorCode}: ${refusal?.ErrorMessage}).`,
  );
}

const entryOf = ({ detailType, detail, atMs, executionArn }: RunEvent): PutEventsRequestEntry => ({
  Source: EVENT_SOURCE,
  DetailType: detailType,
  Detail: JSON.stringify(detail),
  Time: new Date(atMs),
  Resources: [executionArn],
});
