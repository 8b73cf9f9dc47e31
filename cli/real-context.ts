import { existsSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { dynamoLedger } from "#clients/dynamo-ledger.ts";
import { cloudWatchLogs } from "#clients/logs.ts";
import { planReader } from "#clients/plan-reader.ts";
import { s3Artefacts } from "#clients/s3-artefacts.ts";
import { sfnExecutions } from "#clients/sfn-executions.ts";
import { loadConfig } from "../infra/load-config.ts";
import type { CommonOptions, Context, DeployedStack } from "./context.ts";
import { type DeploymentRecord, fingerprint } from "./deployment-record.ts";
import { openEmbedded } from "./embedded.ts";
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
    now: () => Date.now(),
    sleep: (milliseconds) => wait(milliseconds, undefined, { signal: interrupt.signal }),
    interrupted: interrupt.signal,
    loadConfig: (named) => loadConfig(configPathOf(named, process.cwd())),
    checkProject: (project, options) => {
      checkProject(project, options);
      checkDisk(stateDirOf(process.env));
    },
    openStack,
  };
}

async function openStack(options: CommonOptions): Promise<DeployedStack> {
  if (options.stack !== undefined) return connect(resourcesOf(options.stack, await stackOutputs(options.stack)), "aws");
  const deployment = await openEmbedded(stateDirOf(process.env), options.config);
  const stack = connect(resourcesOf(deployment.stackName, deployment.outputs), "embedded");
  return {
    ...stack,
    projects: deployment.projects ?? null,
    outdated: isOutdated(deployment, configPathOf(options.config, process.cwd())),
  };
}

/** A folder without a stepwatch.yaml says nothing about what was deployed. */
function isOutdated(deployment: DeploymentRecord, configPath: string): boolean {
  return existsSync(configPath) && fingerprint(packageRoot, configPath) !== deployment.fingerprint;
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
    readPlan: planReader(artefacts),
    logs: cloudWatchLogs(),
    projects: null,
    outdated: false,
  };
}
