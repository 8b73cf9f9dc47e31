import { executionUrl } from "#core/console-links.ts";
import type { WarningEvent } from "#core/contracts/events.ts";
import type { RunRow } from "#core/contracts/ledger.ts";
import { eventId, stackOf } from "#core/names.ts";
import { earlyHeldBack } from "#core/run/deciding/early-refusal.ts";
import { factsIn } from "#core/run/events/event-facts.ts";
import type { NodeFacts } from "#core/run/planning/node-facts.ts";
import type { Plan } from "#core/run/planning/plan.ts";
import { warningOf } from "#core/run/reporting/report.ts";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import { type Overdue, overdueSentence } from "#core/run/watching/node-timeout.ts";

/** One vertex that runs longer than it may, as an event while it runs (behaviour F13). */
export function overdueEvent(run: RunRow, late: Overdue, atMs: number): WarningEvent {
  const { project, runId, round, executionArn } = run;
  const sentence = overdueSentence(late);
  const id = eventId({ project, runId, round }, `${sentence} ${late.task}`);
  const about = { uniqueId: late.uniqueId, nodes: [], failures: null, relation: null };
  const from = { stack: stackOf(executionArn), runUrl: executionUrl(executionArn) };
  const detail = { contract: 1 as const, id, project, runId, round, ...from, state: "running", sentence, ...about };
  return { detailType: "Warning", atMs, executionArn, detail };
}

/** The same event with what the project says of the test that warned. */
export function withMeaning(event: WarningEvent, facts: NodeFacts | null): WarningEvent {
  const { uniqueId } = event.detail;
  if (facts === null || uniqueId === null) return event;
  const { owner = null, tags = [], meta = null } = factsIn(facts, uniqueId);
  return { ...event, detail: { ...event.detail, owner, tags, meta } };
}

/**
 * The warnings of a run that has ended, as events (behaviour A5): one for each line of `summary.warnings` but what is
 * known of the plan before anything is built, which would be the same each night. A test that warned is one of them,
 * however many models it is on.
 */
export function warningEvents(summary: RunSummary, plan: Plan | null): WarningEvent[] {
  const { project, runId, round, state, executionArn } = summary;
  const atMs = Date.parse(summary.timings.finishedAt ?? summary.timings.startedAt);
  const tests = new Map(summary.tests.map((test) => [warningOf(test), test]));
  const nodesOf = Map.groupBy(
    summary.nodes.flatMap((node) => node.tests.map((test) => ({ node: node.uniqueId, test: test.uniqueId }))),
    ({ test }) => test,
  );
  const notices = new Set(plan?.warnings);
  const heldBack = plan && earlyHeldBack(plan, { recovery: "early", concurrentHooks: false, hooks: "each" });
  if (heldBack) notices.add(heldBack);
  return summary.warnings
    .filter((sentence) => !notices.has(sentence))
    .map((sentence) => {
      const test = tests.get(sentence);
      const uniqueId = test?.uniqueId ?? null;
      return {
        detailType: "Warning",
        atMs,
        executionArn,
        detail: {
          contract: 1,
          id: eventId({ project, runId, round }, uniqueId ?? sentence),
          project,
          runId,
          round,
          state,
          sentence,
          uniqueId,
          nodes: (nodesOf.get(uniqueId ?? "") ?? []).map(({ node }) => node),
          failures: test?.failures ?? null,
          relation: test?.relation ?? null,
          stack: stackOf(executionArn),
          runUrl: executionUrl(executionArn),
        },
      };
    });
}
