import { setTimeout as pause } from "node:timers/promises";
import { dynamoLedger } from "#clients/dynamo-ledger.ts";
import { ecsTasks } from "#clients/ecs-tasks.ts";
import { eventBridgeEvents } from "#clients/eventbridge-events.ts";
import { functionLog } from "#clients/function-log.ts";
import { planReader } from "#clients/plan-reader.ts";
import { s3Artefacts } from "#clients/s3-artefacts.ts";
import { sfnExecutions } from "#clients/sfn-executions.ts";
import { functionEnvironmentSchema, parseEnvironment } from "#core/contracts/environment.ts";
import { checkRunPayloadSchema, type RunReference } from "#core/contracts/payloads.ts";
import { answerTurn } from "../answer-turn.ts";
import { newestCall } from "../newest-call.ts";
import { type CheckRunDeps, checkTurn, tellLaterTurn } from "./check-run.ts";

const environment = parseEnvironment(
  functionEnvironmentSchema.required({ STEPWATCH_CONSUMER_MACHINE_ARN: true }),
  process.env,
);
const artefacts = s3Artefacts({ bucket: environment.STEPWATCH_BUCKET });
const executions = sfnExecutions({});
const log = functionLog("check-run", environment.STEPWATCH_STACK);
const deps: CheckRunDeps = {
  ledger: dynamoLedger({ table: environment.STEPWATCH_TABLE }),
  artefacts,
  tasks: ecsTasks({}),
  executions,
  events: eventBridgeEvents(),
  warn: log.warn,
  readPlan: planReader(artefacts),
  consumerMachineArn: environment.STEPWATCH_CONSUMER_MACHINE_ARN,
  nowMs: Date.now,
  seen: new Map(),
};

/** Where one process has several checks of a run: what woke the second may have come after the first one's look. */
const inTurn = newestCall();

/** `Check run`. Triggered by each turn of the run's wait with a task token; twice at once, the run's version lets one decide. */
export async function handler(event: unknown): Promise<void> {
  const payload = checkRunPayloadSchema.parse(event);
  const late = (answer: RunReference) => tellLaterTurn(payload, answer, deps);
  const turn = () => answerTurn(executions, payload.taskToken, () => checkTurn(payload, { ...deps, pause }), late);
  await inTurn(payload.run.runId, () => log.about(payload.run, turn));
}
