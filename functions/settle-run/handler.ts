import { dynamoLedger } from "#clients/dynamo-ledger.ts";
import { eventBridgeEvents } from "#clients/eventbridge-events.ts";
import { planReader } from "#clients/plan-reader.ts";
import { s3Artefacts } from "#clients/s3-artefacts.ts";
import { functionEnvironmentSchema, parseEnvironment } from "#core/contracts/environment.ts";
import { type RunOutput, settleRunPayloadSchema } from "#core/contracts/payloads.ts";
import { settleRun } from "./settle-run.ts";

const environment = parseEnvironment(functionEnvironmentSchema, process.env);
const ledger = dynamoLedger({ table: environment.STEPWATCH_TABLE });
const artefacts = s3Artefacts({ bucket: environment.STEPWATCH_BUCKET });
const readPlan = planReader(artefacts);
const events = eventBridgeEvents();

/** `Settle run`. Triggered once the last check has nothing left to wait for; a second time it gives the same verdict. */
export async function handler(event: unknown): Promise<RunOutput> {
  const { run } = settleRunPayloadSchema.parse(event);
  return await settleRun(run, { ledger, artefacts, events, readPlan, nowMs: Date.now, warn: console.warn });
}
