import type { Context } from "../context.ts";
import { exitCodes } from "../failure.ts";
import { printJson, printLines } from "../output.ts";
import { type Replay, replay } from "../replay.ts";
import { nodeLine, nodeName } from "../view/node-table.ts";
import { paintFor, widthOf } from "../view/style.ts";

export interface ReplayFlags {
  readonly json?: boolean | undefined;
  readonly runResults?: string;
  readonly manifest?: string;
}

/** `stepwatch replay <log>`: what each vertex's outcome would be. Red (1) if a live build of this log would be red. */
export async function replayCommand(context: Context, log: string, flags: ReplayFlags): Promise<number> {
  const result = await replay({ log, runResults: flags.runResults, manifest: flags.manifest });
  if (flags.json) printJson(context, result);
  else printLines(context, replayText(context, result));
  const allGood = result.nodes.every((node) => node.class === "good" || node.class === "skipped");
  return allGood && result.inOrder && result.cause.kind === "none" ? exitCodes.green : exitCodes.red;
}

function replayText(context: Context, result: Replay): string[] {
  const paint = paintFor(context.out, context.environment);
  const nameWidth = Math.max(16, ...result.nodes.map((node) => nodeName(node.uniqueId).length));
  const layout = { nameWidth, width: widthOf(context.out, 200), paint, nowMs: context.now() };
  return [
    `dbt ${result.dbtVersion ?? "(version not said)"}, invocation ${result.invocationId ?? "(not said)"}`,
    ...result.nodes.map((node) => nodeLine({ ...node, rootCause: null, reason: null }, layout)),
    result.cause.sentence,
    ...result.cause.lines.map((line) => `  ${line}`),
  ];
}
