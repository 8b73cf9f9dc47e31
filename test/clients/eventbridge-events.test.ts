import { EventBridgeClient } from "@aws-sdk/client-eventbridge";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { eventBridgeEvents } from "#clients/eventbridge-events.ts";
import { warningDetailSchema } from "#core/contracts/events.ts";
import { ServiceUnavailable } from "#core/errors.ts";
import { warningEvent } from "../support/fake-clients.ts";
import { refusal, type ScriptedAnswer, scriptedHttp } from "../support/scripted-http.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

const TAKEN = { EventId: "1" };
const BUSY = { ErrorCode: "InternalFailure", ErrorMessage: "try later" };
const answer = (...Entries: object[]): ScriptedAnswer => ({ body: { FailedEntryCount: 0, Entries } });

/** Publishes with all waits passed over; what was asked, by unique_id. */
async function publish(answers: readonly (ScriptedAnswer | Error)[], ...uniqueIds: string[]) {
  const { seen, settings } = scriptedHttp(answers);
  const events = eventBridgeEvents({ client: new EventBridgeClient(settings) });
  const ended = events.publish(uniqueIds.map((id) => warningEvent(id))).then(
    () => null,
    (error: unknown) => error as Error,
  );
  await vi.advanceTimersByTimeAsync(60_000);
  const entriesOf = (body: unknown) => (body as { Entries: { Detail: string }[] }).Entries;
  const asked = seen.map(({ body }) => entriesOf(body).map(({ Detail }) => JSON.parse(Detail).uniqueId));
  return { failure: await ended, asked, first: seen[0]?.body };
}

test("A5: an entry has source, type, time and execution, and a detail of the published contract", async () => {
  const { first, failure } = await publish([answer(TAKEN)], "a");
  expect(failure).toBeNull();
  const [entry] = (first as { Entries: Record<string, unknown>[] }).Entries;
  expect(entry).toMatchObject({
    Source: "stepwatch",
    DetailType: "Warning",
    Time: Date.parse("2026-01-02T03:04:05Z") / 1000,
    Resources: ["arn:run-1"],
  });
  expect(warningDetailSchema.parse(JSON.parse(String(entry!.Detail)))).toEqual(warningEvent("a").detail);
});

test("F11: entries that are refused inside an answer are put again, they alone", async () => {
  const { asked, failure } = await publish([answer(TAKEN, BUSY, TAKEN), answer(BUSY), answer(TAKEN)], "a", "b", "c");
  expect(failure).toBeNull();
  expect(asked).toEqual([["a", "b", "c"], ["b"], ["b"]]);
});

test("F11: a bus that goes on refusing is ServiceUnavailable with its words", async () => {
  const { asked, failure } = await publish(Array(5).fill(answer(BUSY)), "a");
  expect(asked).toHaveLength(5);
  expect(failure).toBeInstanceOf(ServiceUnavailable);
  expect(failure!.message).toBe("PutEvents refused 1 of 1 events (InternalFailure: try later).");
});

test("what no repetition can mend is thrown as it is", async () => {
  const { asked, failure } = await publish([refusal("AccessDeniedException", "not yours")], "a");
  expect(asked).toHaveLength(1);
  expect(failure?.name).toBe("AccessDeniedException");
});
