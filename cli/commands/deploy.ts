import { status, up } from "#local/embedded-aws.ts";
import { checkPorts } from "#local/emulator/ports.ts";
import { DEFAULT_STATE_DIR } from "#local/python.ts";
import { quoted, sameOptions } from "../command-line.ts";
import type { CommonOptions, Context } from "../context.ts";
import { deployLocal, installDbt, synthesise } from "../deploy-local.ts";
import { exitCodes, UsageError } from "../failure.ts";
import { printJson, printLines, say } from "../output.ts";
import { configNameOf, configPathOf, stateDirOf } from "../paths.ts";
import { checkDisk } from "../preflight.ts";
import { resourcesOf } from "../resources.ts";

export interface DeployFlags extends CommonOptions {
  readonly local?: boolean;
}

/**
 * `stepwatch deploy`: onto the embedded AWS if it runs or `--local` asks for it; otherwise it says the `cdk` command,
 * which is how any CDK app is deployed: this command would only hide its prompts.
 */
export async function deployCommand(context: Context, flags: DeployFlags): Promise<number> {
  const configPath = configPathOf(flags.config, context.cwd);
  const config = context.loadConfig(configPath);
  // The CDK knows one stack, by the name that the file gives it.
  if (flags.stack !== undefined && flags.stack !== config.stackName)
    throw new UsageError(
      `The stack of ${configNameOf(flags.config, context.cwd)} is ${config.stackName}, not ${flags.stack}.`,
      "Set stackName there to name it otherwise, or leave out --stack.",
    );
  const stateDir = stateDirOf(context.environment);
  const embedded = flags.local === true || (flags.stack === undefined && (await status({ stateDir })).running);
  if (!embedded) return sayCdkCommand(context, configPath, config.stackName, flags);
  checkPorts(context.environment);
  checkDisk(stateDir);
  const onProgress = (line: string) => say(context, line);
  const deploy = {
    config,
    configPath,
    stateDir,
    environment: context.environment,
    signal: context.interrupted,
    onProgress,
  };
  const [dbt, endpoints, synthesis] = await Promise.all([
    installDbt(deploy),
    up({ stateDir, venvStateDir: DEFAULT_STATE_DIR, onProgress }),
    synthesise(deploy),
  ]);
  const { deployment, changed } = await deployLocal(deploy, endpoints, synthesis, dbt);
  const resources = resourcesOf(deployment.stackName, deployment.outputs);
  if (flags.json) printJson(context, { contract: 1, place: "embedded", changed, ...resources });
  else
    printLines(context, [
      `${deployment.stackName} is ${changed ? "deployed" : "up to date"} on the embedded AWS.`,
      ...Object.keys(config.projects).map((project) => `  npx stepwatch run ${project}${sameOptions(flags)}`),
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
