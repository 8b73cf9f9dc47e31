import type { RunKey } from "#clients/ledger.ts";
import { sameOptions } from "./command-line.ts";
import type { CommonOptions } from "./context.ts";
import { exitCodes, InfrastructureError, UsageError } from "./failure.ts";
import type { FollowEnd } from "./follow.ts";

/** The exit code of a run that has its verdict. A run that was left out by `overlap: skip` is no failure. */
export const exitCodeOf = (state: string): number =>
  state === "green" || state === "skipped" ? exitCodes.green : exitCodes.red;

/** A project that was added to stepwatch.yaml since the stack was deployed, or that never was in it. */
export const notInStack = (project: string, known: string, flags: CommonOptions): UsageError =>
  new UsageError(
    `There is no project ${project} in the deployed stack, which has ${known}. If it is in stepwatch.yaml, deploy first.`,
    `npx stepwatch deploy${sameOptions(flags)}`,
  );

/** What start-run says of a project that its stack does not have. */
const NOT_IN_STACK = /: this stack has (.+?)\.?$/;

/** What start-run says of the run before. */
const PAST = /^The run (\S+) before this one/;

/** What went wrong with a run that has no verdict, as an error with the right exit code. */
export function endedBadly(
  { project, runId }: RunKey,
  end: FollowEnd & { kind: "over" },
  flags: CommonOptions = {},
): Error {
  const { status, error, cause } = end.execution;
  const why = causeSentence(cause) ?? error ?? status;
  const known = NOT_IN_STACK.exec(why)?.[1];
  if (error === "InputError" && known !== undefined) return notInStack(project, known, flags);
  if (error === "InputError") return new UsageError(why, "npx stepwatch run --help");
  if (error === "RunLocked" || error === "QueueFull")
    return new InfrastructureError(why, "Run the same command again when it has ended.");
  const past = error === "PastNotGreen" ? PAST.exec(why)?.[1] : undefined;
  if (past !== undefined) return new InfrastructureError(why, `npx stepwatch retry ${past}${sameOptions(flags)}`);
  const what =
    status === "ABORTED" ? "was stopped" : status === "TIMED_OUT" ? "ran into its machine's timeout" : "broke";
  return new InfrastructureError(
    `The run ${runId} ${what} without a verdict: ${why}`,
    `npx stepwatch tasks ${runId}${sameOptions(flags)}`,
  );
}

/** Step Functions wraps what a Lambda threw in JSON. */
export function causeSentence(cause: string | null): string | null {
  if (cause === null || cause === "") return null;
  try {
    const parsed: unknown = JSON.parse(cause);
    if (
      typeof parsed === "object" &&
      parsed !== null &&
      "errorMessage" in parsed &&
      typeof parsed.errorMessage === "string"
    )
      return parsed.errorMessage;
    return cause;
  } catch {
    return cause;
  }
}

/** The commands that say more about a run; of one that is red, last of all what to do about it. */
export const lookFurther = (runId: string, flags: CommonOptions = {}, state = "green"): string[] => [
  "Look further:",
  `  npx stepwatch status ${runId}${sameOptions(flags)}`,
  `  npx stepwatch tasks ${runId}${sameOptions(flags)}`,
  `  npx stepwatch logs ${runId} [node]${sameOptions(flags)}`,
  ...nextOf(state, runId, flags),
];

/** With what every summary of a run ends that is red or was stopped: its exact next commands. */
export const nextOf = (state: string, runId: string, flags: CommonOptions = {}): string[] =>
  state !== "red" && state !== "stopped"
    ? []
    : [
        "Next:",
        `  npx stepwatch why ${runId}${sameOptions(flags)}`,
        `  npx stepwatch retry ${runId}${sameOptions(flags)}`,
      ];
