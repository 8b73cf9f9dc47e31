import {
  DescribeExecutionCommand,
  type DescribeExecutionCommandOutput,
  RedriveExecutionCommand,
  SendTaskFailureCommand,
  SendTaskSuccessCommand,
  SFNClient,
  StartExecutionCommand,
  StopExecutionCommand,
} from "@aws-sdk/client-sfn";
import { ServiceUnavailable } from "#core/errors.ts";
import { executionArn } from "#core/names.ts";
import { isNamed, unavailable } from "./aws-errors.ts";
import { callSettings } from "./aws-settings.ts";
import type { Executions } from "./executions.ts";
import { cut } from "./texts.ts";
import { withinLimits } from "./within-limits.ts";

/** Step Functions' limits of an error's name and cause, in characters. */
const MAX_ERROR = 256;
const MAX_CAUSE = 32_768;

/** The wait that a token stands for is over: answered, timed out, or its execution has ended. */
const WAIT_IS_OVER = ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"];

const asUnavailable = (call: string) => unavailable(ServiceUnavailable, `Step Functions ${call}`);

/** Step Functions, Standard executions. */
export function sfnExecutions(options: { client?: SFNClient } = {}): Executions {
  const client = withinLimits(options.client ?? new SFNClient(callSettings));

  return {
    async start(stateMachineArn, name, input) {
      const command = new StartExecutionCommand({ stateMachineArn, name, input: JSON.stringify(input) });
      try {
        const answer = await client.send(command);
        return { executionArn: answer.executionArn ?? executionArn(stateMachineArn, name), started: true };
      } catch (error) {
        if (!isNamed(error, "ExecutionAlreadyExists")) return asUnavailable(`StartExecution ${name}`)(error);
        return { executionArn: executionArn(stateMachineArn, name), started: false };
      }
    },

    succeed(taskToken, output) {
      const command = new SendTaskSuccessCommand({ taskToken, output: JSON.stringify(output) });
      return answered("SendTaskSuccess", client.send(command));
    },

    fail(taskToken, { name, cause }) {
      const error = cut(name, MAX_ERROR);
      const command = new SendTaskFailureCommand({ taskToken, error, cause: cut(cause, MAX_CAUSE) });
      return answered("SendTaskFailure", client.send(command));
    },

    async describe(arn) {
      const command = new DescribeExecutionCommand({ executionArn: arn });
      try {
        return described(await client.send(command));
      } catch (error) {
        if (isNamed(error, "ExecutionDoesNotExist")) return null;
        return asUnavailable(`DescribeExecution ${arn}`)(error);
      }
    },

    async redrive(arn) {
      try {
        await client.send(new RedriveExecutionCommand({ executionArn: arn }));
        return true;
      } catch (error) {
        if (isNamed(error, "ExecutionNotRedrivable", "ExecutionDoesNotExist") || isNotImplemented(error)) return false;
        return asUnavailable(`RedriveExecution ${arn}`)(error);
      }
    },

    async stop(arn, cause) {
      const command = new StopExecutionCommand({ executionArn: arn, cause: cut(cause, MAX_CAUSE) });
      try {
        await client.send(command);
      } catch (error) {
        if (!isNamed(error, "ExecutionDoesNotExist")) asUnavailable(`StopExecution ${arn}`)(error);
      }
    },
  };
}

/**
 * An engine without this call says so by its HTTP status and the name of a passing failure (LocalStack: 501,
 * InternalFailure): to call again would never help. AWS answers no call of Step Functions so.
 */
const isNotImplemented = (error: unknown): boolean =>
  (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode === 501;

async function answered(call: string, sent: Promise<unknown>): Promise<boolean> {
  try {
    await sent;
    return true;
  } catch (error) {
    if (isNamed(error, ...WAIT_IS_OVER)) return false;
    return asUnavailable(call)(error);
  }
}

function described(answer: DescribeExecutionCommandOutput) {
  return {
    status: answer.status ?? "RUNNING",
    redriveCount: answer.redriveCount ?? 0,
    name: answer.name ?? "",
    startedAtMs: answer.startDate?.getTime() ?? 0,
    stoppedAtMs: answer.stopDate?.getTime() ?? null,
    input: parsed(answer.input),
    output: parsed(answer.output),
    error: answer.error ?? null,
    cause: answer.cause ?? null,
  };
}

/** Null where Step Functions left the text out. */
const parsed = (text: string | undefined): unknown => (text === undefined || text === "" ? null : JSON.parse(text));
