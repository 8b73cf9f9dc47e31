import { z } from "zod";
import { SIGNAL_CAUSES } from "#core/contracts/cause.ts";
import type { WarningEvent } from "#core/contracts/events.ts";
import type { QuietNotice, RunRow, TaskRow } from "#core/contracts/ledger.ts";
import { counted } from "#core/counted.ts";
import { eventId } from "#core/names.ts";

const MINUTE_MS = 60_000;

/** Of a silence as long as the longest that ended well: so many times that is long against it. */
const TIMES_THE_LONGEST = 2;

/** How much of an older build's longest silence counts by the next build: a project that became faster is known for it in time. */
const KEPT = 0.9;

/**
 * How long dbt may say nothing before that is worth a warning (behaviour A25), in milliseconds: the setting, and where
 * builds of this project were silent for long and went on, or this one was, twice that.
 */
export const quietAfterMs = (stuckAfterMinutes: number, longestMs: number): number =>
  Math.max(stuckAfterMinutes * MINUTE_MS, longestMs * TIMES_THE_LONGEST);

/** What a project's builds leave to the next one. */
export const silenceSchema = z.object({ longestMs: z.number().min(0) });

/**
 * The longest silence by which the project's next build is judged, after a round whose tasks tell of builds that came to
 * their end by themselves; none of them is longer than the run. Null: it changes nothing, and is not worth a write.
 */
export function silenceAfter(before: number, run: RunRow, tasks: readonly TaskRow[], nowMs: number): number | null {
  const lastedMs = Math.max(0, nowMs - run.startedAtMs);
  const ends = tasks.filter(({ round }) => round === run.round).map(({ end }) => end?.longestQuietMs);
  const told = ends.filter((ms) => ms !== undefined).map((ms) => Math.min(ms, lastedMs));
  const longestMs = told.reduce((longest, ms) => Math.max(longest * KEPT, ms), before);
  const warnsAfterMs = quietAfterMs(run.settings.policy.stuckAfterMinutes, 0);
  const isWorthIt = told.length > 0 && Math.max(before, longestMs) * TIMES_THE_LONGEST >= warnsAfterMs;
  return isWorthIt ? longestMs : null;
}

/** Vertices that a notice names. */
export const NAMED = 5;

/** One sentence, made of what stood when it was noticed: the same as long as the run's rows are there. */
export function quietSentence(task: Pick<TaskRow, "task" | "kind">, notice: QuietNotice): string {
  const silentMs = notice.noticedAtMs - notice.sinceMs;
  const since = `${new Date(notice.sinceMs).toISOString().slice(0, 16).replace("T", " ")} UTC`;
  const named = notice.running.map(({ uniqueId, startedAtMs }) =>
    startedAtMs === undefined ? uniqueId : `${uniqueId} (for ${minutes(notice.noticedAtMs - startedAtMs)})`,
  );
  const more = notice.count - named.length;
  const what =
    notice.count === 0 ? "and runs no node" : `and runs ${named.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
  const then = notice.interrupted ? " It is interrupted (stuck: interrupt)." : "";
  return `Task ${task.task} (${task.kind}): dbt has said nothing for ${minutes(silentMs)}, since ${since}, ${what}.${then}`;
}

const minutes = (ms: number): string =>
  ms < MINUTE_MS
    ? counted(Math.max(1, Math.round(ms / 1000)), "second")
    : counted(Math.round(ms / MINUTE_MS), "minute");

/** Lines of a summary's warnings; of a build that was interrupted for it, its end tells already. */
export const quietWarnings = (task: TaskRow): string[] =>
  (task.quiet ?? [])
    .filter((notice) => !(notice.interrupted && task.end && SIGNAL_CAUSES.has(task.end.cause.kind)))
    .map((notice) => quietSentence(task, notice));

/** Notices of which no event has told yet. */
export const untoldQuiet = (task: TaskRow): QuietNotice[] =>
  (task.quiet ?? []).filter((notice) => notice.noticedAtMs > (task.quietToldAtMs ?? 0));

/** A build that says nothing, as an event at once; at the run's end it comes again under the same id. */
export function quietEvent(run: RunRow, task: TaskRow, notice: QuietNotice): WarningEvent {
  const { project, runId, executionArn } = run;
  const { round } = run;
  const sentence = quietSentence(task, notice);
  const uniqueId = notice.count === 1 ? (notice.running[0]?.uniqueId ?? null) : null;
  const nodes = notice.running.map((one) => one.uniqueId);
  const detail = {
    contract: 1 as const,
    id: eventId({ project, runId, round }, sentence),
    project,
    runId,
    round,
    state: run.state,
    sentence,
    uniqueId,
    nodes,
    failures: null,
    relation: null,
  };
  return { detailType: "Warning", atMs: notice.noticedAtMs, executionArn, detail };
}
