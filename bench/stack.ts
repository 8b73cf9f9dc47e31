import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { traceFolderOf } from "#local/ecs/container-launch.ts";
import { down, status } from "#local/embedded-aws.ts";
import { unsignedAuthorization } from "#local/emulator/aws-json.ts";
import { readRecord } from "#local/emulator/supervisor-files.ts";
import type { Endpoints } from "#local/endpoints.ts";
import type { DeployedStack } from "../cli/context.ts";
import { deployLocal, installDbt, type LocalDeploy, synthesise } from "../cli/deploy-local.ts";
import { embeddedTarget, startEmbedded } from "../cli/embedded.ts";
import { connect } from "../cli/real-context.ts";
import { resourcesOf } from "../cli/resources.ts";
import { deployedNames, FUNCTION_NAMES, type FunctionName } from "../infra/deployed-names.ts";
import { loadConfig } from "../infra/load-config.ts";
import { LedgerProxy } from "./ledger-proxy.ts";
import type { WatchedProcesses } from "./process-usage.ts";
import { ServiceCalls } from "./service-calls.ts";

/** The real stack on an embedded AWS of the benchmark's own, its ledger behind a counting proxy. */
export interface BenchStack {
  readonly deployed: DeployedStack;
  readonly stateDir: string;
  readonly proxy: LedgerProxy;
  readonly services: ServiceCalls;
  readonly processes: WatchedProcesses;
  /** Seconds that pass before a run or a consumer looks again: the stack's turn, 0 where changes wake them. */
  readonly turnSeconds: number;
  runningTasks(): Promise<number>;
  /** How often each function has been called since the stack stands. */
  functionCalls(): Promise<Record<string, number>>;
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
  const endpoints = await startEmbedded(stateDir, onProgress);
  try {
    const synthesis = await synthesise(deploy);
    const { deployment } = await deployLocal(deploy, embeddedTarget(endpoints, process.env), synthesis, dbt);
    const proxy = new LedgerProxy(endpoints.awsEndpointUrl);
    const endpointOf = await proxy.listen();
    const services = new ServiceCalls(endpoints.awsEndpointUrl);
    const servicesOf = await services.listen();
    const counted = (caller: string) => ({ AWS_ENDPOINT_URL_DYNAMODB: endpointOf(caller), ...servicesOf(caller) });
    addToImages(stateDir, { ...options.containerEnvironment, ...counted("runner") });
    const nameOf = (name: FunctionName) => deployedNames.lambdaFunction(deployment.stackName, name);
    for (const name of FUNCTION_NAMES) await addToFunction(endpoints, nameOf(name), counted(name));
    return {
      deployed: connect(resourcesOf(deployment.stackName, deployment.outputs), "embedded"),
      stateDir,
      proxy,
      services,
      processes: processesOf(stateDir),
      turnSeconds: config.watch === "wake" ? 0 : config.pollIntervalSeconds,
      runningTasks: async () => (await status({ stateDir })).runningTasks ?? 0,
      functionCalls: async () => {
        const { functions = {} } = await status({ stateDir });
        return Object.fromEntries(FUNCTION_NAMES.map((name) => [name, functions[nameOf(name)]?.calls ?? 0]));
      },
      close: async () => {
        await proxy.close();
        await services.close();
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
  const current = await fetch(`${url}/configuration`, { headers });
  // Some functions are deployed where a setting asks for them alone.
  if (current.status === 404) return;
  const deployed = (await current.json()) as {
    Environment?: { Variables?: Record<string, string> };
  };
  const answer = await fetch(`${url}/configuration`, {
    method: "PUT",
    headers: { ...headers, "content-type": "application/json" },
    body: JSON.stringify({ Environment: { Variables: { ...deployed.Environment?.Variables, ...variables } } }),
  });
  if (!answer.ok) throw new Error(`The variables of ${name} could not be changed: HTTP ${answer.status}.`);
}
