import { createHash } from "node:crypto";
import type { AlertKind, AlertRow } from "#core/contracts/alerts.ts";
import { cut } from "#core/run/events/event-facts.ts";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import type { RunCause } from "#core/run/reporting/verdict.ts";

/** A run that has ended, as far as alerts look at it. */
export type AlertedRun = Pick<RunSummary, "runId" | "state" | "causes" | "nodes" | "tests" | "others"> & {
  readonly verdict: string | null;
  readonly endedAtMs: number;
  /** Its job, or the command that it is; undefined: a run of the project itself. */
  readonly label: string | undefined;
};

/** What one channel is to be told, and the row that notes it once it was. */
export interface DueAlert {
  /** False: the settings leave it out. It is noted all the same, or what fails anew would pass for what never recovered. */
  readonly isTold: boolean;
  readonly kind: Extract<AlertKind, "failed" | "recovered" | "stopped">;
  readonly again: boolean;
  readonly uniqueId: string | null;
  readonly words: string;
  readonly gates: number;
  readonly sinceMs: number | null;
  readonly row: Omit<AlertRow, "lockKey" | "channel">;
}

export interface DueSettings {
  readonly on: readonly AlertKind[];
  readonly repeatHours: number;
}

const HOUR_MS = 3_600_000;

/** Characters of a cause that tell it from another one. */
const CAUSE_CHARACTERS = 600;

/**
 * A cause without what is another each time: numbers, hashes, times. `Got 3 results` tomorrow is what `Got 2 results` was
 * today.
 */
export function causeOf(words: string): string {
  const plain = words
    .slice(0, CAUSE_CHARACTERS)
    .toLowerCase()
    .replace(/\b(?=[a-z]*\d)[0-9a-f-]{8,}\b/g, "#")
    .replace(/\d+/g, "#")
    .replace(/\s+/g, " ");
  return createHash("sha256").update(plain).digest("hex").slice(0, 16);
}

/** What a row is about: a vertex by its id; anything else by its cause, since a run may have several. */
const aboutOf = ({ uniqueId, sentence }: RunCause, label: string | undefined): string =>
  uniqueId ?? aboutRun(causeOf(sentence), label);

/** Of jobs and commands by their names too: that one of them goes well says nothing of another. */
const aboutRun = (cause: string, label: string | undefined): string =>
  label === undefined ? `run ${cause}` : `run ${cause} ${label}`;

/**
 * What a channel is to be told of a run that has ended, by what it was told before: root causes that are new to it, or
 * have another cause than last time, or were last told `repeatHours` ago; and what it was told of and is good. Pure; the
 * same rows and the same run give the same alerts, so that a call that is repeated goes on where it was.
 */
export function dueAlerts(
  run: AlertedRun,
  told: readonly AlertRow[],
  settings: DueSettings,
  nowMs: number,
): DueAlert[] {
  const known = new Map(told.map((row) => [row.about, row]));
  const causes = new Map(run.causes.map((cause) => [aboutOf(cause, run.label), cause]));
  const failing = [...causes].flatMap(([about, cause]) =>
    dueFailure(run, about, cause, known.get(about), settings, nowMs),
  );
  const good = goodIn(run);
  const recovered = told.flatMap((row) => {
    if (row.state !== "failing" || causes.has(row.about) || row.endedAtMs >= run.endedAtMs) return [];
    const isGood = row.about === aboutRun(row.cause, run.label) ? run.state === "green" : good.has(row.about);
    return isGood ? [recovery(run, row, nowMs)] : [];
  });
  const stopped = run.state === "stopped" ? dueStop(run, known.get(STOPPED), nowMs) : [];
  return [...failing, ...stopped, ...recovered].map((due) => ({ ...due, isTold: settings.on.includes(due.kind) }));
}

type Found = Omit<DueAlert, "isTold">;

function dueFailure(
  run: AlertedRun,
  about: string,
  { uniqueId, sentence, gates }: RunCause,
  before: AlertRow | undefined,
  { repeatHours }: DueSettings,
  nowMs: number,
): Found[] {
  // Of an older run than the channel knows of, or of the one that it was told of.
  if (before !== undefined && before.endedAtMs >= run.endedAtMs) return [];
  const cause = causeOf(sentence);
  const isKnown = before?.state === "failing" && before.cause === cause;
  if (isKnown && nowMs - before.toldAtMs < repeatHours * HOUR_MS) return [];
  const sinceMs = before?.state === "failing" ? before.sinceMs : run.endedAtMs;
  const row = { about, cause, sinceMs, state: "failing" as const, ...noted(run, nowMs) };
  const failed = { kind: "failed" as const, uniqueId: uniqueId ?? null, words: cut(sentence), gates, row };
  return [{ ...failed, again: isKnown, sinceMs: before?.state === "failing" ? sinceMs : null }];
}

const noted = ({ endedAtMs, runId }: AlertedRun, toldAtMs: number) => ({ endedAtMs, runId, toldAtMs });

function recovery(run: AlertedRun, row: AlertRow, nowMs: number): Found {
  const { about, cause, sinceMs } = row;
  const uniqueId = about.startsWith("run ") ? null : about;
  const words = uniqueId === null ? "A run is green again." : `${uniqueId} is good again.`;
  const good = { about, cause, sinceMs, state: "good" as const, ...noted(run, nowMs) };
  return { kind: "recovered", again: false, uniqueId, words, gates: 0, sinceMs, row: good };
}

/** What was stopped is told once a run. */
const STOPPED = "run stopped";

function dueStop(run: AlertedRun, before: AlertRow | undefined, nowMs: number): Found[] {
  if (before !== undefined && before.endedAtMs >= run.endedAtMs) return [];
  const words = run.verdict ?? "Stopped.";
  const row = {
    about: STOPPED,
    cause: causeOf(words),
    sinceMs: run.endedAtMs,
    state: "good" as const,
    ...noted(run, nowMs),
  };
  return [{ kind: "stopped", again: false, uniqueId: null, words: cut(words), gates: 0, sinceMs: null, row }];
}

function goodIn({ nodes, tests, others }: AlertedRun): ReadonlySet<string> {
  const all = [...nodes, ...tests, ...others];
  return new Set(all.filter((report) => report.class === "good").map((report) => report.uniqueId));
}
