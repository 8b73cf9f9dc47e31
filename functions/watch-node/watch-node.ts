import type { Executions } from "#clients/executions.ts";
import type { Ledger } from "#clients/ledger.ts";
import type { VertexRow } from "#core/contracts/ledger.ts";
import { CONTRACT, type ConsumerOutput, type ConsumerPart, type ConsumerReference } from "#core/contracts/payloads.ts";
import { NodeFailed, RowMissing } from "#core/errors.ts";
import { type ConsumerAnswer, consumerAnswer, rowsOfConsumer } from "#core/run/consumer.ts";
import type { Plan } from "#core/run/plan.ts";

export interface WatchNodeDeps {
  readonly ledger: Ledger;
  readonly executions: Pick<Executions, "succeed" | "fail">;
  /** The plan object; a warm function may keep it, since a plan is written once. */
  readonly readPlan: (planKey: string) => Promise<Plan | null>;
  readonly nowMs: () => number;
}

/**
 * One turn of a consumer: reads the ledger and ends the wait if there is a word on the node. Run twice, it says the
 * same; a late token is no error. Mirrors only: nothing of the run depends on it (behaviour F16).
 * @throws RowMissing
 */
export async function watchNode(
  taskToken: string,
  consumer: ConsumerReference,
  deps: WatchNodeDeps,
): Promise<ConsumerAnswer["state"]> {
  const [node] = await deps.ledger.readSomeVertices(consumer, [consumer.uniqueId]);
  const given = node && givenBefore(node, consumer.part);
  if (given) return sendAnswer(taskToken, consumer, given, deps);
  const run = await deps.ledger.readRun(consumer);
  if (!run)
    throw new RowMissing(
      `The ledger has no run ${consumer.runId} of project ${consumer.project}: it has expired or never began.`,
    );
  if (run.state === "running" && deps.nowMs() > run.deadlineAtMs + LONG_AFTER_DEADLINE_MS)
    return answerWith(taskToken, consumer, { state: "red", status: "none", tries: 0, message: NOBODY_SETTLED }, deps);
  const plan = run.planKey ? await deps.readPlan(run.planKey) : null;
  if (!plan)
    return run.state === "running"
      ? "waiting"
      : answerWith(
          taskToken,
          consumer,
          { state: "red", status: "none", tries: 0, message: run.verdict ?? run.state },
          deps,
        );
  const tasks = await deps.ledger.readTasks(consumer);
  const rows = await deps.ledger.readSomeVertices(consumer, rowsOfConsumer(plan, consumer.uniqueId));
  return answerWith(
    taskToken,
    consumer,
    consumerAnswer(plan, consumer.uniqueId, rows, tasks, run, consumer.part),
    deps,
  );
}

/** A run is settled within minutes of its deadline: stop timeout, last statuses, a service that hiccups. Milliseconds. */
const LONG_AFTER_DEADLINE_MS = 20 * 60_000;

const NOBODY_SETTLED = "The run's deadline has passed, and nobody has settled it: see the run's own execution.";

async function answerWith(
  taskToken: string,
  consumer: ConsumerReference,
  answer: ConsumerAnswer,
  deps: WatchNodeDeps,
): Promise<ConsumerAnswer["state"]> {
  if (answer.state === "waiting") return "waiting";
  const { uniqueId, part } = consumer;
  await deps.ledger.setOutcome(consumer, uniqueId, part, { outcome: answer.state, atMs: deps.nowMs() });
  return sendAnswer(taskToken, consumer, answer, deps);
}

/**
 * The answer of an earlier turn, which came too late for its token: it is given again at once, from the node's row
 * alone, or a turn shorter than the function would never be answered in time.
 */
function givenBefore(node: VertexRow, part: ConsumerPart): Answer | null {
  const state = part === "node" ? node.outcome : node.testsOutcome;
  if (state === undefined) return null;
  const status = node.status ?? "none";
  const tries = node.tryTasks.length;
  if (state !== "red") return { state, status, tries, notes: [] };
  const words = [node.message, node.finalReason].filter(Boolean).join("\n");
  return { state, status, tries, message: words || "It, or a test of it, is not good: see the run's status." };
}

type Answer = Exclude<ConsumerAnswer, { state: "waiting" }>;

async function sendAnswer(
  taskToken: string,
  { uniqueId }: ConsumerReference,
  answer: Answer,
  deps: WatchNodeDeps,
): Promise<ConsumerAnswer["state"]> {
  if (answer.state === "red") {
    const verdict = new NodeFailed(`${uniqueId}: ${answer.message}`);
    await deps.executions.fail(taskToken, { name: verdict.name, cause: verdict.message });
    return "red";
  }
  const { state: outcome, status, tries } = answer;
  const output: ConsumerOutput = {
    contract: CONTRACT,
    uniqueId,
    outcome,
    status,
    tries,
    notes: [...answer.notes],
  };
  await deps.executions.succeed(taskToken, output);
  return outcome;
}
