import { CLOSELY, PATIENTLY } from "#core/contracts/payloads.ts";
import { type AslDefinition, type AslTask, INVOKE_AND_WAIT, turns } from "./asl.ts";
import { LOOP_RETRY } from "./retries.ts";
import { CONSUMER_NET_SECONDS, consumerMachineTimeoutSeconds, turnSeconds, type Watching } from "./turns.ts";

/** The consumer machine's states: two of each loop (asl.ts, {@link turns}), those of turns of seconds only where it wakes. */
export const CONSUMER_STATES = {
  watch: "Watch node",
  watchAgain: "Watch node again",
  closely: "Watch node closely",
  closelyAgain: "Watch node closely again",
} as const;

export interface ConsumerMachineOptions extends Watching {
  readonly watchNodeArn: string;
}

/**
 * One node of a run: `Watch node` ⟲. Its input, a ConsumerReference, stays the state data through every turn; the
 * answer, a ConsumerOutput, is the execution's output. Fails with NodeFailed if the node or a test of it is not good.
 * With `watch: wake` its wait is ended by whoever sees the word on its node; a consumer that was redriven looks every few
 * seconds until its run goes on.
 */
export function consumerMachineDefinition(options: ConsumerMachineOptions): AslDefinition {
  const pollSeconds = turnSeconds(options.longestRunMinutes, options.pollIntervalSeconds);
  const { watch, watchAgain, closely, closelyAgain } = CONSUMER_STATES;
  const wakes = options.watch === "wake";
  const patient = wakes ? { waits: "patiently" as const, leave: CLOSELY, to: closely } : null;
  const close = { waits: "closely" as const, leave: PATIENTLY, to: watch };
  return {
    Comment: "Mirrors one dbt node: ends green, red or skipped as dbt says of the node and its tests. Decides nothing.",
    QueryLanguage: "JSONPath",
    StartAt: watch,
    TimeoutSeconds: consumerMachineTimeoutSeconds(options.longestRunMinutes),
    States: {
      ...turns([watch, watchAgain], watchState(options, wakes ? CONSUMER_NET_SECONDS : pollSeconds, patient)),
      ...(wakes && turns([closely, closelyAgain], watchState(options, pollSeconds, close))),
    },
  };
}

interface Leaving {
  readonly waits: "patiently" | "closely";
  /** The error that leads to the other loop. */
  readonly leave: string;
  readonly to: string;
}

const watchState =
  ({ watchNodeArn }: ConsumerMachineOptions, seconds: number, leaving: Leaving | null) =>
  (again: string): AslTask => ({
    Type: "Task",
    Comment: "Answers when the node and its planned tests have their last word.",
    Resource: INVOKE_AND_WAIT,
    Parameters: {
      FunctionName: watchNodeArn,
      Payload: {
        "taskToken.$": "$$.Task.Token",
        "consumer.$": "$",
        "execution.$": "$$.Execution",
        ...(leaving && { waits: leaving.waits }),
      },
    },
    TimeoutSeconds: seconds,
    ResultPath: "$",
    Retry: LOOP_RETRY,
    Catch: [
      { ErrorEquals: ["States.Timeout"], ResultPath: null, Next: again },
      ...(leaving ? [{ ErrorEquals: [leaving.leave], ResultPath: null, Next: leaving.to }] : []),
    ],
    End: true,
  });
