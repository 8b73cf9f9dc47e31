import { DescribeStateMachineCommand, SFNClient } from "@aws-sdk/client-sfn";
import { type ProjectSettings, projectSettingsSchema } from "#core/contracts/settings.ts";
import { ServiceUnavailable } from "#core/errors.ts";
import { unavailable } from "./aws-errors.ts";
import { callSettings } from "./aws-settings.ts";

/** The settings of a project as the run machine hands them to the next run; null where the stack has no such project. */
export async function deployedSettings(
  runMachineArn: string,
  project: string,
  client: SFNClient = new SFNClient(callSettings),
): Promise<ProjectSettings | null> {
  const { definition = "{}" } = await client
    .send(new DescribeStateMachineCommand({ stateMachineArn: runMachineArn }))
    .catch(unavailable(ServiceUnavailable, "Step Functions DescribeStateMachine"));
  const { States = {} } = JSON.parse(definition) as {
    States?: Record<string, { Parameters?: { Payload?: { projects?: Record<string, unknown> } } }>;
  };
  for (const { Parameters } of Object.values(States)) {
    const projects = Parameters?.Payload?.projects;
    if (projects !== undefined && Object.hasOwn(projects, project))
      return projectSettingsSchema.parse(projects[project]);
  }
  return null;
}
