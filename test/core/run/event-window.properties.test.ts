import fc from "fast-check";
import { expect, test } from "vitest";
import type { VertexRow } from "#core/contracts/ledger.ts";
import { type EventWindow, eventWindowOf } from "#core/run/deciding/event-window.ts";
import { viewVertices } from "#core/run/judging/vertex-view.ts";
import type { BatchSize } from "#core/run/planning/plan.ts";
import { over, planOf, row, vertex } from "../../support/run-builders.ts";

const SIZES = ["hour", "day", "month", "year"] as const;

/** The first moment of the batch of a moment, and of the one so many batches further. */
function startOf(size: BatchSize, ms: number, further = 0): number {
  const at = new Date(ms);
  const parts = [at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate(), at.getUTCHours()];
  const unit = ["year", "month", "day", "hour"].indexOf(size);
  const kept = parts.map((part, index) =>
    index > unit ? [0, 0, 1, 0][index]! : index === unit ? part + further : part,
  );
  return Date.UTC(kept[0]!, kept[1], kept[2], kept[3]);
}

/** As dbt 1.11 names a batch. */
const nameOf = (size: BatchSize, ms: number) =>
  new Date(ms).toISOString().slice(0, { year: 4, month: 7, day: 10, hour: 13 }[size]);

/** The batches that dbt builds for a window. */
function slots(size: BatchSize, { start, end }: EventWindow): number[] {
  const found: number[] = [];
  for (let at = startOf(size, Date.parse(`${start}Z`)); at < Date.parse(`${end}Z`); at = startOf(size, at, 1))
    found.push(at);
  return found;
}

type Word = "success" | "error" | "skipped";

/** What a dbt does with a window: the model's last word, and the batches that it names. */
interface Attempt {
  readonly outcomes: readonly boolean[];
  /** Batches that it comes to before it is killed; null: it comes to its end. */
  readonly killedAfter: number | null;
}

function attempt(size: BatchSize, window: EventWindow, tableIsThere: boolean, { outcomes, killedAfter }: Attempt) {
  const all = slots(size, window);
  const words = all.map((_, at): Word => (outcomes[at % outcomes.length]! ? "success" : "error"));
  // The first batch makes the table; where it fails dbt skips the rest.
  if (!tableIsThere && words[0] === "error") words.fill("skipped", 1);
  const seen = killedAfter === null ? all.length : Math.min(all.length, killedAfter + 1);
  const batches = all.slice(0, seen).map((at, index) => ({ name: nameOf(size, at), status: words[index] as string }));
  const isCut = killedAfter !== null && killedAfter < all.length;
  if (isCut) batches[seen - 1]!.status = "started";
  const good = all.filter((_, at) => at < batches.length && batches[at]!.status === "success");
  const status = isCut
    ? "started"
    : good.length === all.length
      ? "success"
      : good.length === 0
        ? "error"
        : "partial success";
  return { status, batches, good };
}

const attempts = fc.array(
  fc.record({
    outcomes: fc.array(fc.boolean(), { minLength: 1, maxLength: 12 }),
    killedAfter: fc.option(fc.nat(12), { nil: null, freq: 4 }),
  }),
  { minLength: 1, maxLength: 5 },
);

test("G17: whatever batches fail, in whatever builds, cut off or not, none is missing once the model is good; across midnight, months and years", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...SIZES),
      fc.integer({ min: Date.UTC(2023, 11, 30), max: Date.UTC(2024, 2, 2) }),
      fc.integer({ min: 1, max: 12 }),
      fc.boolean(),
      attempts,
      (size, nowMs, count, wasThere, tries) => {
        const plan = planOf([vertex("tides", [], { materialized: "incremental", batchSize: size })]);
        const iso = (ms: number) => new Date(ms).toISOString().slice(0, 19);
        const whole = { start: iso(startOf(size, nowMs, 1 - count)), end: iso(startOf(size, nowMs, 1)) };
        const built = new Set<number>();
        const tasks = [];
        let window: EventWindow | null = whole;
        let batches: VertexRow["batches"];
        for (const [index, one] of [...tries, { outcomes: [true], killedAfter: null }].entries()) {
          const { status, batches: named, good } = attempt(size, window, wasThere || built.size > 0, one);
          for (const at of good) built.add(at);
          batches = named.length > 0 ? named : batches;
          const task = index + 1;
          const end = status === "started" ? { inOrder: false, signal: "SIGKILL", exitCode: null } : {};
          tasks.push(over(task, end, { kind: index === 0 ? "producer" : "fallback", startedAtMs: nowMs }));
          if (status === "success") break;
          const now = row("tides", status, { task, ...(batches ? { batches } : {}), startedAtMs: nowMs });
          const view = viewVertices(plan, [now], tasks).get("tides")!;
          window = eventWindowOf(view, nowMs);
          if (window === null) return;
        }
        expect([...built].sort()).toEqual(slots(size, whole).sort());
      },
    ),
    { numRuns: 2_000 },
  );
});

test("G17: where the failed batches lie side by side, they and no others are built", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...SIZES),
      fc.integer({ min: Date.UTC(2023, 11, 30), max: Date.UTC(2024, 2, 2) }),
      fc.integer({ min: 2, max: 12 }),
      fc.nat(),
      fc.nat(),
      (size, nowMs, count, a, b) => {
        const plan = planOf([vertex("tides", [], { materialized: "incremental", batchSize: size })]);
        const all = Array.from({ length: count }, (_, at) => startOf(size, nowMs, at + 1 - count));
        const from = a % count;
        const until = from + (b % Math.max(1, count - from - (from === 0 ? 1 : 0)));
        const failed = all.slice(from, until + 1);
        const batches = all.map((at) => ({
          name: nameOf(size, at),
          status: failed.includes(at) ? "error" : "success",
        }));
        const now = row("tides", "partial success", { batches, startedAtMs: nowMs });
        const view = viewVertices(plan, [now], [over(1, {}, { startedAtMs: nowMs })]).get("tides")!;
        expect(slots(size, eventWindowOf(view, nowMs)!)).toEqual(failed);
      },
    ),
  );
});
