import type { DynamoDBStreamEvent } from "aws-lambda";
import { changeOf } from "#clients/dynamo/stream.ts";
import { dynamoLedger } from "#clients/dynamo-ledger.ts";
import { functionLog } from "#clients/function-log.ts";
import { planReader } from "#clients/plan-reader.ts";
import { s3Artefacts } from "#clients/s3-artefacts.ts";
import { sfnExecutions } from "#clients/sfn-executions.ts";
import { functionEnvironmentSchema, parseEnvironment } from "#core/contracts/environment.ts";
import type { LedgerChange } from "#core/run/watching/ledger-change.ts";
import { type WakeDeps, wake } from "./wake.ts";

const environment = parseEnvironment(
  functionEnvironmentSchema.required({ STEPWATCH_CONSUMER_MACHINE_ARN: true }),
  process.env,
);
const log = functionLog("wake", environment.STEPWATCH_STACK);
const deps: WakeDeps = {
  ledger: dynamoLedger({ table: environment.STEPWATCH_TABLE }),
  executions: sfnExecutions({}),
  readPlan: planReader(s3Artefacts({ bucket: environment.STEPWATCH_BUCKET })),
  consumerMachineArn: environment.STEPWATCH_CONSUMER_MACHINE_ARN,
  nowMs: Date.now,
};

/** Triggered by the ledger's stream, a batch at a time; harmless when a batch comes twice, late, or never. */
export async function handler(event: DynamoDBStreamEvent): Promise<void> {
  await wake(event.Records.flatMap(changeTold), deps, log.about);
}

/** A record that can not be read holds up none of those behind it. */
function changeTold(record: DynamoDBStreamEvent["Records"][number]): LedgerChange[] {
  try {
    const change = changeOf(record);
    return change === null ? [] : [change];
  } catch (error) {
    log.warn(`A record of the stream was passed over (${record.eventID}: ${String(error)}).`);
    return [];
  }
}
