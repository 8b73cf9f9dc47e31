import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { traceFolderOf } from "#local/ecs/container-launch.ts";
import { down, status, up } from "#local/embedded-aws.ts";
import { unsignedAuthorization } from "#local/emulator/aws-json.ts";
import { readRecord } from "#local/emulator/supervisor-files.ts";
import type { Endpoints } from "#local/endpoints.ts";
import { DEFAULT_STATE_DIR } from "#local/python.ts";
import type { DeployedStack } from "../cli/context.ts";
import { deployLocal, installDbt, type LocalDeploy, synthesise } from "../cli/deploy-local.ts";
import { connect } from "../cli/real-context.ts";
import { resourcesOf } from "../cli/resources.ts";
import { deployedNames, FUNCTION_NAMES } from "../infra/deployed-names.ts";
import { loadConfig } from "../infra/load-config.ts";
import { LedgerProxy } from "./ledger-proxy.ts";
import type { WatchedProcesses } from "./process-usage.ts";

/** The real stack on an embedded AWS of the benchmark's own, its ledger behind a counting proxy. */
export interface BenchStack {
  readonly deployed: DeployedStack;
  readonly stateDir: string;
  readonly proxy: LedgerProxy;
  readonly processes: WatchedProcesses;
  /** Seconds between two looks of a run or consumer, as deployed. */
  readonly pollIntervalSeconds: number;
  runningTasks(): Promise<number>;
  close(): Promise<void>;
}

export interface StackOptions {
  readonly configPath: string;
  readonly stateDir: string;
  /** For every container: where the warehouse is. */
  readonly containerEnvironment: Readonly<Record<string, string>>;
  readonly onProgress: (line: string) => void;
}

/** Deploys by the same code as `npm start`. An emulator that an earlier benchmark left behind is ended first. */
export async function startStack(options: StackOptions): Promise<BenchStack> {
  const { configPath, stateDir, onProgress } = options;
  await down({ stateDir });
  const config = loadConfig(configPath);
  const { signal } = new AbortController();
  const deploy: LocalDeploy = { config, configPath, stateDir, environment: process.env, signal, onProgress };
  const dbt = await installDbt(deploy);
  const endpoints = await up({ stateDir, venvStateDir: DEFAULT_STATE_DIR, onProgress });
  try {
    const synthesis = await synthesise(deploy);
    const { deployment } = await deployLocal(deploy, endpoints, synthesis, dbt);
    const proxy = new LedgerProxy(endpoints.awsEndpointUrl);
    const endpointOf = await proxy.listen();
    addToImages(stateDir, { ...options.containerEnvironment, AWS_ENDPOINT_URL_DYNAMODB: endpointOf("runner") });
    for (const name of FUNCTION_NAMES)
      await addToFunction(endpoints, deployedNames.lambdaFunction(deployment.stackName, name), {
        AWS_ENDPOINT_URL_DYNAMODB: endpointOf(name),
      });
    return {
      deployed: connect(resourcesOf(deployment.stackName, deployment.outputs), "embedded"),
      stateDir,
      proxy,
      processes: processesOf(stateDir),
      pollIntervalSeconds: config.pollIntervalSeconds,
      runningTasks: async () => (await status({ stateDir })).runningTasks ?? 0,
      close: async () => {
        await proxy.close();
        await down({ stateDir });
      },
    };
  } catch (error) {
    await down({ stateDir });
    throw error;
  }
}

function processesOf(stateDir: string): WatchedProcesses {
  const record = readRecord(stateDir);
  if (record?.ministack === undefined) throw new Error(`The embedded AWS of ${stateDir} has left no record.`);
  return {
    functions: record.supervisor.pid,
    emulator: record.ministack.pid,
    containerFolder: traceFolderOf(stateDir),
  };
}

/** An image of the embedded ECS is a file with the programs and variables that a container gets. */
function addToImages(stateDir: string, variables: Readonly<Record<string, string>>): void {
  const folder = join(stateDir, "images");
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const image = JSON.parse(readFileSync(path, "utf8")) as { Env: Record<string, string> };
    writeFileSync(path, JSON.stringify({ ...image, Env: { ...image.Env, ...variables } }));
  }
}

/** UpdateFunctionConfiguration replaces all variables of a function: the deployed ones are kept. */
async function addToFunction(endpoints: Endpoints, name: string, variables: Record<string, string>): Promise<void> {
  const url = `${endpoints.awsEndpointUrl}/2015-03-31/functions/${name}`;
  const headers = { authorization: unsignedAuthorization("lambda", endpoints.region) };
  const deployed = (await (await fetch(`${url}/configuration`, { headers })).json()) as {
    Environment?: { Variables?: Record<string, string> };
  };
  const answer = await fetch(`${url}/configuration`, {
    method: "PUT",
    headers: { ...headers, "content-type": "application/json" },
    body: JSON.stringify({ Environment: { Variables: { ...deployed.Environment?.Variables, ...variables } } }),
  });
  if (!answer.ok) throw new Error(`The variables of ${name} could not be changed: HTTP ${answer.status}.`);
}
