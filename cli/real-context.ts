import { existsSync } from "node:fs";
import { userInfo } from "node:os";
import { setTimeout as wait } from "node:timers/promises";
import { deployedSettings } from "#clients/deployed-settings.ts";
import { dynamoLedger } from "#clients/dynamo-ledger.ts";
import { eventBridgeEvents } from "#clients/eventbridge-events.ts";
import { executionNames } from "#clients/execution-names.ts";
import { cloudWatchLogs } from "#clients/logs.ts";
import { planReader } from "#clients/plan-reader.ts";
import { s3Artefacts } from "#clients/s3-artefacts.ts";
import { sfnExecutions } from "#clients/sfn-executions.ts";
import { ecsTaskDefinitions } from "#clients/task-definitions.ts";
import { STOP_ASKED } from "#core/contracts/events.ts";
import { loadConfig } from "../infra/load-config.ts";
import { sameOptions } from "./command-line.ts";
import type { CommonOptions, Context, DeployedStack } from "./context.ts";
import { type DeploymentRecord, fingerprint, readDeployment } from "./deployment-record.ts";
import { openEmbedded } from "./embedded.ts";
import { endpointFolder, endpointOf, requireReached, useEndpoint } from "./endpoint.ts";
import { InfrastructureError } from "./failure.ts";
import { listProject } from "./list-project.ts";
import { configPathOf, packageRoot, stateDirOf } from "./paths.ts";
import { checkDisk, checkProject } from "./preflight.ts";
import { type Resources, resourcesOf } from "./resources.ts";
import { stackOutputs } from "./stack-outputs.ts";
import { terminalOf } from "./view/style.ts";

/** The outside as it is: this terminal, this clock, this environment. */
export function realContext(): Context {
  const interrupt = new AbortController();
  process.once("SIGINT", () => interrupt.abort());
  return {
    out: terminalOf(process.stdout, process.env),
    err: terminalOf(process.stderr, process.env),
    environment: process.env,
    cwd: process.cwd(),
    person: personOf(process.env),
    now: () => Date.now(),
    sleep: (milliseconds) => wait(milliseconds, undefined, { signal: interrupt.signal }),
    interrupted: interrupt.signal,
    loadConfig: (named) => loadConfig(configPathOf(named, process.cwd())),
    checkProject: (project, options) => {
      checkProject(project, options);
      checkDisk(stateDirOf(process.env));
    },
    listProject: (project, options) => listProject(project, options, process.env, interrupt.signal),
    openStack,
  };
}

/** A container may run under a user that has no name. */
export function personOf(environment: Record<string, string | undefined>): string {
  try {
    return userInfo().username;
  } catch {
    return environment.USER ?? environment.LOGNAME ?? `uid ${process.getuid?.() ?? "unknown"}`;
  }
}

async function openStack(options: CommonOptions): Promise<DeployedStack> {
  const endpoint = endpointOf(options.endpoint, process.env);
  if (endpoint !== null) return openEndpoint(endpoint, options);
  if (options.stack !== undefined) return connect(resourcesOf(options.stack, await stackOutputs(options.stack)), "aws");
  const deployment = await openEmbedded(stateDirOf(process.env), options.config);
  const stack = connect(resourcesOf(deployment.stackName, deployment.outputs), "embedded");
  return {
    ...stack,
    projects: deployment.projects ?? null,
    outdated: isOutdated(deployment, configPathOf(options.config, process.cwd())),
  };
}

/** By its name alone, as in AWS: another checkout may have deployed it. What this one has deployed is known better. */
async function openEndpoint(url: string, options: CommonOptions): Promise<DeployedStack> {
  useEndpoint(url);
  await requireReached(url);
  const last = readDeployment(endpointFolder(process.env, url));
  const configPath = configPathOf(options.config, process.cwd());
  const name = options.stack ?? (existsSync(configPath) ? loadConfig(configPath).stackName : last?.stackName);
  const next = `npx stepwatch deploy${sameOptions({ config: options.config, endpoint: url })}`;
  if (name === undefined) throw new InfrastructureError(`Nothing is deployed at ${url}.`, next);
  const outputs = await stackOutputs(name, { next });
  const stack = connect(resourcesOf(name, outputs), "endpoint");
  if (last?.stackName !== name || last.outputs.TableName !== outputs.TableName) return stack;
  return { ...stack, projects: last.projects ?? null, outdated: isOutdated(last, configPath) };
}

/** A folder without a stepwatch.yaml says nothing about what was deployed. */
function isOutdated(deployment: DeploymentRecord, configPath: string): boolean {
  return (
    existsSync(configPath) &&
    fingerprint(packageRoot, configPath, deployment.leastTurnSeconds) !== deployment.fingerprint
  );
}

/** Clients of a stack. They read the environment: point it to the embedded AWS before. */
export function connect(resources: Resources, place: DeployedStack["place"]): DeployedStack {
  const artefacts = s3Artefacts({ bucket: resources.bucket });
  return {
    resources,
    place,
    ledger: dynamoLedger({ table: resources.table }),
    artefacts,
    executions: sfnExecutions(),
    executionNames: (stateMachineArn) => executionNames(stateMachineArn),
    askToStop: (executionArn) =>
      eventBridgeEvents().publish([
        {
          detailType: STOP_ASKED,
          detail: { executionArn, stateMachineArn: resources.runMachineArn },
          atMs: Date.now(),
          executionArn,
        },
      ]),
    readPlan: planReader(artefacts),
    logs: cloudWatchLogs(),
    readSettings: (project) => deployedSettings(resources.runMachineArn, project),
    taskDefinitions: ecsTaskDefinitions(),
    projects: null,
    outdated: false,
  };
}
