import { statSync } from "node:fs";
import { App } from "aws-cdk-lib";
import type { CloudFormationStackArtifact } from "aws-cdk-lib/cx-api";
import type { StepwatchConfig } from "#core/config.ts";
import { InputError } from "#core/errors.ts";
import { loadConfig } from "./load-config.ts";
import { NO_LIMIT_OF_CDK, stackProblems } from "./stack-limits.ts";
import { stackPropsOf } from "./stack-props.ts";
import { StepwatchStack } from "./stepwatch-stack.ts";

/**
 * The CDK app. Context: `config` is the path of stepwatch.yaml (default: ./stepwatch.yaml); `local=true` is for the
 * embedded AWS, where no container engine is needed and data goes with the stack.
 */
async function main(): Promise<void> {
  const app = new App({ context: NO_LIMIT_OF_CDK });
  const config = slowed(
    loadConfig(String(app.node.tryGetContext("config") ?? "stepwatch.yaml")),
    Number(app.node.tryGetContext("leastTurnSeconds") ?? 0),
  );
  const local = String(app.node.tryGetContext("local") ?? "false") === "true";
  new StepwatchStack(app, await stackPropsOf(config, { local }));
  refuseTooLarge(app.synth().getStackByName(config.stackName), Object.keys(config.projects).length);
}

/** @throws {InputError} */
function refuseTooLarge(stack: CloudFormationStackArtifact, projectCount: number): void {
  const problems = stackProblems(stack.template, projectCount, statSync(stack.templateFullPath).size);
  if (problems.length > 0) throw new InputError("The stack is too large", problems);
}

/** For an engine whose functions take long to answer: a loop whose turn is shorter never gets on. */
function slowed(config: StepwatchConfig, leastTurnSeconds: number): StepwatchConfig {
  return { ...config, pollIntervalSeconds: Math.max(config.pollIntervalSeconds, leastTurnSeconds) };
}

try {
  await main();
} catch (error) {
  if (!(error instanceof InputError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
