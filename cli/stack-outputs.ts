import { CloudFormationClient, DescribeStacksCommand } from "@aws-sdk/client-cloudformation";
import { quoted } from "./command-line.ts";
import { InfrastructureError } from "./failure.ts";

export interface StackOutputsOptions {
  readonly client?: Pick<CloudFormationClient, "send">;
  /** The command that deploys it. */
  readonly next?: string;
}

/**
 * Outputs of a deployed CloudFormation stack. Credentials, region and endpoint are those of every other client
 * (AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL).
 *
 * @throws {InfrastructureError} if there is no such stack, or no answer
 */
export async function stackOutputs(
  stackName: string,
  { client = new CloudFormationClient({}), next }: StackOutputsOptions = {},
): Promise<Record<string, string>> {
  const answer = await client.send(new DescribeStacksCommand({ StackName: stackName })).catch((error: unknown) => {
    throw refusal(stackName, error, next);
  });
  const outputs = answer.Stacks?.[0]?.Outputs ?? [];
  return Object.fromEntries(
    outputs.flatMap(({ OutputKey: key, OutputValue: value }) => (key && value ? [[key, value]] : [])),
  );
}

function refusal(stackName: string, cause: unknown, next: string | undefined): InfrastructureError {
  const message = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
  if (/does not exist/.test(message)) {
    return new InfrastructureError(
      `There is no stack ${stackName} in this account and region.`,
      next ?? `npx stepwatch deploy --stack ${quoted(stackName)} says how to deploy it; or name another with --stack.`,
    );
  }
  if (/Region is missing/.test(message)) {
    return new InfrastructureError(
      `The stack ${stackName} can not be looked up: no AWS region is set.`,
      "Set AWS_REGION, or AWS_PROFILE to a profile with a region. For the embedded AWS leave out --stack.",
    );
  }
  return new InfrastructureError(
    `CloudFormation did not describe the stack ${stackName}: ${message}`,
    "Check the credentials (AWS_PROFILE) and AWS_REGION.",
  );
}
