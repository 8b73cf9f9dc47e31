import { dynamoLedger } from "#clients/dynamo-ledger.ts";
import { ecsTasks } from "#clients/ecs-tasks.ts";
import { eventBridgeEvents } from "#clients/eventbridge-events.ts";
import { planReader } from "#clients/plan-reader.ts";
import { s3Artefacts } from "#clients/s3-artefacts.ts";
import { functionEnvironmentSchema, parseEnvironment } from "#core/contracts/environment.ts";
import { type RunOutput, settleRunPayloadSchema } from "#core/contracts/payloads.ts";
import { StepwatchError, Unforeseen } from "#core/errors.ts";
import { settleRun } from "./settle-run.ts";

const environment = parseEnvironment(functionEnvironmentSchema, process.env);
const ledger = dynamoLedger({ table: environment.STEPWATCH_TABLE });
const artefacts = s3Artefacts({ bucket: environment.STEPWATCH_BUCKET });
const readPlan = planReader(artefacts);
const tasks = ecsTasks({});
const events = eventBridgeEvents();

/** `Settle run`. Triggered once the last check has nothing left to wait for; a second time it gives the same verdict. */
export async function handler(event: unknown): Promise<RunOutput> {
  const { run } = settleRunPayloadSchema.parse(event);
  const deps = { ledger, artefacts, tasks, events, readPlan, nowMs: Date.now, warn: console.warn };
  try {
    return await settleRun(run, deps);
  } catch (error) {
    throw error instanceof StepwatchError ? error : new Unforeseen(error);
  }
}
