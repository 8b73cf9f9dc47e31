import type { RunRow, TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import type { RoundRequest } from "#core/contracts/rounds.ts";
import type { RunInput } from "#core/contracts/run-input.ts";
import { pastRound, unlessOwed } from "#core/run/judging/rounds.ts";
import { isWell } from "#core/run/judging/run-steps.ts";

/** What a new run takes over from one that it goes on with: all of it counts as an earlier round, its number 0. */
export interface Adoption {
  readonly run: Pick<
    RunRow,
    "planKey" | "plannedVertices" | "plannedNodes" | "lastTask" | "opening" | "rounds" | "resumed"
  >;
  readonly tasks: readonly TaskRow[];
  readonly rows: readonly VertexRow[];
}

/**
 * Adopts plan, tasks and vertices of a run that can not be redriven (behaviour G8). Its last words and its consumers'
 * marks stay behind; a person's marks, and what dbt said, come along. Without a plan no build can be adopted, and the new
 * run begins anew, after the steps before the build that were good.
 */
export function adopt(
  past: { readonly run: RunRow; readonly tasks: readonly TaskRow[]; readonly rows: readonly VertexRow[] },
  resume: NonNullable<RunInput["resume"]>,
  nowMs: number,
): Adoption {
  const { run: of } = past;
  const { run: resumed, image: _, ...asked } = resume;
  const opening: RoundRequest = { ...asked, round: 0, by: "resume", atMs: nowMs };
  const end = { state: of.state, verdict: of.verdict ?? of.state, endedAtMs: of.endedAtMs ?? of.startedAtMs };
  const before = { ...pastRound(of, end), round: 0 };
  if (of.planKey === undefined || of.plannedVertices === undefined || of.plannedNodes === undefined) {
    const steps = past.tasks.filter((task) => task.kind === "command" && isWell(task));
    const lastTask = steps.at(-1)?.task ?? 0;
    return { run: { lastTask, rounds: [before], resumed }, tasks: steps.map(ofRoundZero), rows: [] };
  }
  const { planKey, plannedVertices, plannedNodes, lastTask } = of;
  return {
    run: { planKey, plannedVertices, plannedNodes, lastTask, opening, rounds: [before], resumed },
    tasks: past.tasks.map(ofRoundZero),
    rows: past.rows.map(unlessOwed).map(withoutMarks),
  };
}

const ofRoundZero = (task: TaskRow): TaskRow => ({ ...task, round: 0 });

/** What was marked in a round, and how its consumers waited: of another run, whose executions they are. */
const OF_ANOTHER_RUN = [
  ...["final", "finalReason", "finalRound", "rootCause"],
  ...["consumerStartedAtMs", "consumerRound", "outcome", "outcomeAtMs", "outcomeRound"],
  ...["testsConsumerStartedAtMs", "testsConsumerRound", "testsOutcome", "testsOutcomeAtMs", "testsOutcomeRound"],
  ...["wait", "waitAtMs", "waitRound", "testsWait", "testsWaitAtMs", "testsWaitRound"],
  ...["redriven", "testsRedriven"],
] as const satisfies readonly (keyof VertexRow)[];

/** What dbt said and a person did. */
function withoutMarks(row: VertexRow): VertexRow {
  const kept = { ...row };
  for (const name of OF_ANOTHER_RUN) delete kept[name];
  return kept;
}
