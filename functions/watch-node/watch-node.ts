import type { Executions } from "#clients/executions.ts";
import type { Ledger } from "#clients/ledger.ts";
import type { RunRow, VertexRow } from "#core/contracts/ledger.ts";
import { CLOSELY, type ConsumerPart, type ConsumerReference, PATIENTLY } from "#core/contracts/payloads.ts";
import type { RoundRequest } from "#core/contracts/rounds.ts";
import { RowMissing } from "#core/errors.ts";
import { pendingRequests, wishedAtMs } from "#core/run/judging/rounds.ts";
import type { Plan } from "#core/run/planning/plan.ts";
import {
  type ConsumerAnswer,
  consumerAnswer,
  redoneFor,
  rowsOfConsumer,
  waitsByItsRow,
} from "#core/run/watching/consumer.ts";
import { sendAnswer } from "../answer-consumers.ts";

export interface WatchNodeDeps {
  readonly ledger: Ledger;
  readonly executions: Pick<Executions, "succeed" | "fail" | "redrive" | "describe">;
  /** The plan object; a warm function may keep it, since a plan is written once. */
  readonly readPlan: (planKey: string) => Promise<Plan | null>;
  readonly nowMs: () => number;
}

/** How the turn's state waits, with `watch: wake`; see infra/state-machines/consumer-machine.ts. */
export type ConsumerWaits = "patiently" | "closely";

/**
 * One turn of a consumer: reads the ledger and ends the wait if there is a word on the node. Run twice, it says the
 * same; a late token is no error. Mirrors only: nothing of the run depends on it (behaviour F16), but that a person who
 * redrives it asks by that for another try of its node (F14).
 *
 * A state that can be woken is answered by whoever sees the word (functions/answer-consumers.ts): the turn's token is
 * noted on the node's row, and then the ledger is read, so that a word which came in between is not missed. Of a redriven
 * one the round that it waits for has to be read before.
 * @param redrives how often this execution has been redriven
 * @param waits how its state waits; without it, it polls
 * @throws RowMissing
 */
export async function watchNode(
  taskToken: string,
  consumer: ConsumerReference,
  deps: WatchNodeDeps,
  redrives = 0,
  waits: ConsumerWaits | null = null,
): Promise<ConsumerAnswer["state"]> {
  const atMs = deps.nowMs();
  const { uniqueId, part } = consumer;
  const note = (round: number) =>
    deps.ledger.keepConsumerWait(consumer, uniqueId, part, { token: taskToken, round, redrives, atMs });
  if (waits === "patiently" && redrives === 0) {
    await note(consumer.round);
    return (await look(taskToken, consumer, deps, redrives)).state;
  }
  const seen = await look(taskToken, consumer, deps, redrives);
  if (seen.state !== "waiting" || waits === null) return seen.state;
  if (seen.needs === "closely" && waits === "patiently") return await change(taskToken, CLOSELY, deps);
  if (seen.needs === "closely") return "waiting";
  if (waits === "closely") return await change(taskToken, PATIENTLY, deps);
  await note(seen.sinceRound);
  const again = await look(taskToken, consumer, deps, redrives);
  if (again.state === "waiting" && again.needs === "closely") return await change(taskToken, CLOSELY, deps);
  return again.state;
}

/** Leads to the consumer's other loop: turns of seconds, or a long wait that somebody ends. */
async function change(taskToken: string, name: string, { executions }: WatchNodeDeps): Promise<"waiting"> {
  const cause = name === CLOSELY ? "Nothing wakes it before its run goes on." : "It is woken by a word on its node.";
  await executions.fail(taskToken, { name, cause });
  return "waiting";
}

/** What a look at the ledger came to. `closely`: nothing that is written would wake it, so look again in seconds. */
type Look =
  | { readonly state: Exclude<ConsumerAnswer["state"], "waiting"> }
  | { readonly state: "waiting"; readonly needs: ConsumerWaits; readonly sinceRound: number };

async function look(
  taskToken: string,
  consumer: ConsumerReference,
  deps: WatchNodeDeps,
  redrives: number,
): Promise<Look> {
  const { run, row: node } = await deps.ledger.glanceAtVertex(consumer, consumer.uniqueId);
  const asked = consumer.part === "node" ? node?.redriven : node?.testsRedriven;
  const isAsked = redrives === 0 || (asked?.redrives ?? 0) >= redrives;
  const sinceRound = redrives === 0 ? consumer.round : (asked?.round ?? consumer.round) + 1;
  const waiting = (needs: ConsumerWaits = "patiently"): Look => ({ state: "waiting", needs, sinceRound });
  const given = node && isAsked && givenBefore(node, consumer.part, sinceRound);
  if (given) return told(taskToken, consumer, given, deps);
  if (!run)
    throw new RowMissing(
      `The ledger has no run ${consumer.runId} of project ${consumer.project}: it has expired or never began.`,
    );
  if (run.state === "running" && deps.nowMs() > run.deadlineAtMs + LONG_AFTER_DEADLINE_MS)
    return answerWith(taskToken, consumer, { state: "red", status: "none", tries: 0, message: NOBODY_SETTLED }, deps);
  if (run.state === "running" && node !== null && waitsByItsRow(node)) return waiting();
  const plan = run.planKey ? await deps.readPlan(run.planKey) : null;
  if (!plan) {
    if (run.state === "running") return waiting();
    const message = run.verdict ?? run.state;
    return answerWith(taskToken, consumer, { state: "red", status: "none", tries: 0, message }, deps);
  }
  const tasks = await deps.ledger.readTasks(consumer);
  const rows = await deps.ledger.readSomeVertices(consumer, rowsOfConsumer(plan, consumer.uniqueId));
  const answer = consumerAnswer(plan, consumer.uniqueId, rows, tasks, run, consumer.part);
  const { uniqueId, part } = consumer;
  if (answer.state === "red" && !isAsked) {
    const nodes = redoneFor(plan, uniqueId, rows, tasks, run, part);
    await askForAnotherTry(consumer, run, { redrives, nodes }, deps);
    return waiting("closely");
  }
  if (answer.state === "red" && redrives > 0 && run.round < sinceRound)
    return (
      (await untilOpened(taskToken, consumer, run, deps)) ?? waiting(run.state === "running" ? "patiently" : "closely")
    );
  if (answer.state === "waiting") return waiting();
  return answerWith(taskToken, { ...consumer, round: run.round }, answer, deps);
}

/** The run's row holds them, up to 400 KiB in all: beyond them one wish stands for everything that is not good. */
const MOST_WISHES = 200;

/**
 * A redriven consumer (behaviour F14): its node, or the tests that make it red, get a round of their own, with what was
 * not built because of them. While the run still runs the wish waits for the end of its present round.
 */
async function askForAnotherTry(
  { project, runId, uniqueId, part }: ConsumerReference,
  run: RunRow,
  { redrives, nodes }: { readonly redrives: number; readonly nodes: readonly string[] },
  deps: WatchNodeDeps,
): Promise<void> {
  const key = { project, runId };
  const wish = { by: "consumer" as const, downstream: true, force: false, fullRefresh: false };
  const reason = `The consumer of ${uniqueId} was redriven.`;
  const pending = pendingRequests(run);
  const isMany = pending.length >= MOST_WISHES;
  const request: RoundRequest = {
    ...wish,
    round: run.round,
    ...(isMany ? {} : { nodes: [...nodes] }),
    reason: isMany ? "Many consumers were redriven." : reason,
    atMs: wishedAtMs(run, deps.nowMs()),
  };
  const isAsked = isMany && pending.some((one) => one.by === "consumer" && one.nodes === undefined);
  // The run went on meanwhile: the next turn asks in the round that it is in by then.
  if (!isAsked && !(await deps.ledger.requestRound(key, request))) return;
  await deps.ledger.markRedrivenConsumer(key, uniqueId, part, { redrives, round: run.round });
  if (run.state !== "running") await deps.executions.redrive(run.executionArn);
}

/**
 * The round that was asked for has not been opened yet: an execution that is just about to end can not be redriven. One
 * that has ended of a round which it could not open is not redriven again and again, nor one that was stopped since.
 */
async function untilOpened(
  taskToken: string,
  consumer: ConsumerReference,
  run: RunRow,
  deps: WatchNodeDeps,
): Promise<Look | null> {
  if (run.state === "running") return null;
  const red = (message: string) => told(taskToken, consumer, { state: "red", status: "none", tries: 0, message }, deps);
  if (pendingRequests(run).length === 0)
    return await red(`Its run was stopped after this node was asked for again: ${run.verdict ?? run.state}`);
  const execution = await deps.executions.describe(run.executionArn);
  if (goesOn(execution)) return null;
  if (OPENS_NONE.has(execution?.error ?? "")) return await red(execution?.cause ?? "");
  if (await deps.executions.redrive(run.executionArn)) return null;
  // Another consumer of the run may have redriven it meanwhile.
  if (goesOn(await deps.executions.describe(run.executionArn))) return null;
  return await red(`Its run can not be redriven: npx stepwatch retry ${run.runId} goes on with it as a new run.`);
}

const goesOn = (execution: Awaited<ReturnType<Executions["describe"]>>): boolean =>
  execution?.status === "RUNNING" || execution?.status === "PENDING_REDRIVE";

/** How an execution ends that was redriven and could not open a round. */
const OPENS_NONE: ReadonlySet<string> = new Set(["RunLocked", "HistoryFull", "RowsExpire"]);

/** A run is settled within minutes of its deadline: stop timeout, last statuses, a service that hiccups. Milliseconds. */
const LONG_AFTER_DEADLINE_MS = 20 * 60_000;

const NOBODY_SETTLED = "The run's deadline has passed, and nobody has settled it: see the run's own execution.";

async function answerWith(
  taskToken: string,
  consumer: ConsumerReference,
  answer: Answer,
  deps: WatchNodeDeps,
): Promise<Look> {
  const { uniqueId, part } = consumer;
  await deps.ledger.setOutcome(consumer, uniqueId, part, { outcome: answer.state, atMs: deps.nowMs() });
  return told(taskToken, consumer, answer, deps);
}

async function told(
  taskToken: string,
  { uniqueId }: ConsumerReference,
  answer: Answer,
  deps: WatchNodeDeps,
): Promise<Look> {
  await sendAnswer(taskToken, uniqueId, answer, deps);
  return { state: answer.state };
}

/**
 * The answer of an earlier turn, which came too late for its token: it is given again at once, from the node's row
 * alone, or a turn shorter than the function would never be answered in time.
 */
function givenBefore(node: VertexRow, part: ConsumerPart, sinceRound: number): Answer | null {
  const state = part === "node" ? node.outcome : node.testsOutcome;
  const round = (part === "node" ? node.outcomeRound : node.testsOutcomeRound) ?? 1;
  if (state === undefined || round < sinceRound) return null;
  const status = node.status ?? "none";
  const tries = node.tryTasks.length;
  if (state !== "red") return { state, status, tries, notes: [] };
  const words = [node.message, node.finalReason].filter(Boolean).join("\n");
  return { state, status, tries, message: words || "It, or a test of it, is not good: see the run's status." };
}

type Answer = Exclude<ConsumerAnswer, { state: "waiting" }>;
