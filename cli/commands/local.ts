import { counted } from "#core/counted.ts";
import { down, type EmbeddedAwsStatus, reset, status } from "#local/embedded-aws.ts";
import type { Context } from "../context.ts";
import { readDeployment } from "../deployment-record.ts";
import { liveRuns, startEmbedded } from "../embedded.ts";
import { exitCodes, InfrastructureError, UsageError } from "../failure.ts";
import { printJson, printLines, say } from "../output.ts";
import { stateDirOf } from "../paths.ts";

export interface LocalFlags {
  readonly json?: boolean | undefined;
}

const ACTIONS = ["up", "down", "status", "reset"] as const;

/** `stepwatch local up|down|status|reset`. */
export async function localCommand(context: Context, action: string, flags: LocalFlags): Promise<number> {
  const stateDir = stateDirOf(context.environment);
  switch (action) {
    case "up":
      await startEmbedded(stateDir, (line) => say(context, line));
      return report(context, await status({ stateDir }), stateDir, flags);
    case "down":
      return end(context, stateDir, flags);
    case "reset":
      if (!(await status({ stateDir })).running)
        throw new InfrastructureError(
          "The embedded AWS does not run, so that there is nothing to reset.",
          "npx stepwatch local up",
        );
      await reset({ stateDir });
      return report(context, await status({ stateDir }), stateDir, flags);
    case "status":
      return report(context, await status({ stateDir }), stateDir, flags);
    default:
      throw new UsageError(`${JSON.stringify(action)} is none of ${ACTIONS.join(", ")}.`, "npx stepwatch local --help");
  }
}

async function end(context: Context, stateDir: string, flags: LocalFlags): Promise<number> {
  const { running } = await status({ stateDir });
  await sayWhatEnds(context, stateDir);
  await down({ stateDir });
  return report(context, { running: false }, stateDir, flags, running);
}

/** It keeps nothing beyond its own life, and a run that goes on dies with it: a person should read which. */
async function sayWhatEnds(context: Context, stateDir: string): Promise<void> {
  const { endpoints } = await status({ stateDir });
  if (endpoints === undefined) return;
  const runs = await liveRuns(endpoints, readDeployment(stateDir));
  const live = runs.length === 0 ? "" : `, and with it ${counted(runs.length, "live run")}: ${runs.join(", ")}`;
  say(context, `Ending the embedded AWS${live} …`);
}

/** Exit code 0 whether it runs or not: `local status --json` tells, and `down` on what is down is no failure. */
function report(
  context: Context,
  state: EmbeddedAwsStatus,
  stateDir: string,
  flags: LocalFlags,
  hasEnded = false,
): number {
  const { endpoints } = state;
  const runs =
    endpoints === undefined
      ? {}
      : {
          awsEndpointUrl: endpoints.awsEndpointUrl,
          ecsEndpointUrl: endpoints.ecsEndpointUrl,
          region: endpoints.region,
          accountId: endpoints.accountId,
          pid: endpoints.pid,
          startedAt: endpoints.startedAt,
        };
  const stackName = state.running ? (readDeployment(stateDir)?.stackName ?? null) : null;
  if (flags.json)
    printJson(context, {
      contract: 1,
      running: state.running,
      stateDir,
      ...runs,
      ...(state.running ? { runningTasks: state.runningTasks ?? 0, stackName } : {}),
    });
  else printLines(context, stateLines(state, hasEnded));
  return exitCodes.green;
}

/** @param hasEnded by this command: otherwise a person asks why it did not run */
export function stateLines({ endpoints, runningTasks }: EmbeddedAwsStatus, hasEnded: boolean): string[] {
  if (endpoints === undefined) return [hasEnded ? "The embedded AWS has ended." : "The embedded AWS does not run."];
  const { awsEndpointUrl, ecsEndpointUrl, pid, startedAt } = endpoints;
  return [
    `The embedded AWS runs at ${awsEndpointUrl} (process ${pid}, since ${startedAt}).`,
    `  ${runningTasks ?? 0} ECS tasks run; ECS answers at ${ecsEndpointUrl}`,
  ];
}
