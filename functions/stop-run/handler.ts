import { setTimeout as pause } from "node:timers/promises";
import { dynamoLedger } from "#clients/dynamo-ledger.ts";
import { ecsTasks } from "#clients/ecs-tasks.ts";
import { eventBridgeEvents } from "#clients/eventbridge-events.ts";
import { factsReader } from "#clients/facts-reader.ts";
import { functionLog } from "#clients/function-log.ts";
import { planReader } from "#clients/plan-reader.ts";
import { s3Artefacts } from "#clients/s3-artefacts.ts";
import { sfnExecutions } from "#clients/sfn-executions.ts";
import { functionEnvironmentSchema, parseEnvironment } from "#core/contracts/environment.ts";
import { stopRunPayloadSchema } from "#core/contracts/payloads.ts";
import { publishArtefacts } from "../publish-artefacts.ts";
import { type StopRunDeps, stopRun } from "./stop-run.ts";
import { sweep } from "./sweep.ts";

const environment = parseEnvironment(
  functionEnvironmentSchema.required({ STEPWATCH_CONSUMER_MACHINE_ARN: true }),
  process.env,
);
const log = functionLog("stop-run", environment.STEPWATCH_STACK);
const artefacts = s3Artefacts({ bucket: environment.STEPWATCH_BUCKET });
const ledger = dynamoLedger({ table: environment.STEPWATCH_TABLE });
const deps: StopRunDeps = {
  ledger,
  artefacts,
  tasks: ecsTasks({}),
  executions: sfnExecutions({}),
  events: eventBridgeEvents(),
  readPlan: planReader(artefacts),
  readFacts: factsReader(artefacts, log.warn),
  consumerMachineArn: environment.STEPWATCH_CONSUMER_MACHINE_ARN,
  publish: (read) => publishArtefacts(read, { ledger, artefacts, nowMs: Date.now, pause }),
  nowMs: Date.now,
  pause,
  warn: log.warn,
};

/** Triggered by the end of a run machine's execution, by `stepwatch stop`, and by the clock; harmless when it runs twice. */
export async function handler(event: unknown): Promise<void> {
  const payload = stopRunPayloadSchema.parse(event);
  await log.about({}, () =>
    "sweep" in payload ? sweep(payload.sweep, deps, payload.schedules) : stopRun(payload.detail, deps),
  );
}
