import { expect, test } from "vitest";
import type { QuietNotice } from "#core/contracts/ledger.ts";
import { summarise } from "#core/run/reporting/summary.ts";
import { quietAfterMs, quietEvent, quietSentence, silenceAfter, untoldQuiet } from "#core/run/watching/quiet.ts";
import { buildEnd, runRow, taskRow } from "../../support/ledger-rows.ts";
import { live, over, planOf, vertex } from "../../support/run-builders.ts";

const MINUTE = 60_000;
const SINCE = Date.UTC(2026, 0, 31, 6, 0);

const notice = (changes: Partial<QuietNotice> = {}): QuietNotice => ({
  sinceMs: SINCE,
  noticedAtMs: SINCE + 90 * MINUTE,
  running: [{ uniqueId: "model.shop.orders", startedAtMs: SINCE - 5 * MINUTE }],
  count: 1,
  interrupted: false,
  ...changes,
});

test("A25: long is the setting, or twice the longest silence that the project's builds have broken", () => {
  expect(quietAfterMs(60, 0)).toBe(60 * MINUTE);
  expect(quietAfterMs(60, 20 * MINUTE)).toBe(60 * MINUTE);
  expect(quietAfterMs(60, 120 * MINUTE)).toBe(240 * MINUTE);
});

test("A25, D22: what a round's builds have shown is kept for the next run, and is forgotten in time", () => {
  const run = runRow({ project: "shop", runId: "run-1" });
  const told = (task: number, minutes: number, changes = {}) =>
    taskRow(task, { end: buildEnd({ longestQuietMs: minutes * MINUTE }), ...changes });
  const after = (before: number, ...tasks: Parameters<typeof silenceAfter>[2]) =>
    silenceAfter(before * MINUTE, run, tasks, run.startedAtMs + 200 * MINUTE);
  expect(after(100, told(1, 0))).toBe(90 * MINUTE);
  expect(after(100, told(1, 0), told(2, 0))).toBeCloseTo(81 * MINUTE);
  expect(after(1, told(1, 100))).toBe(100 * MINUTE);
  expect(after(0, told(1, 5))).toBeNull();
  expect(after(100), "no build came to its end").toBeNull();
  expect(after(100, told(1, 150, { round: 0 })), "of a round before").toBeNull();
  expect(after(0, told(1, 9_999)), "none is longer than the run").toBe(200 * MINUTE);
});

test("A25: the warning names what runs and for how long, at most five of it, and says where nothing does", () => {
  expect(quietSentence(taskRow(1), notice())).toBe(
    "Task 1 (producer): dbt has said nothing for 90 minutes, since 2026-01-31 06:00 UTC, and runs model.shop.orders (for 95 minutes).",
  );
  const running = ["a", "b", "c", "d", "e"].map((uniqueId) => ({ uniqueId }));
  expect(quietSentence(taskRow(2, { kind: "recovery" }), notice({ running, count: 7 }))).toContain("d, e and 2 more.");
  expect(quietSentence(taskRow(1), notice({ running: [], count: 0 }))).toContain("and runs no node.");
  expect(quietSentence(taskRow(1), notice({ interrupted: true }))).toContain("It is interrupted");
});

test("A25: it stands in the summary while the run goes on and after it, by the same words and the same event", () => {
  const plan = planOf([vertex("a")]);
  const run = runRow({ project: "shop", runId: "run-1" });
  const warnings = (task: ReturnType<typeof live>) =>
    summarise({ run, plan, rows: [], tasks: [task], nowMs: SINCE + 99 * MINUTE }).warnings;
  const quiet = [notice()];
  expect(warnings(live(1, { quiet }))).toEqual([quietSentence(taskRow(1), notice())]);
  expect(warnings(over(1, {}, { quiet }))).toEqual([quietSentence(taskRow(1), notice())]);
  const event = quietEvent(run, live(1), notice());
  expect(event.detail).toMatchObject({ state: "running", uniqueId: "model.shop.orders", nodes: ["model.shop.orders"] });
  expect(quietEvent(run, over(1), notice()).detail.id).toBe(event.detail.id);
});

test("A25: of a build that was interrupted for it the end alone tells", () => {
  const plan = planOf([vertex("a")]);
  const run = runRow({ project: "shop", runId: "run-1" });
  const told = notice({ interrupted: true });
  const cause = { kind: "killed" as const, sentence: quietSentence(taskRow(1), told), lines: [] };
  const task = over(1, { inOrder: false, cause }, { quiet: [told] });
  const { warnings } = summarise({ run, plan, rows: [], tasks: [task], nowMs: SINCE });
  expect(warnings.filter((line) => line.includes("has said nothing"))).toHaveLength(1);
});

test("A25: each notice is told once", () => {
  const quiet = [notice({ noticedAtMs: 5 }), notice({ noticedAtMs: 9 })];
  expect(untoldQuiet(live(1, { quiet }))).toHaveLength(2);
  expect(untoldQuiet(live(1, { quiet, quietToldAtMs: 5 }))).toEqual([quiet[1]]);
  expect(untoldQuiet(live(1, { quiet, quietToldAtMs: 9 }))).toEqual([]);
});
