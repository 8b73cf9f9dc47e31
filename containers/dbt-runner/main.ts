import { dynamoLedger } from "#clients/dynamo-ledger.ts";
import { s3Artefacts, s3Client } from "#clients/s3-artefacts.ts";
import { parseEnvironment, runnerEnvironmentSchema } from "#core/contracts/environment.ts";
import { InputError } from "#core/errors.ts";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { LogOutput } from "./log-output.ts";
import { Moments } from "./moments.ts";
import { readOwnTask } from "./own-task.ts";
import { StopSwitch } from "./stop-switch.ts";
import { supervise } from "./supervise.ts";

/**
 * The container of one ECS task: supervises one dbt process. Started by RunTask with the ids of a run and a task; when
 * the same task is started twice, the fence in the ledger lets one container in. See exit-codes.ts for how it ends.
 */
async function main(output: LogOutput, stop: StopSwitch): Promise<ExitCode> {
  const moments = new Moments();
  moments.first("startedAtMs", performance.timeOrigin);
  moments.first("loadedAtMs");
  const environment = parseEnvironment(runnerEnvironmentSchema, process.env);
  const { STEPWATCH_PROJECT: project, STEPWATCH_RUN_ID: runId, STEPWATCH_TASK: task } = environment;
  output.isAbout({ project, runId, task });
  const ownTask = await readOwnTask(environment.ECS_CONTAINER_METADATA_URI_V4);
  const ledger = dynamoLedger({ table: environment.STEPWATCH_TABLE });
  const artefacts = s3Artefacts({ bucket: environment.STEPWATCH_BUCKET });
  const deps = { environment, processEnv: process.env, ownTask, ledger, artefacts, output, stop, moments };
  return supervise({ ...deps, bucketNamed: (bucket) => s3Artefacts({ bucket, client: s3Client(process.env, true) }) });
}

// Node has read it at its start, for the bundle; dbt's own Node programs are none of it.
delete process.env.NODE_COMPILE_CACHE;

const output = new LogOutput();
const stop = new StopSwitch();
// ECS and its init process send SIGTERM to us alone; a terminal sends SIGINT to dbt as well.
process.on("SIGTERM", () =>
  stop.ask("terminated", "The container was told to stop (SIGTERM): a stop of the task, or a Spot interruption."),
);
process.on("SIGINT", () => stop.ask("terminated", "The container was interrupted (SIGINT).", true));

let code: ExitCode;
try {
  code = await main(output, stop);
} catch (error) {
  const refused = error instanceof InputError;
  output.say(refused ? "environment refused" : "defect", {
    error: error instanceof Error ? (error.stack ?? error.message) : String(error),
  });
  code = refused ? EXIT.environment : EXIT.defect;
}
await output.flush();
process.exit(code);
