import { expect, it } from "vitest";
import { isTransient, unavailable } from "#clients/aws-errors.ts";
import { CONNECTION_TIMEOUT_MS, MAX_ATTEMPTS, REQUEST_TIMEOUT_MS, WORST_CALL_MS } from "#clients/aws-settings.ts";
import * as errors from "#core/errors.ts";

const named = (name: string, more = {}) => Object.assign(new Error("said so"), { name, ...more });

it.each([
  ["a throttled call", named("ThrottlingException"), true],
  ["a server's own fault", named("Whatever", { $fault: "server" }), true],
  ["a 5xx without a name", named("Unknown", { $metadata: { httpStatusCode: 502 } }), true],
  ["a 429", named("Unknown", { $metadata: { httpStatusCode: 429 } }), true],
  ["a connection that was cut", named("Error", { code: "ECONNRESET" }), true],
  ["a name that did not resolve", named("Error", { code: "EAI_AGAIN" }), true],
  ["a request that took too long", named("TimeoutError"), true],
  ["no permission", named("AccessDeniedException", { $fault: "client", $metadata: { httpStatusCode: 400 } }), false],
  ["no table", named("ResourceNotFoundException"), false],
  ["a failed condition", named("ConditionalCheckFailedException"), false],
  ["a defect of ours", new TypeError("x is not a function"), false],
  ["something that is no error", "text", false],
])("F11: %s", (_, error, transient) => expect(isTransient(error)).toBe(transient));

it("F11: what passes keeps the call, the reason and the cause; the rest passes as it is", () => {
  const throttled = named("ThrottlingException");
  const thrown = (error: unknown) => {
    try {
      return unavailable(errors.LedgerUnavailable, "DynamoDB GetItem a/b")(error);
    } catch (caught) {
      return caught;
    }
  };
  expect(thrown(throttled)).toMatchObject({
    name: "LedgerUnavailable",
    message: "DynamoDB GetItem a/b was not answered (ThrottlingException: said so): call again in a moment.",
    cause: throttled,
  });
  const denied = named("AccessDeniedException");
  expect(thrown(denied)).toBe(denied);
});

it("F11: the slowest call ends inside a function's minute", () => {
  expect(WORST_CALL_MS).toBeLessThan(45_000);
  expect(WORST_CALL_MS).toBeGreaterThan(MAX_ATTEMPTS * Math.max(CONNECTION_TIMEOUT_MS, REQUEST_TIMEOUT_MS));
});
