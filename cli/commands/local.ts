import { counted } from "#core/counted.ts";
import { down, type EmbeddedAwsStatus, reset, status, up } from "#local/embedded-aws.ts";
import { DEFAULT_STATE_DIR } from "#local/python.ts";
import type { Context } from "../context.ts";
import { readDeployment } from "../deployment-record.ts";
import { liveRuns } from "../embedded.ts";
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
      await up({ stateDir, venvStateDir: DEFAULT_STATE_DIR, onProgress: (line) => say(context, line) });
      return report(context, await status({ stateDir }), stateDir, flags);
    case "down":
      await sayWhatEnds(context, stateDir);
      await down({ stateDir });
      return report(context, { running: false }, stateDir, flags);
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

/** It keeps nothing beyond its own life, and a run that goes on dies with it: a person should read which. */
async function sayWhatEnds(context: Context, stateDir: string): Promise<void> {
  const { endpoints } = await status({ stateDir });
  if (endpoints === undefined) return;
  const runs = await liveRuns(endpoints, readDeployment(stateDir));
  const live = runs.length === 0 ? "" : `, and with it ${counted(runs.length, "live run")}: ${runs.join(", ")}`;
  say(context, `Ending the embedded AWS${live} …`);
}

/** Exit code 0 whether it runs or not: `local status --json` tells, and `down` on what is down is no failure. */
function report(context: Context, state: EmbeddedAwsStatus, stateDir: string, flags: LocalFlags): number {
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
  else
    printLines(
      context,
      endpoints === undefined
        ? ["The embedded AWS does not run."]
        : [
            `The embedded AWS runs at ${endpoints.awsEndpointUrl} (process ${endpoints.pid}, since ${endpoints.startedAt}).`,
            `  ${state.runningTasks ?? 0} ECS tasks run; ECS answers at ${endpoints.ecsEndpointUrl}`,
          ],
    );
  return exitCodes.green;
}
