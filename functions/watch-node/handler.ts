import { dynamoLedger } from "#clients/dynamo-ledger.ts";
import { functionLog, tell } from "#clients/function-log.ts";
import { planReader } from "#clients/plan-reader.ts";
import { s3Artefacts } from "#clients/s3-artefacts.ts";
import { sfnExecutions } from "#clients/sfn-executions.ts";
import { functionEnvironmentSchema, parseEnvironment } from "#core/contracts/environment.ts";
import { watchNodePayloadSchema } from "#core/contracts/payloads.ts";
import { answerTurn } from "../answer-turn.ts";
import { newestCall } from "../newest-call.ts";
import { watchNode } from "./watch-node.ts";

const environment = parseEnvironment(functionEnvironmentSchema, process.env);
const ledger = dynamoLedger({ table: environment.STEPWATCH_TABLE });
const executions = sfnExecutions({});
const log = functionLog("watch-node", environment.STEPWATCH_STACK);
const readPlan = planReader(s3Artefacts({ bucket: environment.STEPWATCH_BUCKET }));

/** Where one process has several turns of a consumer: one that leads to another state is still under way when that begins. */
const inTurn = newestCall();

/** `Watch node`. Triggered by each turn of a consumer's wait with a task token; harmless when it runs twice. */
export async function handler(event: unknown): Promise<void> {
  const { taskToken, consumer, execution, waits } = watchNodePayloadSchema.parse(event);
  const { runId, uniqueId, part } = consumer;
  const deps = { ledger, executions, readPlan, nowMs: Date.now };
  // It answers its token itself, once it has noted the outcome.
  const turn = async () => {
    const state = await watchNode(taskToken, consumer, deps, execution.RedriveCount, waits);
    if (state !== "waiting") tell("The consumer ends.", { outcome: state, part });
    return null;
  };
  const call = () => log.about(consumer, () => answerTurn(executions, taskToken, turn));
  await inTurn(JSON.stringify([runId, uniqueId, part]), call);
}
