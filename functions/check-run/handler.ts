import { dynamoLedger } from "#clients/dynamo-ledger.ts";
import { ecsTasks } from "#clients/ecs-tasks.ts";
import { planReader } from "#clients/plan-reader.ts";
import { s3Artefacts } from "#clients/s3-artefacts.ts";
import { sfnExecutions } from "#clients/sfn-executions.ts";
import { functionEnvironmentSchema, parseEnvironment } from "#core/contracts/environment.ts";
import { checkRunPayloadSchema } from "#core/contracts/payloads.ts";
import { answerTurn } from "../answer-turn.ts";
import { type CheckRunDeps, checkRun } from "./check-run.ts";

const environment = parseEnvironment(
  functionEnvironmentSchema.required({ STEPWATCH_CONSUMER_MACHINE_ARN: true }),
  process.env,
);
const artefacts = s3Artefacts({ bucket: environment.STEPWATCH_BUCKET });
const executions = sfnExecutions({});
const deps: CheckRunDeps = {
  ledger: dynamoLedger({ table: environment.STEPWATCH_TABLE }),
  artefacts,
  tasks: ecsTasks({}),
  executions,
  readPlan: planReader(artefacts),
  consumerMachineArn: environment.STEPWATCH_CONSUMER_MACHINE_ARN,
  nowMs: Date.now,
  seen: new Map(),
};

/**
 * Runs whose check is under way in this process. A Lambda instance has one call at a time; the embedded AWS has all
 * calls of a function in one process, and a check that takes longer than a turn would only be slowed by a second one.
 */
const underWay = new Set<string>();

/** `Check run`. Triggered by each turn of the run's wait with a task token; twice at once, the run's version lets one decide. */
export async function handler(event: unknown): Promise<void> {
  const payload = checkRunPayloadSchema.parse(event);
  const { runId } = payload.run;
  if (underWay.has(runId)) return;
  underWay.add(runId);
  try {
    const turn = async () => ((await checkRun(payload.run, deps)) === "settle" ? {} : null);
    await answerTurn(executions, payload.taskToken, turn);
  } finally {
    underWay.delete(runId);
  }
}
