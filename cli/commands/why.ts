import type { RunKey } from "#clients/ledger.ts";
import type { AdapterResponse } from "#core/dbt/adapter-response.ts";
import { executionArn } from "#core/names.ts";
import { type SummaryInput, summarise } from "#core/run/reporting/summary.ts";
import { type Root, type RunWhy, rootsAbout, rootsOlderTasks, samplingTasks, whyOf } from "#core/run/reporting/why.ts";
import { sameOptions } from "../command-line.ts";
import type { CommonOptions, Context, DeployedStack } from "../context.ts";
import { endWithoutVerdict } from "../ended-run.ts";
import { exitCodes } from "../failure.ts";
import { lockEntries } from "../lock-holder.ts";
import { printJson, printLines } from "../output.ts";
import { queuePlace } from "../queue-place.ts";
import { findRun, readRun, readSnapshot } from "../run-lookup.ts";
import { callable, uniqueIdsOf, vertexNamed } from "../vertex-named.ts";
import { liveText } from "../view/live-text.ts";
import { duration, type Paint, paintFor, widthOf } from "../view/style.ts";
import { type WhyText, whyText } from "../view/why-text.ts";
import { dbtCallOf, dbtWords, nextCommands } from "../why-commands.ts";
import { keeperOf, keptResponses, keptResults, keptSamples, usualTimes } from "../why-sources.ts";

/** Columns of a text that goes to no terminal, and the most of one that does: longer lines are read badly. */
const WIDTH = 80;

/**
 * `stepwatch why <run> [node]`: root causes with what was tried, what stands in the warehouse, and what can be done; of a
 * run that goes on, what it does and waits for. The exit code is that of `status`.
 */
export async function whyCommand(
  context: Context,
  runId: string,
  node: string | undefined,
  flags: CommonOptions,
): Promise<number> {
  const stack = await context.openStack(flags);
  const options = sameOptions(flags);
  const key = await findRun(stack, runId, options);
  const { run, plan, tasks, vertices: rows } = await readSnapshot(stack, key);
  if (run === null) return waitsForItsLock(context, stack, key, flags);
  const input: SummaryInput = { run, plan, tasks, rows, nowMs: context.now() };
  const named = { runId, uniqueIds: uniqueIdsOf(summarise(input)) };
  const uniqueId = node === undefined ? null : vertexNamed(named, node, "why", options);
  const keeper = keeperOf(run, tasks);
  const results = await keptResults(stack, keeper, rootsOlderTasks(input));
  const samples = await keptSamples(stack, keeper, samplingTasks(input));
  const usualMs = run.state === "running" ? await usualTimes(stack, key) : new Map<string, number>();
  const why = whyOf({ ...input, results, samples, usualMs });
  const roots = uniqueId === null ? why.roots : rootsAbout(why, uniqueId, input);
  const ended = await endWithoutVerdict(stack, summarise(input), flags);
  const responses = uniqueId === null ? null : await keptResponses(stack, key, run.state);
  const response = responses?.get(uniqueId ?? "") ?? null;
  print({ context, why, roots, uniqueId, response, input, nameOf: callable(named), flags, ended });
  if (ended !== null) return exitCodes.infrastructure;
  return run.state === "red" || run.state === "stopped" ? exitCodes.red : exitCodes.green;
}

interface Answer {
  readonly context: Context;
  readonly why: RunWhy;
  readonly roots: readonly Root[];
  readonly uniqueId: string | null;
  /** The warehouse's word on it. */
  readonly response: AdapterResponse | null;
  readonly input: SummaryInput;
  readonly nameOf: (uniqueId: string) => string;
  readonly flags: CommonOptions;
  readonly ended: string | null;
}

function print({ context, why, roots, uniqueId, response, input, nameOf, flags, ended }: Answer): void {
  const call = dbtCallOf(context, why.project, flags);
  const dbt = (args: readonly string[]) => dbtWords(call, args);
  const next = nextCommands(why, roots, nameOf, flags);
  const about = uniqueId === null ? null : { uniqueId, words: standing(uniqueId, input), response };
  if (flags.json) {
    const told = {
      ...why,
      roots: roots.map((root) => jsonRoot(root, dbt)),
      node: about === null ? null : aboutJson(about),
    };
    const commands = next.map(({ words, does }) => ({ command: words.join(" "), does }));
    printJson(context, { contract: 1, ...told, endedWithoutVerdict: ended, next: commands });
    return;
  }
  const width = Math.min(widthOf(context.out, WIDTH), WIDTH);
  const paint = paintFor(context.out, context.environment);
  const goesOn = why.live !== null && ended === null;
  const live = goesOn ? liveText(why.live!, context.now(), width, paint) : [];
  const text = { why, roots, about, live, next, dbt, variables: call.variables };
  printLines(context, [...whyText(text, width, paint), ...endedLines(ended, paint)]);
}

const aboutJson = ({ uniqueId, words, response: adapterResponse }: NonNullable<WhyText["about"]>) => ({
  uniqueId,
  words,
  adapterResponse,
});

const endedLines = (ended: string | null, paint: Paint): string[] =>
  ended === null ? [] : ["", `${paint("red", "✘ no verdict")}  ${ended}`];

function jsonRoot({ reproduceArgs, showArgs, ...root }: Root, dbt: (args: readonly string[]) => string[]) {
  const command = (args: readonly string[] | null) => (args === null ? null : dbt(args).join(" "));
  return { ...root, reproduce: command(reproduceArgs), show: command(showArgs) };
}

/** How one vertex stands, in a sentence. */
function standing(uniqueId: string, input: SummaryInput): string {
  const { nodes, tests, others } = summarise(input);
  const found = [...nodes, ...tests, ...others].find((vertex) => vertex.uniqueId === uniqueId);
  if (found === undefined) return "the run does not know it.";
  const tries = found.tries > 1 ? `, after ${found.tries} tries` : "";
  if (found.class === "good") return `good (${found.status ?? "no word of dbt"}${tries}).`;
  if (found.class === "doomed") return `not built: ${found.rootCause} is the cause.`;
  return `${found.class.replace("_", " ")}${tries}.${found.reason === null ? "" : ` ${found.reason}`}`;
}

/** A run without a row: what it waits for, or the failure that `status` tells of it. */
async function waitsForItsLock(
  context: Context,
  stack: DeployedStack,
  key: RunKey,
  flags: CommonOptions,
): Promise<number> {
  const entries = lockEntries(context, key.project, flags);
  const execution = await stack.executions.describe(executionArn(stack.resources.runMachineArn, key.runId));
  const found = execution?.status === "RUNNING" ? await queuePlace(stack, entries, key.runId) : null;
  if (found === null) {
    await readRun(stack, key.runId, context.now(), sameOptions(flags), () => entries);
    return exitCodes.green;
  }
  const { lock, place, waiting, sinceMs, ahead } = found;
  const holder = { project: lock.runProject ?? lock.project, runId: lock.runId };
  const queue = {
    lockKey: lock.lockKey,
    place,
    waiting,
    since: new Date(sinceMs).toISOString(),
    ahead,
    holder: { ...holder, since: new Date(lock.takenAtMs).toISOString() },
  };
  const next = `npx stepwatch why ${holder.runId}${sameOptions(flags)}`;
  if (flags.json)
    printJson(context, { contract: 1, ...key, state: "waiting", queue, next: [{ command: next, does: "" }] });
  else
    printLines(context, [
      `- waiting  run ${key.runId} of ${key.project}`,
      `  It waits for the lock ${lock.lockKey}, at place ${place} of ${waiting}, for ${duration(context.now() - sinceMs)}.`,
      `  ${holder.runId} of ${holder.project} has held it for ${duration(context.now() - lock.takenAtMs)}.`,
      ...(ahead.length === 0 ? [] : [`  Before it: ${ahead.join(", ")}.`]),
      "",
      "Next:",
      `  ${next}`,
      "      what that one does",
    ]);
  return exitCodes.green;
}
