import { z } from "zod";
import { type RunInput, STARTED_BY } from "#core/contracts/run-input.ts";
import { executionArn, newRunId, PROJECT_NAME, workKey } from "#core/names.ts";
import { asDbt } from "#core/run/planning/run-dates.ts";
import { type Period, periods } from "#core/schedule/local-time.ts";
import { periodName, type Window } from "#core/schedule/windows.ts";

/**
 * A backfill: one run for each window of a range (behaviour H12), started by an execution of the backfill machine. All
 * that is known of it stands in that execution's input; which run works on a window, under the window's `runKey` in the
 * ledger: of several attempts the newest.
 */

/** What tells one window's run from the others. */
const windowSchema = z.object({
  /** What people call it: `2026-01-31`. */
  window: z.string().min(1),
  /** The first letters of its run's id. */
  name: z.string().min(1),
  /** Of its run, over what all of them say. */
  input: z.object({
    scheduledTime: z.iso.datetime(),
    eventTimeStart: z.string().optional(),
    eventTimeEnd: z.string().optional(),
    runKey: z.string().min(1),
  }),
});
export type BackfillWindow = z.infer<typeof windowSchema>;

/** Input of the backfill machine. */
export const backfillInputSchema = z.object({
  /** For people, and for the commands. */
  backfill: z.object({
    id: z.string().min(1),
    project: z.string().regex(PROJECT_NAME),
    by: z.enum(periods),
    zone: z.string(),
    who: z.string(),
  }),
  /** Of each run, beside what its window says. */
  input: z.record(z.string(), z.unknown()),
  /** Windows that follow one another; the lanes go on side by side. */
  lanes: z.array(z.array(windowSchema)).min(1),
});
export type BackfillInput = z.infer<typeof backfillInputSchema>;

/** Runs at once, where they share no lock: MaxConcurrency of an inline Map is 40 at most. */
export const MOST_LANES = 40;

const NEWEST = /-r(\d+)$/;
const ID_TAIL = /-\d{8}-\d{6}-[0-9a-f]{8}(-r\d+)?$/;
/** With the time, eight letters, `-backfill-` and `-r99` it is a name that Step Functions takes. */
const PROJECT_LETTERS = 40;

const ofProject = (project: string): string => `${project.slice(0, PROJECT_LETTERS)}-backfill`;

/** Name of a new backfill, and of its first execution. */
export const newBackfillId = (project: string, nowMs: number, random: string): string =>
  `${ofProject(project)}-${newRunId(nowMs, random)}`;

/** Whether an execution's name is that of a project's backfill, as far as the name says. */
export const isBackfillOf = (project: string, name: string): boolean =>
  name.startsWith(`${ofProject(project)}-`) && name.replace(ID_TAIL, "") === ofProject(project);

/** A backfill's id without the number of the attempt that a person may have copied. */
export const backfillIdOf = (name: string): string => name.replace(NEWEST, "");

/** The execution of a backfill's nth attempt; the first has its id alone. */
export const attemptName = (id: string, attempt: number): string => (attempt === 1 ? id : `${id}-r${attempt}`);

export interface BackfillRequest {
  readonly id: string;
  readonly project: string;
  readonly by: Period;
  readonly zone: string;
  readonly who: string;
  /** What each run's input says beside its window. */
  readonly input: Omit<RunInput, "project">;
  readonly windows: readonly Window[];
  readonly parallel: number;
  /** Which moment of its window a run works on. */
  readonly at: "start" | "end";
  /** Whether dbt is told the window as such, beside its scheduled time. */
  readonly eventTime: boolean;
}

/** @param machineArn of the backfill machine: a run does not begin once the execution that has started it is over */
export function backfillInput(asked: BackfillRequest, machineArn: string): BackfillInput {
  const { id, project, by, zone, who, at, eventTime } = asked;
  const windows = asked.windows.map(({ startMs, endMs }): BackfillWindow => {
    const window = periodName(startMs, by, zone);
    return {
      window,
      name: window.slice(0, 13).replace(/[^0-9]/g, ""),
      input: {
        scheduledTime: iso(at === "start" ? startMs : endMs),
        ...(eventTime && { eventTimeStart: asDbt(startMs), eventTimeEnd: asDbt(endMs) }),
        runKey: `${id} ${iso(startMs)}`,
      },
    };
  });
  return withLanes(
    { backfill: { id, project, by, zone, who }, input: { ...asked.input, project } },
    windows,
    asked.parallel,
    machineArn,
    id,
  );
}

/** The same backfill once more, for windows that are not green. */
export const backfillAgain = (
  before: BackfillInput,
  windows: readonly BackfillWindow[],
  machineArn: string,
  attempt: number,
): BackfillInput =>
  withLanes(before, windows, before.lanes.length, machineArn, attemptName(before.backfill.id, attempt));

function withLanes(
  { backfill, input }: Pick<BackfillInput, "backfill" | "input">,
  windows: readonly BackfillWindow[],
  parallel: number,
  machineArn: string,
  execution: string,
): BackfillInput {
  const lanes = Array.from({ length: Math.min(parallel, windows.length) }, (): BackfillWindow[] => []);
  for (const [n, window] of windows.entries()) lanes[n % lanes.length]!.push(window);
  const arn = executionArn(machineArn, execution);
  return { backfill, input: { ...input, ifLeftOut: "fail", backfill: arn, [STARTED_BY]: arn }, lanes };
}

/** All windows in their order. */
export const windowsIn = ({ lanes }: BackfillInput): BackfillWindow[] =>
  lanes.flat().sort((a, b) => (a.input.scheduledTime < b.input.scheduledTime ? -1 : 1));

/** Under which the ledger has the run of a window. */
export const triggerOfWindow = ({ input }: BackfillWindow): string => workKey(input.runKey);

/** What became of one window. */
export type WindowState = "waiting" | "running" | "green" | "red" | "stopped" | "not built";

/** What became of all of it. */
export type BackfillState = "running" | "green" | "red" | "stopped";

/**
 * Whatever the execution says, it is the windows that count: a person may have repaired one of them by its run.
 * @param status of the newest execution
 */
export function backfillState(status: string, windows: readonly { readonly state: WindowState }[]): BackfillState {
  if (status === "RUNNING" || windows.some(({ state }) => state === "running")) return "running";
  if (windows.every(({ state }) => state === "green")) return "green";
  return status === "ABORTED" ? "stopped" : "red";
}

const iso = (ms: number): string => new Date(ms).toISOString().replace(".000Z", "Z");
