import { sameOptions } from "../command-line.ts";
import type { CommonOptions, Context, DeployedStack } from "../context.ts";
import { exitCodes } from "../failure.ts";
import { unlessBusy } from "../follow.ts";
import { printJson, printLines, say } from "../output.ts";
import { paintFor } from "../view/style.ts";
import { type BackfillLook, type KnownOfBackfill, lookAtBackfill, type WindowLook } from "./look.ts";
import { backfillJson, backfillLines, windowLine } from "./text.ts";

/** Between two looks, each a read for every window that is at work. Milliseconds. */
const LOOK_MS = 2_000;

/** Tells of each window's changes until none goes on, or until Ctrl-C (null). */
export async function followBackfill(
  context: Context,
  stack: DeployedStack,
  id: string,
  flags: CommonOptions,
  begun?: KnownOfBackfill["begun"],
): Promise<BackfillLook | null> {
  const paint = paintFor(context.err, context.environment);
  const told = new Map<string, string>();
  const green = new Map<string, WindowLook>();
  const leftOut = new Map<string, WindowLook>();
  try {
    for (;;) {
      const look = await unlessBusy(() =>
        lookAtBackfill(stack, id, flags, { green, leftOut, ...(begun && { begun }) }),
      );
      for (const one of look?.windows ?? []) {
        const { window } = one.window;
        if (one.state === "green") green.set(window, one);
        if (one.state === "not built" && one.runId !== null) leftOut.set(one.runId, one);
        const now = `${one.state} ${one.runId}`;
        if (one.state !== "waiting" && told.get(window) !== now) say(context, windowLine(one, paint));
        told.set(window, now);
      }
      if (look !== null && look.state !== "running") return look;
      await context.sleep(LOOK_MS);
    }
  } catch (error) {
    if (!context.interrupted.aborted) throw error;
    say(
      context,
      `The backfill goes on without us. See it with: npx stepwatch backfill status ${id}${sameOptions(flags)}`,
    );
    return null;
  }
}

/** Prints a backfill as it stands; answers its exit code: one that goes on is no failure. */
export function reportBackfill(context: Context, look: BackfillLook, flags: CommonOptions): number {
  if (flags.json) printJson(context, backfillJson(look));
  else printLines(context, backfillLines(look, paintFor(context.out, context.environment), flags));
  return look.state === "green" || look.state === "running" ? exitCodes.green : exitCodes.red;
}
