import type { RunEvent } from "#core/contracts/events.ts";
import { eventId } from "#core/names.ts";
import type { Plan } from "#core/run/plan.ts";
import { warningOf } from "#core/run/report.ts";
import type { RunSummary } from "#core/run/summary.ts";

/**
 * The warnings of a run that has ended, as events (behaviour A5): one for each line of `summary.warnings` but what is
 * known of the plan before anything is built, which would be the same each night. A test that warned is one of them,
 * however many models it is on.
 */
export function warningEvents(summary: RunSummary, plan: Plan | null): RunEvent[] {
  const { project, runId, round, state, executionArn } = summary;
  const atMs = Date.parse(summary.timings.finishedAt ?? summary.timings.startedAt);
  const tests = new Map(summary.tests.map((test) => [warningOf(test), test]));
  const nodesOf = Map.groupBy(
    summary.nodes.flatMap((node) => node.tests.map((test) => ({ node: node.uniqueId, test: test.uniqueId }))),
    ({ test }) => test,
  );
  const notices = new Set(plan?.warnings);
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
        },
      };
    });
}
