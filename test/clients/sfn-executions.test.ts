import { SFNClient } from "@aws-sdk/client-sfn";
import { expect, it } from "vitest";
import { sfnExecutions } from "#clients/sfn-executions.ts";
import { ServiceUnavailable } from "#core/errors.ts";
import { refusal, type ScriptedAnswer, scriptedHttp } from "../support/scripted-http.ts";

const MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:consumer";
const EXECUTION = "arn:aws:states:us-east-1:000000000000:execution:consumer:orders";

function executionsOn(...answers: (ScriptedAnswer | Error)[]) {
  const http = scriptedHttp(answers);
  return { executions: sfnExecutions({ client: new SFNClient(http.settings) }), seen: http.seen };
}

it("D2: the same name twice is one execution, however Step Functions says it", async () => {
  const { executions } = executionsOn(
    { body: { executionArn: EXECUTION, startDate: 1 } },
    refusal("ExecutionAlreadyExists"),
  );
  expect(await executions.start(MACHINE, "orders", { n: 1 })).toEqual({ executionArn: EXECUTION, started: true });
  expect(await executions.start(MACHINE, "orders", { n: 1 })).toEqual({ executionArn: EXECUTION, started: false });
});

it.each(["TaskTimedOut", "InvalidToken", "TaskDoesNotExist"])(
  "a wait that is over (%s) answers false",
  async (name) => {
    const { executions } = executionsOn(refusal(name), refusal(name), { body: {} });
    expect(await executions.succeed("token", {})).toBe(false);
    expect(await executions.fail("token", { name: "NodeFailed", cause: "c" })).toBe(false);
    expect(await executions.succeed("token", {})).toBe(true);
  },
);

it("cuts error and cause at their limits, never through a character", async () => {
  const { executions, seen } = executionsOn({ body: {} }, { body: {} });
  await executions.fail("token", { name: "N".repeat(300), cause: "c".repeat(40_000) });
  expect(seen[0]?.body).toMatchObject({ error: "N".repeat(256), cause: "c".repeat(32_768) });
  await executions.fail("token", { name: "NodeFailed", cause: `${"c".repeat(32_767)}😀` });
  expect(seen[1]?.body.cause).toBe("c".repeat(32_767));
});

it("an execution that nobody knows is null, and stopping it is done", async () => {
  const { executions } = executionsOn(refusal("ExecutionDoesNotExist"), refusal("ExecutionDoesNotExist"));
  expect(await executions.describe(EXECUTION)).toBeNull();
  await executions.stop(EXECUTION, "over");
});

it("F11: throttling and limits are ServiceUnavailable, bad input is not", async () => {
  const { executions } = executionsOn(
    refusal("ThrottlingException", "Rate exceeded"),
    refusal("ExecutionLimitExceeded"),
    { status: 503, body: {} },
    refusal("InvalidExecutionInput"),
  );
  await expect(executions.succeed("token", {})).rejects.toThrow(ServiceUnavailable);
  await expect(executions.start(MACHINE, "orders", {})).rejects.toThrow(ServiceUnavailable);
  await expect(executions.stop(EXECUTION, "c")).rejects.toThrow(ServiceUnavailable);
  await expect(executions.start(MACHINE, "orders", {})).rejects.toMatchObject({ name: "InvalidExecutionInput" });
});

it("G8: an engine that has no RedriveExecution redrives nothing, whatever it calls that; a service that fails is another thing", async () => {
  const { executions } = executionsOn(
    refusal("ExecutionNotRedrivable"),
    { status: 501, body: { __type: "InternalFailure", message: "not included in your license plan" } },
    { status: 500, body: { __type: "InternalFailure" } },
  );
  expect(await executions.redrive(EXECUTION)).toBe(false);
  expect(await executions.redrive(EXECUTION)).toBe(false);
  await expect(executions.redrive(EXECUTION)).rejects.toThrow(ServiceUnavailable);
});
