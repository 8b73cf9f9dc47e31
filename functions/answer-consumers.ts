import type { Executions } from "#clients/executions.ts";
import { tell } from "#clients/function-log.ts";
import type { Ledger } from "#clients/ledger.ts";
import type { ConsumerWait, RunRow, TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import { CLOSELY, CONTRACT, type ConsumerOutput, type ConsumerPart } from "#core/contracts/payloads.ts";
import { NodeFailed } from "#core/errors.ts";
import { eachLimited } from "#core/limit.ts";
import type { Plan } from "#core/run/planning/plan.ts";
import { type ConsumerAnswer, consumerAnswer, openWaits, rowsOfConsumer } from "#core/run/watching/consumer.ts";

export interface AnswerDeps {
  readonly ledger: Pick<Ledger, "setOutcome" | "readSomeVertices">;
  readonly executions: Pick<Executions, "succeed" | "fail">;
  readonly nowMs: () => number;
}

/** A run as somebody has read it: tasks before rows (behaviour F12). */
export interface ReadRun {
  readonly run: RunRow;
  readonly plan: Plan;
  readonly rows: readonly VertexRow[];
  readonly tasks: readonly TaskRow[];
}

/** Answers sent at once. */
const ANSWERS_AT_ONCE = 10;

/**
 * Ends the waits of those consumers about whose nodes these rows have a word, so that none of them takes a turn for it.
 * Called by whoever has read the rows: wake by what has changed, check-run and the run's end by all of it, which is what
 * makes up for a wake that was lost. The answer is that of watch-node. Sent first and noted then: a consumer that is
 * told twice hears it once, one that was only noted would hear by its own net alone. A token that is over changes
 * nothing: its consumer is in a later turn, and finds what is noted here.
 */
export async function answerConsumers(
  { run, plan, rows, tasks }: ReadRun,
  deps: AnswerDeps,
  waits = openWaits(rows),
): Promise<void> {
  if (waits.length === 0) return;
  const rowOf = new Map(rows.map((row) => [row.uniqueId, row]));
  await eachLimited(waits, ANSWERS_AT_ONCE, async ({ uniqueId, part, wait }) => {
    if (run.round < wait.round) {
      // The round that it waits for has not been opened, and the run has ended: it looks itself what became of that.
      if (run.state !== "running") await deps.executions.fail(wait.token, RUN_HAS_ENDED);
      return;
    }
    const near = rowsOfConsumer(plan, uniqueId).flatMap((id) => rowOf.get(id) ?? []);
    const answer = consumerAnswer(plan, uniqueId, near, tasks, run, part);
    // A red one that a person has redriven asks for another try by itself, before it is answered.
    if (answer.state === "waiting" || !mayBeTold(answer, rowOf.get(uniqueId), part, wait)) return;
    const isTold = await sendAnswer(wait.token, uniqueId, answer, deps);
    await deps.ledger.setOutcome(run, uniqueId, part, { outcome: answer.state, atMs: deps.nowMs() });
    if (!isTold) await tellLaterTurn({ run, uniqueId, part, wait }, answer, deps);
    tell("The consumer ends.", { uniqueId, outcome: answer.state, part });
  });
}

const RUN_HAS_ENDED = { name: CLOSELY, cause: "Its run has ended." };

function mayBeTold(
  answer: ConsumerAnswer,
  row: VertexRow | undefined,
  part: ConsumerPart,
  { redrives }: ConsumerWait,
): boolean {
  const asked = part === "node" ? row?.redriven : row?.testsRedriven;
  return answer.state !== "red" || redrives === 0 || (asked?.redrives ?? 0) >= redrives;
}

/**
 * The token was over: a later turn of the consumer may have noted its own since these rows were read, and looked before
 * the outcome was noted. One that notes it after this look finds the outcome.
 */
async function tellLaterTurn(
  { run, uniqueId, part, wait }: { run: RunRow; uniqueId: string; part: ConsumerPart; wait: ConsumerWait },
  answer: Answer,
  deps: AnswerDeps,
): Promise<void> {
  const [row] = await deps.ledger.readSomeVertices(run, [uniqueId]);
  const present = part === "node" ? row?.wait : row?.testsWait;
  if (present !== undefined && present.token !== wait.token) await sendAnswer(present.token, uniqueId, answer, deps);
}

type Answer = Exclude<ConsumerAnswer, { state: "waiting" }>;

/** Ends a consumer's wait by its answer. False: the wait was over. */
export async function sendAnswer(
  taskToken: string,
  uniqueId: string,
  answer: Answer,
  { executions }: Pick<AnswerDeps, "executions">,
): Promise<boolean> {
  if (answer.state === "red") {
    const verdict = new NodeFailed(`${uniqueId}: ${answer.message}`);
    return await executions.fail(taskToken, { name: verdict.name, cause: verdict.message });
  }
  const { state: outcome, status, tries, notes } = answer;
  const output: ConsumerOutput = { contract: CONTRACT, uniqueId, outcome, status, tries, notes: [...notes] };
  return await executions.succeed(taskToken, output);
}
