import { describe, expect, test } from "vitest";
import type { Plan } from "#core/run/planning/plan.ts";
import { summarise, verdictOf } from "#core/run/reporting/summary.ts";
import { warningEvents } from "#core/run/reporting/warning-events.ts";
import { plain } from "../../../cli/view/style.ts";
import { countsLine, verdictText } from "../../../cli/view/summary-text.ts";
import { dataTest, ephemeral, killed, over, planOf, policyOf, row, runOf, vertex } from "../../support/run-builders.ts";

const DAYS = "model.shop.days";
const EPHEMERAL = "model.shop.eph";
const BOARD = "exposure.shop.board";
const QUERY = "saved_query.shop.by_day";
const TEST = "test.shop.unique_days.1";

const plan = planOf([
  vertex(DAYS),
  ephemeral(EPHEMERAL),
  vertex(BOARD),
  vertex(QUERY, [], { resourceType: "saved_query", builds: false }),
  dataTest(TEST, [DAYS]),
]);
const batches = [
  { name: "2024-03-01", status: "success" },
  { name: "2024-03-02", status: "error" },
];
const rows = [
  { ...row(DAYS, "partial success"), batches },
  row(BOARD, "no-op"),
  { ...row(TEST, "fail"), failures: 3, relation: '"shop"."audit"."unique_days"' },
];
const summary = summarise({ run: runOf(), plan, rows, tasks: [over(1)], nowMs: 15_000 });
const nodeOf = (id: string) => summary.nodes.find((node) => node.uniqueId === id);

describe("the summary", () => {
  test("G15: batches of a microbatch model are listed with their states", () => {
    expect(nodeOf(DAYS)).toMatchObject({ class: "failed", status: "partial success", batches });
  });

  test("G19: where recovery: early could not be had, the summary says why, and no event does", () => {
    const settings = { ...runOf().settings, policy: policyOf({ recovery: "early" }) };
    const run = { ...runOf(), settings };
    const told = (changes: Partial<Plan>) =>
      summarise({ run, plan: { ...plan, ...changes }, rows: [], tasks: [over(1)], nowMs: 15_000 });
    expect(told({}).warnings).toEqual([]);
    expect(told({ adapterType: "duckdb" }).warnings).toEqual([expect.stringMatching(/early had no effect: duckdb/)]);
    const hooked = told({ hookCount: 2 });
    expect(hooked.warnings).toEqual([expect.stringMatching(/policy\.concurrentHooks = true allows that\.$/)]);
    expect(warningEvents(hooked, { ...plan, hookCount: 2 })).toEqual([]);
  });

  test("F10: an ephemeral that dbt passed is good and says that there was nothing to build", () => {
    expect(nodeOf(EPHEMERAL)).toMatchObject({ class: "good", status: "nothing to build", tries: 0, batches: [] });
  });

  test("exposures and saved queries stand in a list of their own and are counted", () => {
    expect(summary.others.map((one) => `${one.uniqueId} ${one.status} ${one.class}`)).toEqual([
      `${BOARD} no-op good`,
      `${QUERY} nothing to build good`,
    ]);
    expect(countsLine(summary)).toContain("2 models, 1 test, 1 exposure, 1 saved query");
  });

  test("B13: what dbt reused is good, counted apart from what it built; a reused warning is still a warning", () => {
    const warns = "test.shop.not_null_days.1";
    const reusing = planOf([vertex(DAYS), vertex(BOARD), dataTest(warns, [DAYS])]);
    const rowsOf = [row(DAYS, "reused"), row(BOARD, "no-op"), { ...row(warns, "warn"), failures: 2 }];
    const told = summarise({ run: runOf(), plan: reusing, rows: rowsOf, tasks: [over(1)], nowMs: 15_000 });
    expect(told).toMatchObject({ reused: 1, counts: { good: 3 } });
    expect(told.nodes[0]).toMatchObject({ class: "good", status: "reused", reused: true });
    expect(told.warnings).toEqual([`${warns}: warned, 2 results`]);
    expect(countsLine(told)).toContain("3 good, 1 of them reused (");
    expect(countsLine({ ...told, savedMs: 185_000 })).toContain("1 of them reused (3 min 05 s of building saved) (");
  });

  test("C11: what a failed test found and where it is kept is told", () => {
    expect(verdictText(summary, plain).join("\n")).toContain(
      `found  unique_days: 3 failures, kept in "shop"."audit"."unique_days"`,
    );
  });

  test("G8: what is older than its parent is told in a run's first round too, and that a view of it may be gone", () => {
    const told = (materialized: string, adapterType = "postgres") => {
      const plan = planOf([vertex("a"), vertex("v", ["a"], { materialized })], { adapterType });
      const rows = [row("a", "success", { task: 2, tryTasks: [1, 2] }), row("v", "success")];
      const tasks = [over(1), over(2, {}, { kind: "fallback" })];
      return summarise({ run: runOf(), plan, rows, tasks, nowMs: 15_000 }).warnings;
    };
    const older = "v is older than a, which was built again without what is below it";
    expect(told("table")).toEqual([`${older}.`]);
    expect(told("view")).toEqual([`${older}; postgres drops a view with the table that it reads: it may be gone.`]);
    expect(told("view", "snowflake")).toEqual([`${older}.`]);
  });

  test("B7: what dbt built on a failed parent (on_error: continue) is marked", () => {
    const [parent, child] = ["model.shop.parent", "model.shop.child"];
    const continued = planOf([vertex(parent, [], { onErrorContinue: true }), vertex(child, [parent])]);
    const rowsOf = (status: string) => [row(parent, status), row(child, "success")];
    const warningsOf = (status: string) =>
      summarise({ run: runOf(), plan: continued, rows: rowsOf(status), tasks: [over(1)], nowMs: 15_000 }).warnings;
    expect(warningsOf("error")).toEqual([`${child} was built on ${parent}, which is not good (on_error: continue).`]);
    expect(warningsOf("success")).toEqual([]);
  });

  test("B7: it stays marked when a later build has mended the parent and it is not built again, since its rows would double", () => {
    const [parent, child] = ["model.shop.parent", "model.shop.child"];
    const continued = planOf([
      vertex(parent, [], { onErrorContinue: true }),
      vertex(child, [parent], { afterFailure: "unknown" }),
    ]);
    const rows = [row(parent, "success", { task: 2, tryTasks: [1, 2] }), row(child, "success")];
    const tasks = [over(1), over(2, {}, { kind: "fallback" })];
    expect(summarise({ run: runOf(), plan: continued, rows, tasks, nowMs: 15_000 }).warnings).toEqual([
      `${child} was built on ${parent}, which became good only after it (on_error: continue).`,
    ]);
  });

  test("a deadline that passes between the last check and the verdict stops nothing", () => {
    const run = runOf({ deadlineAtMs: 10_000, readyAtMs: 9_000 });
    const plan = planOf([vertex("a")]);
    const rows = [row("a", "error", { final: "dead", finalReason: "Its tries are used up: 1 of 1." })];
    const input = { run, plan, rows, tasks: [over(1)], nowMs: 11_000 };
    expect(verdictOf(input).state).toBe("red");
    expect(verdictOf({ ...input, run: runOf({ deadlineAtMs: 10_000 }) }).state).toBe("stopped");
  });
});

describe("F1: nodes that never had a consumer", () => {
  const shop = planOf([vertex("a"), vertex("b"), vertex("c"), vertex("d"), ephemeral("e"), vertex("f")]);
  const built = ["a", "b", "c", "d"].map((id) => row(id, "success"));
  const told = (state: "running" | "green" | "red", rows: typeof built) => {
    const summary = summarise({ run: runOf({ state }), plan: shop, rows, tasks: [over(1)], nowMs: 15_000 });
    return { warnings: summary.warnings, events: warningEvents(summary, shop).map(({ detail }) => detail.sentence) };
  };

  test("F1: are a warning of the run that has ended, green or red, and an event; what dbt never ran is none of them", () => {
    const sentence = "dbt ran 4 nodes that never had a consumer: a, b, c, ….";
    for (const state of ["green", "red"] as const)
      expect(told(state, built)).toEqual({ warnings: [sentence], events: [sentence] });
    const one = built.map((other) => (other.uniqueId === "b" ? other : { ...other, consumerStartedAtMs: 1 }));
    expect(told("green", one).warnings).toEqual(["dbt ran 1 node that never had a consumer: b."]);
  });

  test("F1: are none while the run goes on, whose next turn starts them, nor where each has one", () => {
    expect(told("running", built).warnings).toEqual([]);
    expect(
      told(
        "green",
        built.map((other) => ({ ...other, consumerStartedAtMs: 1 })),
      ).warnings,
    ).toEqual([]);
  });
});

describe("a build that a signal ended", () => {
  const two = planOf([vertex("a"), vertex("b", ["a"])]);
  const rows = [
    row("a", "success", { task: 2, tryTasks: [1, 2], lostTasks: [1], consumerStartedAtMs: 1 }),
    row("b", "success", { task: 3, tryTasks: [3], consumerStartedAtMs: 1 }),
  ];
  const later = [over(2, {}, { kind: "fallback" }), over(3, {}, { kind: "recovery" })];
  const told = (task: ReturnType<typeof over>) =>
    summarise({ run: runOf({ state: "green" }), plan: two, rows, tasks: [task, ...later], nowMs: 15_000 });

  test("D4: leaves a note in the summary of a green run, and its nodes say that they were rebuilt", () => {
    const cause = {
      kind: "killed" as const,
      sentence: "dbt was ended by SIGKILL, which stepwatch did not send.",
      lines: [],
    };
    const { causes, warnings, nodes } = told(over(1, { inOrder: false, signal: "SIGKILL", cause }));
    expect(causes).toEqual([]);
    expect(warnings).toEqual([
      "Task 1 (producer) was cut short: dbt was ended by SIGKILL, which stepwatch did not send. 1 vertex that it ran was rebuilt after the kill.",
    ]);
    expect(nodes.map((node) => node.reason)).toEqual(["Rebuilt after a kill.", null]);
  });

  test("D4: one that was killed with its supervisor is told by ECS' word; a build in order leaves no note", () => {
    expect(told(killed(1)).warnings[0]).toContain("its container was killed (SIGKILL, exit code 137).");
    expect(told(killed(1, { outOfMemory: true })).warnings[0]).toContain("ran out of memory");
    expect(told(over(1)).warnings).toEqual([]);
    expect(told(killed(1, { neverStarted: true })).warnings).toEqual([]);
  });
});
