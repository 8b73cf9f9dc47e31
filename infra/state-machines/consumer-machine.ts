import { type AslDefinition, INVOKE_AND_WAIT } from "./asl.ts";
import { LOOP_RETRY } from "./retries.ts";
import { consumerMachineTimeoutSeconds, turnSeconds } from "./turns.ts";

/** The consumer machine's state. */
export const CONSUMER_STATES = { watch: "Watch node" } as const;

export interface ConsumerMachineOptions {
  readonly watchNodeArn: string;
  readonly pollIntervalSeconds: number;
  readonly longestRunMinutes: number;
}

/**
 * One node of a run: `Watch node` ⟲. Its input, a ConsumerReference, stays the state data through every turn; the
 * answer, a ConsumerOutput, is the execution's output. Fails with NodeFailed if the node or a test of it is not good.
 */
export function consumerMachineDefinition(options: ConsumerMachineOptions): AslDefinition {
  return {
    Comment: "Mirrors one dbt node: ends green, red or skipped as dbt says of the node and its tests. Decides nothing.",
    QueryLanguage: "JSONPath",
    StartAt: CONSUMER_STATES.watch,
    TimeoutSeconds: consumerMachineTimeoutSeconds(options.longestRunMinutes),
    States: {
      [CONSUMER_STATES.watch]: {
        Type: "Task",
        Comment: "Answers when the node and its planned tests have their last word.",
        Resource: INVOKE_AND_WAIT,
        Parameters: {
          FunctionName: options.watchNodeArn,
          Payload: { "taskToken.$": "$$.Task.Token", "consumer.$": "$" },
        },
        TimeoutSeconds: turnSeconds(options.longestRunMinutes, options.pollIntervalSeconds),
        ResultPath: "$",
        Retry: LOOP_RETRY,
        Catch: [{ ErrorEquals: ["States.Timeout"], ResultPath: null, Next: CONSUMER_STATES.watch }],
        End: true,
      },
    },
  };
}
