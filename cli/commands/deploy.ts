import type { StepwatchConfig } from "#core/config.ts";
import { status } from "#local/embedded-aws.ts";
import { checkPorts } from "#local/emulator/ports.ts";
import { quoted, sameOptions } from "../command-line.ts";
import type { CommonOptions, Context } from "../context.ts";
import { type DeployTarget, deployLocal, installDbt, type LocalDeploy, synthesise } from "../deploy-local.ts";
import { embeddedTarget, startEmbedded } from "../embedded.ts";
import {
  endpointEnvironment,
  endpointFolder,
  endpointOf,
  endpointStateDir,
  requireReached,
  useEndpoint,
} from "../endpoint.ts";
import { requireServices } from "../endpoint-services.ts";
import { exitCodes, UsageError } from "../failure.ts";
import { printJson, printLines, say } from "../output.ts";
import { configNameOf, configPathOf, stateDirOf } from "../paths.ts";
import { checkDisk } from "../preflight.ts";
import { resourcesOf } from "../resources.ts";

export interface DeployFlags extends CommonOptions {
  readonly local?: boolean;
  /** Seconds. */
  readonly turn?: number;
}

/**
 * What a turn takes at least on an engine of somebody else's: a loop whose turn ends before its function has answered
 * never gets on. What an earlier version needed on LocalStack's open engine, on two busy cores with its functions in our host.
 */
const LEAST_TURN_SECONDS = 8;

/**
 * `stepwatch deploy`: onto an endpoint that is named; onto the embedded AWS if it runs or `--local` asks for it; otherwise
 * it says the `cdk` command, which is how any CDK app is deployed: this command would only hide its prompts.
 */
export async function deployCommand(context: Context, flags: DeployFlags): Promise<number> {
  const { environment } = context;
  const configPath = configPathOf(flags.config, context.cwd);
  if (flags.local === true && flags.endpoint !== undefined)
    throw new UsageError("--local is the embedded AWS, --endpoint is not.", "Leave one of them out.");
  const endpoint = flags.local === true ? null : endpointOf(flags.endpoint, environment);
  const config = context.loadConfig(configPath);
  // The CDK knows one stack, by the name that the file gives it.
  if (flags.stack !== undefined && flags.stack !== config.stackName)
    throw new UsageError(
      `The stack of ${configNameOf(flags.config, context.cwd)} is ${config.stackName}, not ${flags.stack}.`,
      "Set stackName there to name it otherwise, or leave out --stack.",
    );
  const deploy = {
    config,
    configPath,
    environment,
    signal: context.interrupted,
    onProgress: (line: string) => say(context, line),
  };
  if (endpoint !== null)
    return deployOnEndpoint(context, { ...deploy, stateDir: endpointStateDir(environment) }, flags, endpoint);
  if (flags.turn !== undefined)
    throw new UsageError(
      "--turn is for an endpoint.",
      "Set pollIntervalSeconds in stepwatch.yaml, or name --endpoint.",
    );
  const stateDir = stateDirOf(environment);
  const embedded = flags.local === true || (flags.stack === undefined && (await status({ stateDir })).running);
  if (!embedded) return sayCdkCommand(context, configPath, config.stackName, flags);
  checkPorts(environment);
  return bring(context, { ...deploy, stateDir }, flags, async () =>
    embeddedTarget(await startEmbedded(stateDir, deploy.onProgress), environment),
  );
}

async function deployOnEndpoint(
  context: Context,
  deploy: LocalDeploy,
  flags: DeployFlags,
  url: string,
): Promise<number> {
  const environment = endpointEnvironment(url, context.environment);
  const leastTurnSeconds = flags.turn ?? LEAST_TURN_SECONDS;
  await requireReached(url);
  await requireServices(url, environment, deploy.config.watch);
  const notice = turnNotice(deploy.config, leastTurnSeconds);
  if (notice !== null) deploy.onProgress(notice);
  const folder = endpointFolder(context.environment, url);
  return bring(context, { ...deploy, folder, leastTurnSeconds }, flags, async () => ({
    name: url,
    environment,
    account: [],
    use: () => useEndpoint(url),
    afterFailure: `Empty the engine if it holds half a stack, then run the same command again.`,
  }));
}

/** With `watch: wake` nothing takes turns of seconds but a consumer that was redriven, which no reader of this waits for. */
export function turnNotice(
  { watch, pollIntervalSeconds }: Pick<StepwatchConfig, "watch" | "pollIntervalSeconds">,
  leastTurnSeconds: number,
): string | null {
  if (watch === "wake" || pollIntervalSeconds >= leastTurnSeconds) return null;
  return `A turn is ${leastTurnSeconds} s there instead of ${pollIntervalSeconds} s (--turn), so that each is answered in time.`;
}

/** Installs, synthesises and deploys, with all that can be done side by side. */
async function bring(
  context: Context,
  deploy: LocalDeploy,
  flags: DeployFlags,
  target: () => Promise<DeployTarget>,
): Promise<number> {
  checkDisk(deploy.stateDir);
  const [dbt, place, synthesis] = await Promise.all([installDbt(deploy), target(), synthesise(deploy)]);
  const { deployment, changed } = await deployLocal(deploy, place, synthesis, dbt);
  const resources = resourcesOf(deployment.stackName, deployment.outputs);
  const kind = deploy.folder === undefined ? "embedded" : "endpoint";
  if (flags.json) printJson(context, { contract: 1, place: kind, changed, ...resources });
  else
    printLines(context, [
      `${deployment.stackName} is ${changed ? "deployed" : "up to date"} on ${place.name}.`,
      ...Object.keys(deploy.config.projects).map((project) => `  npx stepwatch run ${project}${sameOptions(flags)}`),
    ]);
  return exitCodes.green;
}

function sayCdkCommand(context: Context, configPath: string, stackName: string, flags: DeployFlags): number {
  const command = `npx cdk deploy ${stackName} --context ${quoted(`config=${configPath}`)}`;
  if (flags.json) printJson(context, { contract: 1, place: "aws", changed: false, stackName, command });
  else
    printLines(context, [
      "For AWS, deploy with the CDK as any other app (once per account and region: npx cdk bootstrap):",
      `  ${command}`,
      "For the embedded AWS on this machine:",
      `  npx stepwatch deploy --local${sameOptions({ config: flags.config })}`,
    ]);
  return exitCodes.green;
}
