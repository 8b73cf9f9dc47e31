import { DescribeStateMachineCommand, ListExecutionsCommand, SFNClient } from "@aws-sdk/client-sfn";
import { status, up } from "#local/embedded-aws.ts";
import { clientEnvironment, type Endpoints } from "#local/endpoints.ts";
import { DEFAULT_STATE_DIR } from "#local/python.ts";
import { sameOptions } from "./command-line.ts";
import type { DeployTarget } from "./deploy-local.ts";
import { type DeploymentRecord, readDeployment } from "./deployment-record.ts";
import { InfrastructureError } from "./failure.ts";

/**
 * The variables of a process that talks to the embedded AWS: all of ours without the person's own AWS settings (a
 * profile or a session token would win over the emulator's keys, or send a call to the real AWS), then the emulator's.
 */
export function embeddedEnvironment(
  endpoints: Endpoints,
  environment: Record<string, string | undefined>,
): Record<string, string | undefined> {
  const others = Object.entries(environment).filter(([name]) => !name.startsWith("AWS_"));
  return { ...Object.fromEntries(others), ...clientEnvironment(endpoints) };
}

/** Makes sure that the embedded AWS of this folder runs. The Python environments are the checkout's own. */
export const startEmbedded = (stateDir: string, onProgress?: (line: string) => void): Promise<Endpoints> =>
  up({ stateDir, venvStateDir: DEFAULT_STATE_DIR, ...(onProgress === undefined ? {} : { onProgress }) });

/** The embedded AWS as a place to deploy to. */
export const embeddedTarget = (
  endpoints: Endpoints,
  environment: Record<string, string | undefined>,
): DeployTarget => ({
  name: "the embedded AWS",
  environment: embeddedEnvironment(endpoints, environment),
  account: [`aws://${endpoints.accountId}/${endpoints.region}`],
  use: () => useEmbeddedAws(endpoints),
  afterFailure: "npx stepwatch local reset, then run the same command again.",
});

/** Points every AWS client that this process makes from now on to the embedded AWS. */
export function useEmbeddedAws(endpoints: Endpoints): void {
  const wanted = embeddedEnvironment(endpoints, process.env);
  for (const name of Object.keys(process.env)) if (!(name in wanted)) delete process.env[name];
  Object.assign(process.env, wanted);
}

/**
 * The deployment on the embedded AWS that runs.
 * @throws {InfrastructureError} if it does not run, or nothing is deployed on it (it forgets everything when it ends)
 */
export async function openEmbedded(stateDir: string, config?: string): Promise<DeploymentRecord> {
  const { endpoints } = await status({ stateDir });
  if (endpoints === undefined) {
    throw new InfrastructureError(
      "The embedded AWS does not run.",
      `npx stepwatch deploy --local${sameOptions({ config })} (or npm start); for a stack in AWS add --stack <name>`,
    );
  }
  useEmbeddedAws(endpoints);
  const deployment = readDeployment(stateDir);
  if (deployment === null || !(await isDeployed(deployment))) {
    // It keeps nothing beyond its own life: whoever looks for yesterday's run should know where it went.
    const since = new Date(endpoints.startedAt).toLocaleString("sv-SE");
    const lost = `The embedded AWS was started anew at ${since}, and what stood in it is gone: stack, runs and their history.`;
    throw new InfrastructureError(
      deployment === null ? "The stack is not deployed on the embedded AWS." : lost,
      `npx stepwatch deploy --local${sameOptions({ config })}`,
    );
  }
  return deployment;
}

/** Ids of the runs that the embedded AWS is at work on; none where nothing is deployed or nobody answers. */
export async function liveRuns(endpoints: Endpoints, deployment: DeploymentRecord | null): Promise<string[]> {
  const stateMachineArn = deployment?.outputs.RunMachineArn;
  if (stateMachineArn === undefined) return [];
  useEmbeddedAws(endpoints);
  const client = new SFNClient({});
  try {
    const { executions = [] } = await client.send(
      new ListExecutionsCommand({ stateMachineArn, statusFilter: "RUNNING" }),
    );
    return executions.flatMap(({ name }) => name ?? []);
  } catch {
    // It is ended all the same: a question that it can not answer must not keep it alive.
    return [];
  } finally {
    client.destroy();
  }
}

/** Whether the emulator still has what was deployed: it may have been reset or started anew since. */
export async function isDeployed(deployment: DeploymentRecord): Promise<boolean> {
  const client = new SFNClient({});
  try {
    await client.send(new DescribeStateMachineCommand({ stateMachineArn: deployment.outputs.RunMachineArn ?? "none" }));
    return true;
  } catch (error) {
    if (
      error instanceof Error &&
      ["StateMachineDoesNotExist", "InvalidArn", "ValidationException"].includes(error.name)
    )
      return false;
    throw error;
  } finally {
    client.destroy();
  }
}
