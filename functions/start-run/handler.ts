import { dynamoLedger } from "#clients/dynamo-ledger.ts";
import { functionLog, tell } from "#clients/function-log.ts";
import { sfnExecutions } from "#clients/sfn-executions.ts";
import { functionEnvironmentSchema, parseEnvironment } from "#core/contracts/environment.ts";
import { startRunPayloadSchema } from "#core/contracts/payloads.ts";
import { answerTurn } from "../answer-turn.ts";
import { startRun } from "./start-run.ts";

const environment = parseEnvironment(functionEnvironmentSchema, process.env);
const ledger = dynamoLedger({ table: environment.STEPWATCH_TABLE });
const executions = sfnExecutions({});
const log = functionLog("start-run", environment.STEPWATCH_STACK);

/**
 * `Start run`. Triggered by the run machine's first state with a task token, once a turn while the run waits for its
 * lock. Twice for one run: the second finds lock and row as the first left them and answers the same.
 */
export async function handler(event: unknown): Promise<void> {
  const payload = startRunPayloadSchema.parse(event);
  const turn = async () => {
    const run = await startRun(payload, { ledger, executions, nowMs: Date.now });
    if (run !== null) tell(run.skipped ?? "The run begins.", { project: run.project });
    return run;
  };
  await log.about({ runId: payload.execution.name }, () => answerTurn(executions, payload.taskToken, turn));
}
