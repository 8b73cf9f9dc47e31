import {
  EventBridgeClient,
  PutEventsCommand,
  type PutEventsRequestEntry,
  type PutEventsResultEntry,
} from "@aws-sdk/client-eventbridge";
import { EVENT_SOURCE, type RunEvent } from "#core/contracts/events.ts";
import { ServiceUnavailable } from "#core/errors.ts";
import { unavailable } from "./aws-errors.ts";
import { callSettings, MAX_ATTEMPTS } from "./aws-settings.ts";
import type { Events } from "./events.ts";

/** Most entries of one PutEvents; ten of ours are some 100 KB, of the 256 KB that one call may hold. */
const ENTRIES_A_CALL = 10;

/** Wait before a call with the entries that were refused, in milliseconds, times the number of attempts so far. */
const REFUSED_WAIT_MS = 200;

/** EventBridge, default bus. */
export function eventBridgeEvents(options: { client?: EventBridgeClient } = {}): Events {
  const client = options.client ?? new EventBridgeClient(callSettings);
  return {
    async publish(events) {
      for (let at = 0; at < events.length; at += ENTRIES_A_CALL)
        await putAll(client, events.slice(at, at + ENTRIES_A_CALL).map(entryOf));
    },
  };
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
