import fc from "fast-check";
import { expect, test } from "vitest";
import type { TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import type { LaunchDecision } from "#core/run/deciding/decision.ts";
import type { BatchSize } from "#core/run/planning/plan.ts";
import { claimed, decide, nodeFailed, over, planOf, row, vertex } from "../support/run-builders.ts";

const MINUTE_MS = 60_000;
const MODEL = "tides";

/** The end of a batch, as dbt-core 1.9 to 1.12 cut time (`MicrobatchBuilder`); by months and years of the calendar. */
function shifted(size: BatchSize, ms: number, by: number): number {
  const at = new Date(ms);
  const [year, month, day, hour] = [at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate(), at.getUTCHours()];
  if (size === "year") return Date.UTC(year + by, 0);
  if (size === "month") return Date.UTC(year, month + by);
  return size === "day" ? Date.UTC(year, month, day + by) : Date.UTC(year, month, day, hour + by);
}

/** What dbt takes of a model at that moment: from its begin where its table is not there, else by its lookback. */
function batchesAt(
  nowMs: number,
  model: { size: BatchSize; lookback: number; beginMs: number; exists: boolean },
): string[] {
  const { size, lookback, beginMs, exists } = model;
  const floorMs = shifted(size, nowMs, 0);
  const endMs = floorMs === nowMs ? nowMs : shifted(size, nowMs, 1);
  const batches: string[] = [];
  for (
    let ms = exists ? shifted(size, endMs, -1 - lookback) : shifted(size, beginMs, 0);
    ms < endMs;
    ms = shifted(size, ms, 1)
  )
    batches.push(new Date(ms).toISOString());
  return batches;
}

/** A run on a clock of its own: its producer begins, its root fails, is built again after a delay, then the model is built. */
function buildOfModel(
  producer: Partial<TaskRow>[],
  size: BatchSize,
  startedAtMs: number,
  delayMinutes: number,
): LaunchDecision {
  const plan = planOf([vertex("root"), vertex(MODEL, ["root"], { materialized: "incremental", batchSize: size })]);
  const lost = producer.map((changes, n) =>
    over(n + 1, { inOrder: false, retryableLaunch: true }, { kind: "producer", ...changes }),
  );
  const own = lost.length + 1;
  let nowMs = startedAtMs + MINUTE_MS;
  const first = over(own, nodeFailed({ endedAtMs: nowMs }), { kind: "producer", startedAtMs });
  const skipped = row(MODEL, "skipped", { task: own });
  const failed = row("root", "error", { task: own, endedAtMs: nowMs });
  const look = (rows: VertexRow[], tasks: TaskRow[]) =>
    decide({ plan, rows, tasks, nowMs, policy: { retryDelaySeconds: 60, holdSeconds: 0 } });
  nowMs += delayMinutes * MINUTE_MS;
  const [fallback] = look([failed, skipped], [...lost, first]).launches;
  expect(fallback).toMatchObject({ kind: "fallback", uniqueIds: ["root"] });
  nowMs += MINUTE_MS;
  const second = over(own + 1, { endedAtMs: nowMs }, { kind: "fallback", startedAtMs: nowMs - MINUTE_MS });
  const good = { ...claimed(failed, own + 1), status: "success", statusTask: own + 1, tryTasks: [own, own + 1] };
  const [recovery] = look([good, skipped], [...lost, first, second]).launches;
  expect(recovery).toMatchObject({ kind: "recovery", uniqueIds: [MODEL] });
  return recovery!;
}

const models = fc.record({
  size: fc.constantFrom<BatchSize>("hour", "day", "month"),
  lookback: fc.nat(3),
  exists: fc.boolean(),
  beginMs: fc.constant(Date.parse("2024-02-27T00:00:00Z")),
});

/** Around the turns of an hour, a day, a month (a leap year's February), a year. */
const starts = fc
  .tuple(
    fc.constantFrom("2024-03-01T00:00:00Z", "2024-03-05T23:00:00Z", "2025-01-01T00:00:00Z"),
    fc.integer({ min: -90, max: 5 }),
  )
  .map(([turn, minutes]) => Date.parse(turn) + minutes * MINUTE_MS + 17_000);

test("G27: whenever its root recovers, a model is built with the batches of the moment at which its producer began", () => {
  fc.assert(
    fc.property(models, starts, fc.integer({ min: 2, max: 180 }), (model, startedAtMs, delayMinutes) => {
      const { asOfMs } = buildOfModel([], model.size, startedAtMs, delayMinutes);
      expect(batchesAt(asOfMs!, model)).toEqual(batchesAt(startedAtMs, model));
    }),
  );
});

test("G27: of producers that were launched again, the one that built counts", () => {
  const startedAtMs = Date.parse("2024-03-05T23:58:00Z");
  const earlier = [{ startedAtMs: startedAtMs - 3_600_000 }];
  expect(buildOfModel(earlier, "hour", startedAtMs, 5).asOfMs).toBe(startedAtMs);
});

test("G27: without that moment hours would be missing: what dbt takes by itself after the turn", () => {
  const model = { size: "hour", lookback: 0, exists: true, beginMs: 0 } as const;
  const startedAtMs = Date.parse("2024-03-05T22:58:00Z");
  expect(batchesAt(startedAtMs, model)).toEqual(["2024-03-05T22:00:00.000Z"]);
  expect(batchesAt(startedAtMs + 5 * MINUTE_MS, model)).toEqual(["2024-03-05T23:00:00.000Z"]);
});
