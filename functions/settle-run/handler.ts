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
import { type RunOutput, settleRunPayloadSchema } from "#core/contracts/payloads.ts";
import { StepwatchError } from "#core/errors.ts";
import type { SummaryInput } from "#core/run/reporting/summary.ts";
import { publishArtefacts } from "../publish-artefacts.ts";
import { unforeseen } from "../unforeseen.ts";
import { settleRun } from "./settle-run.ts";

const environment = parseEnvironment(functionEnvironmentSchema, process.env);
const ledger = dynamoLedger({ table: environment.STEPWATCH_TABLE });
const artefacts = s3Artefacts({ bucket: environment.STEPWATCH_BUCKET });
const readPlan = planReader(artefacts);
const tasks = ecsTasks({});
const events = eventBridgeEvents();
const executions = sfnExecutions({});
const log = functionLog("settle-run", environment.STEPWATCH_STACK);
const readFacts = factsReader(artefacts, log.warn);

/** `Settle run`. Triggered once the last check has nothing left to wait for; a second time it gives the same verdict. */
export async function handler(event: unknown): Promise<RunOutput> {
  const { run, execution: context, roundsSeconds } = settleRunPayloadSchema.parse(event);
  const publish = (read: SummaryInput) => publishArtefacts(read, { ledger, artefacts, nowMs: Date.now, pause });
  const deps = {
    ledger,
    artefacts,
    tasks,
    executions,
    events,
    readPlan,
    readFacts,
    publish,
    nowMs: Date.now,
    warn: log.warn,
  };
  return await log.about(run, async () => {
    try {
      return await settleRun(run, deps, { context, roundsSeconds });
    } catch (error) {
      throw error instanceof StepwatchError ? error : unforeseen(error);
    }
  });
}
