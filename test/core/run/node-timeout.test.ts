import { describe, expect, test } from "vitest";
import { summarise } from "#core/run/reporting/summary.ts";
import { warningEvents } from "#core/run/reporting/warning-events.ts";
import { dataTest, killed, live, NOW, over, planOf, policyOf, row, runOf, vertex } from "../../support/run-builders.ts";

const MINUTE = 60_000;
const plan = planOf([
  vertex("model.shop.slow", [], { overrides: { timeoutMinutes: 30 } }),
  vertex("model.shop.other"),
  dataTest("test.shop.t", ["model.shop.other"]),
]);

/** A run whose policy allows `minutes` for each vertex. */
function warningsOf(rows: Parameters<typeof summarise>[0]["rows"], task = live(1), minutes?: number, nowMs = NOW) {
  const settings = {
    ...runOf().settings,
    policy: policyOf(minutes === undefined ? {} : { nodeTimeoutMinutes: minutes }),
  };
  const summary = summarise({ run: runOf({ settings }), plan, rows, tasks: [task], nowMs });
  return { summary, warnings: summary.warnings };
}

describe("F13: a node that takes longer than it may", () => {
  const running = (minutes: number) => [row("model.shop.slow", "started", { startedAtMs: NOW - minutes * MINUTE })];

  test("is a warning that names it while it runs, the same at each look, and the node goes on", () => {
    expect(warningsOf(running(30)).warnings).toEqual([]);
    const { summary, warnings } = warningsOf(running(31));
    expect(warnings).toEqual([
      "model.shop.slow runs longer than the 30 minutes that it may (timeoutMinutes). dbt can not end one node: stop the run, or end its query on the warehouse.",
    ]);
    expect(warningsOf(running(31), live(1), undefined, NOW + MINUTE).warnings).toEqual(warnings);
    expect(summary.nodes[0]).toMatchObject({ class: "running", outcome: null });
  });

  test("is told with its time once it has ended, and as an event", () => {
    const rows = [row("model.shop.slow", "success", { startedAtMs: NOW - 42 * MINUTE, endedAtMs: NOW })];
    const { summary, warnings } = warningsOf(rows, over(1));
    expect(warnings).toEqual([
      "model.shop.slow ran 42.0 minutes, longer than the 30 minutes that it may (timeoutMinutes).",
    ]);
    expect(warningEvents(summary, plan).map((event) => event.detail.sentence)).toEqual(warnings);
  });

  test("the run's policy says it of every node and test; a node's own word wins", () => {
    const rows = ["model.shop.slow", "model.shop.other", "test.shop.t"].map((id) =>
      row(id, "success", { startedAtMs: NOW - 10 * MINUTE, endedAtMs: NOW }),
    );
    const named = (minutes: number) => warningsOf(rows, over(1), minutes).warnings.map((line) => line.split(" ")[0]);
    expect(named(5)).toEqual(["model.shop.other", "test.shop.t"]);
    expect(named(10)).toEqual([]);
  });

  test("of one that was cut off nobody knows how long it ran", () => {
    const cut = [row("model.shop.slow", "started", { startedAtMs: NOW - 90 * MINUTE })];
    expect(warningsOf(cut, killed(1)).warnings.filter((line) => line.includes("slow"))).toEqual([]);
  });
});
