import type { RunRow, TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import type { RoundRequest } from "#core/contracts/rounds.ts";
import { effectiveOptions, MOST_NODES } from "#core/contracts/run-input.ts";
import { firstOf } from "#core/counted.ts";
import { windowLosesRows } from "#core/dbt/options-over.ts";
import { missesItsDates } from "#core/run/deciding/event-window.ts";
import { type NextRound, nextRound } from "#core/run/deciding/next-round.ts";
import { roundOf, wishedAtMs } from "#core/run/judging/rounds.ts";
import { currentProducer } from "#core/run/judging/vertex-view.ts";
import type { Plan } from "#core/run/planning/plan.ts";
import { optionsOfRun } from "#core/run/planning/run-dates.ts";
import { sameOptions } from "./command-line.ts";
import type { CommonOptions } from "./context.ts";
import { UsageError } from "./failure.ts";
import { vertexNamed } from "./vertex-named.ts";

export interface RetryFlags extends CommonOptions {
  readonly node?: readonly string[];
  readonly downstream?: boolean;
  readonly force?: boolean;
  readonly fullRefresh?: boolean;
  readonly size?: "producer" | "queue";
  readonly ignoreTest?: readonly string[];
  readonly image?: "same" | "current";
  readonly reason?: string;
  readonly follow?: boolean;
}

/** A run as it stands in the ledger. */
export interface RunAsItStands {
  readonly run: RunRow;
  readonly plan: Plan | null;
  readonly tasks: readonly TaskRow[];
  readonly vertices: readonly VertexRow[];
}

/** What a person asks for, with every name looked up, and what comes of it. */
export interface Retry {
  readonly request: RoundRequest;
  /** Tests that are to gate nothing from now on, each with its owner for the ledger's row. */
  readonly ignored: readonly string[];
  readonly next: NextRound;
}

/**
 * Looks names up and at what the round would do, before anything is written.
 * @throws {UsageError} for a name that the run does not have, or a wish that comes to nothing
 */
export function retryOf(seen: RunAsItStands, flags: RetryFlags, who: string, atMs: number): Retry {
  const { run, plan } = seen;
  const options = sameOptions(flags);
  const ids = plan?.vertices.map((vertex) => vertex.uniqueId) ?? [];
  const named = (name: string) => vertexNamed({ runId: run.runId, uniqueIds: ids }, name, "retry", options);
  const nodes = flags.node?.map(named);
  const ignored = (flags.ignoreTest ?? []).map(named);
  refuseOdd(seen, flags, ignored);
  const request: RoundRequest = {
    round: run.round,
    by: "person",
    who,
    ...(flags.reason === undefined ? {} : { reason: flags.reason }),
    atMs: wishedAtMs(run, atMs),
    ...(nodes === undefined ? {} : { nodes }),
    downstream: flags.downstream === true,
    force: flags.force === true,
    fullRefresh: flags.fullRefresh === true,
    ...(flags.size === undefined ? {} : { size: flags.size }),
  };
  const rows = withIgnored(seen, ignored, who, atMs);
  const next = nextRound({ run, plan, rows, tasks: seen.tasks, policy: run.settings.policy }, request);
  refuseLoss(run, request, next, options);
  refuseBlocked(seen, request, next, options);
  refuseDropped(seen, request, next, options);
  return { request, ignored, next };
}

function refuseOdd({ run, plan }: RunAsItStands, flags: RetryFlags, ignored: readonly string[]): void {
  const next = `npx stepwatch status ${run.runId}${sameOptions(flags)}`;
  if (flags.downstream && flags.node === undefined)
    throw new UsageError("--downstream says what is built beside --node: name a node.", next);
  if ((flags.node?.length ?? 0) > MOST_NODES)
    throw new UsageError(`--node: at most ${MOST_NODES} nodes; without it everything that is not good is built.`, next);
  if (plan === null && flags.node !== undefined)
    throw new UsageError(`The run ${run.runId} has no plan: it can only be retried as a whole.`, next);
  const notTests = ignored.filter((id) => !/^(test|unit_test)\./.test(id));
  if (notTests.length > 0)
    throw new UsageError(
      `--ignore-test ${notTests[0]}: that is no test. A node is marked: npx stepwatch mark ${run.runId} good --node …`,
      next,
    );
}

/** The rows as they will be with the marks that are about to be made. */
function withIgnored(
  { vertices, tasks }: RunAsItStands,
  ignored: readonly string[],
  by: string,
  atMs: number,
): VertexRow[] {
  const mark = { as: "skip" as const, by, atMs, reason: IGNORED };
  const ownerTask = currentProducer(tasks)?.task ?? 1;
  const silent = ignored.filter((id) => !vertices.some((row) => row.uniqueId === id));
  const made = silent.map((uniqueId) => ({ uniqueId, ownerTask, epoch: 0, tryTasks: [], lostTasks: [], mark }));
  return [...vertices.map((row) => (ignored.includes(row.uniqueId) ? { ...row, mark } : row)), ...made];
}

export const IGNORED = "--ignore-test";

/**
 * A full refresh of a run with an event-time window would leave microbatch tables with the rows of that window alone; of
 * one whose window its project's dates give it goes without, but for a model that is never replaced (behaviour G17).
 */
function refuseLoss(run: RunRow, request: RoundRequest, next: NextRound, options: string): void {
  if (!request.fullRefresh) return;
  const again = `npx stepwatch retry ${run.runId}${options}`;
  const problem = windowLosesRows({ ...effectiveOptions(run.settings, run.input), fullRefresh: true });
  if (problem !== null) throw new UsageError(`--full-refresh: run ${run.runId} has ${problem}`, again);
  const kept = next.builds?.find(({ plan }) => missesItsDates(plan));
  if (kept !== undefined && optionsOfRun(run).eventTimeStart !== undefined)
    throw new UsageError(
      `--full-refresh: ${kept.plan.uniqueId} has full_refresh: false, and would miss the window that the run's dates give it.`,
      again,
    );
}

/** Views that a sentence names. */
const MOST_NAMED = 5;

/** A table that is built again takes the views on it with it: nothing would build them, and the run would be green. */
function refuseDropped(
  { run, plan }: RunAsItStands,
  { nodes = [], force, fullRefresh }: RoundRequest,
  { dropped }: NextRound,
  options: string,
): void {
  if (dropped.length === 0 || force) return;
  const names = dropped.map((view) => view.plan.uniqueId);
  const named = nodes.map((node) => ` --node ${node}`).join("");
  throw new UsageError(
    `${plan?.adapterType} drops a view with the table that it reads, and this retry would build none of them again: ${firstOf(names, MOST_NAMED)}. Build what is below too; --force does it all the same.`,
    `npx stepwatch retry ${run.runId}${named} --downstream${fullRefresh ? " --full-refresh" : ""}${options}`,
  );
}

/** A named node whose own upstream is not good can not be built: said now, and not after a task has been started. */
function refuseBlocked({ run, plan }: RunAsItStands, request: RoundRequest, next: NextRound, options: string): void {
  if (plan === null || request.nodes === undefined) return;
  const { scope } = roundOf({ round: run.round + 1, opening: request }, plan);
  for (const { view, word } of next.refused) {
    const { uniqueId } = view.plan;
    if (!request.nodes.includes(uniqueId)) continue;
    const blocker = view.plan.gateParents.find((id) => next.refused.some((one) => one.view.plan.uniqueId === id));
    if (blocker !== undefined && !scope?.has(blocker))
      throw new UsageError(
        `${uniqueId} can not be built: ${blocker}, which it is built from, is not good.`,
        `npx stepwatch retry ${run.runId} --node ${blocker} --downstream${options}`,
      );
    throw new UsageError(
      `${uniqueId} is not built again: ${word.finalReason}`,
      `npx stepwatch retry ${run.runId} --node ${uniqueId} --force${options}`,
    );
  }
}
