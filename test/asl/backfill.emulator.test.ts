import { createRequire } from "node:module";
import {
  CreateStateMachineCommand,
  DescribeExecutionCommand,
  ListExecutionsCommand,
  StartExecutionCommand,
} from "@aws-sdk/client-sfn";
import { App, Stack } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
import { DefinitionBody, StateMachine } from "aws-cdk-lib/aws-stepfunctions";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { backfillInput } from "#core/backfill.ts";
import { windowsOf } from "#core/schedule/windows.ts";
import { backfillStates } from "../../infra/backfills.ts";
import { EmbeddedAwsFixture, eventually } from "../local/embedded-aws-fixture.ts";
import { concrete } from "../support/concrete-template.ts";

const validate = createRequire(import.meta.url)("asl-validator") as (definition: unknown) => {
  isValid: boolean;
  errorsText: (separator: string) => string;
};

const RED_DAY = "2026-01-02T00:00:00Z";

/** Stands for the run machine: it is not green on one day. */
const RUNS = {
  StartAt: "Which day?",
  States: {
    "Which day?": {
      Type: "Choice",
      Choices: [{ Variable: "$.scheduledTime", StringEquals: RED_DAY, Next: "Red" }],
      Default: "Build",
    },
    Build: { Type: "Wait", Seconds: 1, End: true },
    Red: { Type: "Fail", Error: "RunFailed", Cause: "1 node has failed." },
  },
};

const roleArn = "arn:aws:iam::000000000000:role/machine";

/** The machine's definition as CDK renders it, and as CloudFormation would hand it on. */
function definitionFor(runMachineArn: string): string {
  const stack = new Stack(new App(), "stack", { env: { account: "000000000000", region: "us-east-1" } });
  const definitionBody = DefinitionBody.fromChainable(backfillStates(stack, runMachineArn));
  new StateMachine(stack, "Machine", { definitionBody });
  const template = Template.fromStack(stack);
  const [machine] = Object.values(template.findResources("AWS::StepFunctions::StateMachine"));
  return String(concrete(machine?.Properties.DefinitionString, template));
}

describe("the backfill machine on MiniStack", () => {
  let aws: EmbeddedAwsFixture;
  let runs: string;
  let backfills: string;
  beforeAll(async () => {
    aws = await EmbeddedAwsFixture.start();
    const make = async (name: string, definition: string) =>
      (await aws.sfn.send(new CreateStateMachineCommand({ name, definition, roleArn }))).stateMachineArn!;
    runs = await make("dbt-run", JSON.stringify(RUNS));
    backfills = await make("dbt-backfill", definitionFor(runs));
  }, 120_000);
  afterAll(async () => {
    await aws?.end();
  });

  /** A backfill of some days; how it ended, and the days of its runs in the order in which these began. */
  async function backfill(id: string, days: number, parallel: number) {
    const windows = windowsOf({ from: "2026-01-01", to: `2026-01-0${1 + days}`, by: "day", timeZone: "UTC" });
    const asked = { id, project: "shop", by: "day", zone: "UTC", who: "jane", input: { job: id } } as const;
    const input = backfillInput({ ...asked, windows, parallel, at: "start", eventTime: true }, backfills);
    const started = await aws.sfn.send(
      new StartExecutionCommand({ stateMachineArn: backfills, name: id, input: JSON.stringify(input) }),
    );
    const end = await eventually(async () => {
      const one = await aws.sfn.send(new DescribeExecutionCommand({ executionArn: started.executionArn }));
      return one.status === "RUNNING" ? undefined : one;
    }, 60_000);
    const listed = (await aws.sfn.send(new ListExecutionsCommand({ stateMachineArn: runs }))).executions ?? [];
    const described = await Promise.all(
      listed.map(({ executionArn }) => aws.sfn.send(new DescribeExecutionCommand({ executionArn }))),
    );
    const own = described
      .map(({ input: text, name, startDate, stopDate }) => ({
        name,
        startDate,
        stopDate,
        input: JSON.parse(text ?? "{}"),
      }))
      .filter((one) => one.input.job === id)
      .sort((a, b) => Number(a.startDate) - Number(b.startDate));
    return { status: end.status, error: end.error, own };
  }

  test("is valid for the validator", () => {
    const { isValid, errorsText } = validate(JSON.parse(definitionFor(runs)));
    expect(isValid ? "" : errorsText("\n")).toBe("");
  });

  test("H12: one run for each window, one after the other; one that is not green fails the backfill at its end, and no other", async () => {
    const { status, error, own } = await backfill("three", 3, 1);
    expect({ status, error }).toEqual({ status: "FAILED", error: "BackfillFailed" });
    expect(own.map(({ input }) => input.scheduledTime)).toEqual([
      "2026-01-01T00:00:00Z",
      RED_DAY,
      "2026-01-03T00:00:00Z",
    ]);
    expect(own.map(({ name }) => name!.slice(0, 9))).toEqual(["20260101-", "20260102-", "20260103-"]);
    for (let n = 1; n < own.length; n += 1)
      expect(Number(own[n]!.startDate)).toBeGreaterThanOrEqual(Number(own[n - 1]!.stopDate));
    expect(own[0]!.input).toEqual({
      ...{ project: "shop", job: "three", scheduledTime: "2026-01-01T00:00:00Z", ifLeftOut: "fail" },
      ...{ eventTimeStart: "2026-01-01T00:00:00", eventTimeEnd: "2026-01-02T00:00:00" },
      runKey: "three 2026-01-01T00:00:00Z",
      backfill: expect.stringMatching(/:execution:dbt-backfill:three$/),
      AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID: expect.stringMatching(/:execution:dbt-backfill:three$/),
    });
  });

  test("H12: windows that are all green make it green, several lanes go on side by side", async () => {
    const { status, own } = await backfill("one", 1, 1);
    expect({ status, runs: own.length }).toEqual({ status: "SUCCEEDED", runs: 1 });
    const wide = await backfill("wide", 3, 3);
    expect(wide.status).toBe("FAILED");
    const [first, , third] = wide.own;
    expect(Number(third!.startDate)).toBeLessThan(Number(first!.stopDate));
  });
});
