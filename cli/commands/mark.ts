import type { VertexMark } from "#core/contracts/ledger.ts";
import { currentProducer } from "#core/run/judging/vertex-view.ts";
import { sameOptions } from "../command-line.ts";
import type { CommonOptions, Context } from "../context.ts";
import { exitCodes, UsageError } from "../failure.ts";
import { recordHand } from "../hands.ts";
import { printJson, printLines } from "../output.ts";
import { findRun, readSnapshot } from "../run-lookup.ts";
import { vertexNamed } from "../vertex-named.ts";

export interface MarkFlags extends CommonOptions {
  readonly node: readonly string[];
  readonly reason: string;
}

const WORDS = ["good", "skip", "none"] as const;

/**
 * `stepwatch mark <run> good|skip|none --node m`: a person's word on vertices, for which it has looked at the warehouse.
 * What is below them is built by the next retry; the verdict says that it is green by hand.
 */
export async function markCommand(context: Context, runId: string, word: string, flags: MarkFlags): Promise<number> {
  const as = WORDS.find((one) => one === word);
  if (as === undefined)
    throw new UsageError(
      `mark ${runId} ${word}: say good, skip, or none to take it back.`,
      "npx stepwatch mark --help",
    );
  const stack = await context.openStack(flags);
  const key = await findRun(stack, runId, sameOptions(flags));
  const { run, plan, tasks } = await readSnapshot(stack, key);
  if (run === null || plan === null)
    throw new UsageError(
      `The run ${runId} has no plan: there is nothing to mark.`,
      `npx stepwatch status ${runId}${sameOptions(flags)}`,
    );
  const uniqueIds = plan.vertices.map((vertex) => vertex.uniqueId);
  const ids = flags.node.map((name) => vertexNamed({ runId, uniqueIds }, name, `mark ${word}`, sameOptions(flags)));
  const mark: VertexMark | null =
    as === "none" ? null : { as, by: context.person, atMs: context.now(), reason: flags.reason };
  const owner = currentProducer(tasks)?.task ?? 1;
  for (const id of ids) await stack.ledger.setMark(run, id, owner, mark);
  const sentence = `${as === "none" ? "took back the mark of" : `marked ${as}`} ${ids.join(", ")} in run ${runId}`;
  await recordHand(context, stack, { project: run.project, action: "mark", reason: flags.reason, sentence });
  if (flags.json) printJson(context, { contract: 1, project: run.project, runId, as, uniqueIds: ids });
  else printLines(context, [`${context.person} ${sentence}.`, ...afterwards(run.state, runId, as, flags)]);
  return exitCodes.green;
}

function afterwards(state: string, runId: string, as: (typeof WORDS)[number], flags: CommonOptions): string[] {
  if (state === "running") return ["The run still runs: its next check takes it up."];
  const what = as === "none" ? "Its next round takes it up" : "What is below, and the verdict, follow by a retry";
  return [`${what}: npx stepwatch retry ${runId}${sameOptions(flags)}`];
}
