import { logUrl } from "#core/console-links.ts";
import type { EventOf } from "#core/contracts/events.ts";
import type { RunRow } from "#core/contracts/ledger.ts";
import { isAsConfigured } from "#core/contracts/run-input.ts";
import { projectLogGroup } from "#core/names.ts";
import { cut, type EventOrigin, headOf, ownerIn } from "#core/run/events/event-facts.ts";
import type { NodeFacts } from "#core/run/planning/node-facts.ts";
import type { RunSummary } from "#core/run/reporting/summary.ts";

const iso = (ms: number): string => new Date(ms).toISOString();

/** Causes that the event of a run's end names: the summary has all of them. */
const MOST_CAUSES = 20;
const CAUSE_CHARACTERS = 1_000;

const whichRun = ({ input, settings }: RunRow) => ({
  kind: input.command === undefined ? ("build" as const) : ("command" as const),
  job: settings.job?.name ?? null,
});

/** A run has begun, or its present round. */
export function runStartedEvent(run: RunRow, origin: EventOrigin): EventOf<"Run started"> {
  const atMs = run.roundStartedAtMs ?? run.startedAtMs;
  const { by, who = null, reason = null } = run.opening ?? {};
  return {
    detailType: "Run started",
    atMs,
    executionArn: run.executionArn,
    detail: {
      ...headOf(run, origin, "run started"),
      ...whichRun(run),
      startedAt: iso(atMs),
      opening: by === undefined ? null : { by, who, reason },
      resumed: run.resumed ?? null,
    },
  };
}

/** What of a run's summary its event tells. */
export type EndedSummary = Pick<RunSummary, "causes" | "counts">;

/** A run has its verdict. */
export function runEndedEvent(
  run: RunRow,
  origin: EventOrigin,
  { summary, facts }: { readonly summary: EndedSummary | null; readonly facts: NodeFacts | null },
): EventOf<"Run ended"> {
  const startedAtMs = run.roundStartedAtMs ?? run.startedAtMs;
  const endedAtMs = run.endedAtMs ?? startedAtMs;
  const causes = summary?.causes ?? [];
  return {
    detailType: "Run ended",
    atMs: endedAtMs,
    executionArn: run.executionArn,
    detail: {
      ...headOf(run, origin, "run ended"),
      ...whichRun(run),
      state: run.state,
      verdict: cut(run.verdict ?? run.state),
      startedAt: iso(startedAtMs),
      endedAt: iso(endedAtMs),
      seconds: (endedAtMs - startedAtMs) / 1_000,
      counts: summary === null ? null : { ...summary.counts },
      causes: causes.slice(0, MOST_CAUSES).map(({ uniqueId = null, sentence, gates }) => ({
        uniqueId,
        sentence: cut(sentence, CAUSE_CHARACTERS),
        gates,
        owner: uniqueId === null ? null : ownerIn(facts, uniqueId),
      })),
      causeCount: causes.length,
      asConfigured: isAsConfigured(run.input, run.rounds?.at(-1)?.state),
      summaryKey: run.summaryKey ?? null,
      logUrl: logUrl(run.executionArn, projectLogGroup(origin.stack, run.project)),
    },
  };
}
