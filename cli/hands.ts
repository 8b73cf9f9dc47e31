import type { HandRow, PauseRow } from "#core/contracts/project-rows.ts";
import { quoted, sameOptions } from "./command-line.ts";
import type { CommonOptions, Context, DeployedStack } from "./context.ts";

/** Days that what a person did is kept: as long as a run's rows by default. */
const HAND_DAYS = 60;

/** Keeps what the person at this terminal does to a project. */
export async function recordHand(
  context: Pick<Context, "person" | "now">,
  stack: Pick<DeployedStack, "ledger">,
  hand: Omit<HandRow, "by" | "atMs">,
): Promise<void> {
  await stack.ledger.addHand({ ...hand, by: context.person, atMs: context.now() }, HAND_DAYS);
}

/** That a project is paused, and how that is taken back; nothing where it is not. */
export const pausedLines = (pause: PauseRow | null, flags: CommonOptions): string[] =>
  pause === null
    ? []
    : [
        `‖ paused by ${pause.by} since ${new Date(pause.atMs).toISOString()}: ${pause.reason}`,
        `  → npx stepwatch resume ${quoted(pause.project)}${sameOptions(flags)}`,
      ];

export const pauseJson = (pause: PauseRow | null) =>
  pause === null ? null : { by: pause.by, since: new Date(pause.atMs).toISOString(), reason: pause.reason };

export const handLine = ({ atMs, by, sentence, reason }: HandRow): string =>
  `${new Date(atMs).toISOString()}  ${by} ${sentence}${reason === "" ? "" : `: ${reason}`}`;

export const handJson = ({ atMs, by, action, sentence, reason }: HandRow) => ({
  at: new Date(atMs).toISOString(),
  by,
  action,
  reason,
  sentence,
});
