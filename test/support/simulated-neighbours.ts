import { expect } from "vitest";
import type { RunRow } from "#core/contracts/ledger.ts";
import { parseRunInput, workOf } from "#core/contracts/run-input.ts";
import { QUEUE_TURN_SECONDS } from "../../infra/state-machines/turns.ts";
import type { Random } from "./simulated-random.ts";
import type { SimulatedWorld } from "./simulated-world.ts";

/** A run as it is to come beside others. */
export interface NeighbourRun {
  readonly runId: string;
  readonly atMs: number;
  readonly input: {
    readonly policy: { readonly overlap: "queue" | "latest" | "skip" | "refuse"; readonly dependsOnPast: boolean };
    readonly dedupeKey?: string;
    readonly vars?: { readonly day: number };
  };
}

/** How long after the end of one run the next that waits may begin, where no call goes wrong. Milliseconds. */
const AT_ONCE_MS = 10_000;

/** Some runs of one lock, close enough to meet: each with its own word on what to do then. */
export function drawNeighbours(random: Random): NeighbourRun[] {
  return Array.from({ length: 2 + random.below(6) }, (_, n) => ({
    runId: `run-${n + 1}`,
    atMs: random.below(240_000),
    input: {
      policy: {
        overlap: random.pick(["queue", "queue", "latest", "latest", "skip", "refuse"]),
        dependsOnPast: random.chance(0.2),
      },
      ...(random.chance(0.3) ? { dedupeKey: random.pick(["one", "two"]) } : {}),
      ...(random.chance(0.4) ? { vars: { day: random.below(2) } } : {}),
    },
  }));
}

/** Begins them, and lets people pause the project and end executions that wait, by chance. */
export function beginNeighbours(world: SimulatedWorld, runs: readonly NeighbourRun[], random: Random): void {
  for (const { runId, atMs, input } of runs) world.begin(runId, atMs, input);
  for (const { runId, atMs } of runs) if (random.chance(0.1)) endSometime(world, runId, atMs, random);
  world.later(0, () => sweepUntilOver(world, runs));
  if (random.chance(0.2)) {
    const atMs = random.below(200_000);
    const pause = { project: "shop", by: "jane", atMs: 1, reason: "a test" };
    world.later(atMs, () => world.ledger.pause(pause));
    world.later(atMs + random.below(200_000), () => world.ledger.resume("shop"));
  }
}

const SWEEP_MS = 15 * 60_000;

/** More sweeps than any scenario needs. */
const MOST_SWEEPS = 60;

/** Where stop-run itself came to nothing, its sweep ends what is left. */
async function sweepUntilOver(world: SimulatedWorld, runs: readonly NeighbourRun[]): Promise<void> {
  for (let n = 0; n < MOST_SWEEPS; n++) {
    await world.schedule.pause(SWEEP_MS);
    await world.sweep();
    const rows = await Promise.all(runs.map(({ runId }) => world.ledger.readRun({ project: "shop", runId })));
    const isOver = rows.every((row) => row?.state !== "running") && runs.every(({ runId }) => world.ends.has(runId));
    if (isOver && (await world.ledger.readLock("shop", "default")) === null) return;
  }
}

/** Somebody ends the execution, waiting or building; the event of it comes soon or late. */
function endSometime(world: SimulatedWorld, runId: string, atMs: number, random: Random): void {
  const eventAfterMs = random.pick([0, random.below(2_000), random.below(200_000)]);
  world.later(atMs + random.below(120_000), async () => {
    if (world.abort(runId)) world.later(eventAfterMs, () => world.stopRun({ runId, redriveCount: 0 }));
  });
}

const isAborted = (world: SimulatedWorld, runId: string) => world.ends.get(runId)?.state === "aborted";

/** What must hold of runs of one lock, whatever went wrong around them. */
export async function expectNeighbours(
  world: SimulatedWorld,
  runs: readonly NeighbourRun[],
  isSmooth: boolean,
): Promise<void> {
  expect(world.errors).toEqual([]);
  // Each run builds everything anew, so that a table that was good before is no violation.
  expect(world.warehouse.violations.filter((words) => !words.includes("was good and is built again"))).toEqual([]);
  for (const [task, times] of world.fences) expect(times, `containers that built task ${task}`).toBe(1);
  const holder = await world.ledger.readLock("shop", "default");
  expect(holder, "the lock is free").toBeNull();
  const rows = new Map<string, RunRow>();
  for (const { runId } of runs) {
    const row = await world.ledger.readRun({ project: "shop", runId });
    if (row !== null) rows.set(runId, row);
    expect(world.ends.get(runId), `${runId} has ended`).toBeDefined();
  }
  expectOneOfEachTrigger(world, runs, rows);
  for (const run of runs) expectReason(world, run, runs, rows);
  const begun = [...rows.values()].sort((a, b) => a.startedAtMs - b.startedAtMs);
  for (const [n, row] of begun.slice(1).entries()) expectAfter(begun[n]!, row, runs, world, isSmooth);
}

/** A function that goes on although its execution was ended may still write a row, under which nothing is built. */
function expectOneOfEachTrigger(
  world: SimulatedWorld,
  runs: readonly NeighbourRun[],
  rows: ReadonlyMap<string, RunRow>,
): void {
  for (const [key, same] of Map.groupBy(runs, ({ input }) => input.dedupeKey)) {
    const begun = same.filter(({ runId }) => rows.has(runId) && !isAborted(world, runId)).map(({ runId }) => runId);
    if (key !== undefined) expect(begun.length, `the trigger ${key} has begun ${begun.join(", ")}`).toBeLessThan(2);
  }
}

const work = ({ input }: NeighbourRun) => workOf(parseRunInput({ project: "shop", ...input }));

/** What a run that did not begin says of the others is so. */
function expectReason(
  world: SimulatedWorld,
  run: NeighbourRun,
  runs: readonly NeighbourRun[],
  rows: ReadonlyMap<string, RunRow>,
): void {
  const end = world.ends.get(run.runId);
  if (end === undefined || ["green", "red", "aborted"].includes(end.state)) return;
  const other = runs.find(({ runId }) => runId === /\b(run-\d+)\b/.exec(end.words)?.[1]);
  const words = `${run.runId}: ${end.words}`;
  expect(rows.has(run.runId) && end.state === "skipped", `${words}, and it has begun`).toBe(false);
  if (end.words.includes("paused by jane") || end.words.includes("runs wait for the lock")) return;
  expect(other, words).toBeDefined();
  expect(other!.runId, words).not.toBe(run.runId);
  if (end.words.includes("overlap: latest")) {
    expect(other!.input.policy.overlap, words).toBe("latest");
    expect(work(other!), words).toBe(work(run));
    const comesToo = rows.has(other!.runId) || (world.ends.get(other!.runId)?.words ?? "").includes("overlap: latest");
    const isGone = isAborted(world, other!.runId) || (world.ends.get(other!.runId)?.words ?? "").includes("paused by");
    const sameRefusal = run.input.policy.dependsOnPast && world.ends.get(other!.runId)?.state === "refused";
    expect(comesToo || isGone || sameRefusal, `${words}, which ${world.ends.get(other!.runId)?.words}`).toBe(true);
  } else if (end.words.includes("dedupeKey")) {
    expect(other!.input.dedupeKey, words).toBe(run.input.dedupeKey);
  } else if (end.words.includes("overlap: skip")) expect(run.input.policy.overlap, words).toBe("skip");
  else if (end.words.includes("dependsOnPast")) {
    expect(run.input.policy.dependsOnPast, words).toBe(true);
    // One whose execution was ended gets its verdict by stop-run, and may have it since.
    if (!isAborted(world, other!.runId)) expect(rows.get(other!.runId)?.state, words).not.toBe("green");
  } else expect(run.input.policy.overlap, words).toBe("refuse");
}

/** Of two that began one after the other: never together, not after a red past, and soon. */
function expectAfter(
  before: RunRow,
  row: RunRow,
  runs: readonly NeighbourRun[],
  world: SimulatedWorld,
  isSmooth: boolean,
): void {
  const words = `${row.runId} after ${before.runId}`;
  if (isAborted(world, before.runId) || isAborted(world, row.runId)) return;
  expect(row.startedAtMs, words).toBeGreaterThanOrEqual(before.endedAtMs!);
  const run = runs.find(({ runId }) => runId === row.runId)!;
  if (run.input.policy.dependsOnPast) expect(before.state, words).toBe("green");
  const waited = run.atMs + world.startedAtMs + AT_ONCE_MS < before.endedAtMs!;
  // One that was woken, and whose execution was ended before it took the lock, costs the others a turn in the queue.
  const mostMs = runs.some((one) => isAborted(world, one.runId)) ? AT_ONCE_MS + QUEUE_TURN_SECONDS * 1_000 : AT_ONCE_MS;
  if (isSmooth && waited) expect(row.startedAtMs - before.endedAtMs!, words).toBeLessThan(mostMs);
}
