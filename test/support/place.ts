import { status } from "#local/embedded-aws.ts";
import { clientEnvironment } from "#local/endpoints.ts";
import { readDeployment } from "../../cli/deployment-record.ts";
import type { Deployed } from "./e2e-setup.ts";

/** Points the clients of this process to where the tests' stack is deployed; answers the stack's outputs. */
export async function useStack(deployed: Deployed): Promise<Readonly<Record<string, string>>> {
  const { endpoint } = deployed;
  const { endpoints } = endpoint === null ? await status({ stateDir: deployed.stateDir }) : {};
  const environment = endpoint?.environment ?? (endpoints && clientEnvironment(endpoints));
  const outputs = readDeployment(endpoint?.folder ?? deployed.stateDir)?.outputs;
  if (environment === undefined || outputs === undefined) throw new Error("Nothing is deployed for the tests.");
  Object.assign(process.env, environment);
  return outputs;
}
