import type { DynamoDBStreamEvent } from "aws-lambda";
import { eventChangesOf } from "#clients/dynamo/event-stream.ts";
import { dynamoLedger } from "#clients/dynamo-ledger.ts";
import { eventBridgeEvents } from "#clients/eventbridge-events.ts";
import { factsReader } from "#clients/facts-reader.ts";
import { functionLog } from "#clients/function-log.ts";
import { planReader } from "#clients/plan-reader.ts";
import { s3Artefacts } from "#clients/s3-artefacts.ts";
import { functionEnvironmentSchema, parseEnvironment } from "#core/contracts/environment.ts";
import type { EventChange } from "#core/run/events/event-change.ts";
import { type PublishDeps, publish } from "./publish.ts";

const environment = parseEnvironment(
  functionEnvironmentSchema.required({ STEPWATCH_CONSUMER_MACHINE_ARN: true }),
  process.env,
);
const log = functionLog("publish", environment.STEPWATCH_STACK);
const artefacts = s3Artefacts({ bucket: environment.STEPWATCH_BUCKET });
const deps: PublishDeps = {
  ledger: dynamoLedger({ table: environment.STEPWATCH_TABLE }),
  events: eventBridgeEvents(),
  artefacts,
  readPlan: planReader(artefacts),
  readFacts: factsReader(artefacts, log.warn),
  stack: environment.STEPWATCH_STACK,
  consumerMachineArn: environment.STEPWATCH_CONSUMER_MACHINE_ARN,
  datasets: environment.STEPWATCH_DATASETS !== "off",
};

/** Triggered by the ledger's stream, a batch at a time. A batch that comes twice publishes the same ids again. */
export async function handler(event: DynamoDBStreamEvent): Promise<void> {
  await publish(event.Records.flatMap(changesTold), deps, log.about);
}

/** A record that can not be read holds up none of those behind it. */
function changesTold(record: DynamoDBStreamEvent["Records"][number]): EventChange[] {
  try {
    return eventChangesOf(record);
  } catch (error) {
    log.warn(`A record of the stream was passed over (${record.eventID}: ${String(error)}).`);
    return [];
  }
}
