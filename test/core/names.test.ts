import { expect, test } from "vitest";
import { executionArn, stackOption } from "#core/names.ts";
import { deployedNames } from "../../infra/deployed-names.ts";

/** The execution of a run in an account. */
const runOf = (account: string, machine: string) =>
  executionArn(`arn:aws:states:eu-central-1:${account}:stateMachine:${machine}`, "run-1");

test("a command about a run names its stack in AWS, and none on the embedded AWS", () => {
  expect(stackOption(runOf("123456789012", deployedNames.runMachine("data-prod")))).toBe(" --stack data-prod");
  expect(stackOption(runOf("000000000000", deployedNames.runMachine("stepwatch")))).toBe("");
  expect(stackOption(runOf("123456789012", "other"))).toBe("");
});
