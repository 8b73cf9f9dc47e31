import { describe, expect, test } from "vitest";
import type { RunResult } from "#core/dbt/run-results.ts";
import { rootsAbout, rootsOlderTasks, type WhyInput, whyOf } from "#core/run/reporting/why.ts";
import { taskRow } from "../../support/ledger-rows.ts";
import {
  claimed,
  dataTest,
  killed,
  LONG_AGO,
  live,
  NOW,
  nodeFailed,
  over,
  planOf,
  policyOf,
  row,
  runOf,
  vertex,
} from "../../support/run-builders.ts";

const PARENT = "model.shop.orders";
const TEST = "test.shop.unique_orders_id.abc123";
const CHILD = "model.shop.customers";
const plan = planOf([
  vertex("model.shop.raw"),
  vertex(PARENT, ["model.shop.raw"]),
  dataTest(TEST, [PARENT]),
  vertex(CHILD, [PARENT, TEST]),
]);
const raw = row("model.shop.raw", "success");
const doomedBy = (id: string, root: string) =>
  row(id, "skipped", { final: "doomed", finalReason: "x", rootCause: root });

function input(changes: Partial<WhyInput> & { policy?: Record<string, unknown> }): WhyInput {
  const { policy = {}, run = {}, ...rest } = changes;
  const settings = { ...runOf().settings, policy: policyOf(policy) };
  const base = {
    run: runOf({ input: { project: "shop" }, settings, ...run }),
    plan,
    rows: [],
    tasks: [over(1, nodeFailed())],
    nowMs: NOW,
  };
  return { ...base, results: new Map(), samples: new Map(), usualMs: new Map(), ...rest };
}
const ended = {
  ...runOf(),
  input: { project: "shop", target: "prod", vars: { day: "it's" } },
  state: "red" as const,
  verdict: "red",
};
const result = (status: string, message: string): RunResult => ({
  uniqueId: PARENT,
  status,
  message,
  failures: null,
  executionSeconds: 2.5,
  startedAtMs: null,
  endedAtMs: null,
  relationName: null,
  compiledCode: null,
  rowsAffected: null,
  batches: null,
});

describe("why of a run that is over", () => {
  const failed = row(PARENT, "error", {
    task: 2,
    tryTasks: [1, 2],
    message: "Database Error in model orders\n  no such column",
    startedAtMs: LONG_AGO - 700,
    final: "dead",
    finalReason: "Its tries are used up: 2 of 2.",
    rootCause: PARENT,
  });
  const red = input({
    run: ended,
    rows: [raw, failed, doomedBy(TEST, PARENT), doomedBy(CHILD, PARENT)],
    tasks: [over(1, nodeFailed()), over(2, nodeFailed(), { kind: "fallback", size: "queue" })],
    results: new Map([
      [1, { invocationId: null, dbtVersion: null, results: [result("error", "the first one's words")] }],
    ]),
  });

  test("roots alone, each with dbt's words, why it is not built again, and what is not built because of it", () => {
    const why = whyOf(red);
    expect(why.roots).toMatchObject([
      {
        uniqueId: PARENT,
        status: "error",
        message: "Database Error in model orders\n  no such column",
        decision: "Its tries are used up: 2 of 2.",
        notBuilt: { count: 2, first: [CHILD, TEST] },
      },
    ]);
    expect(why.live).toBeNull();
  });

  test("each try has its task, time and dbt's word, an older one by dbt's own file", () => {
    expect(rootsOlderTasks(red)).toEqual([1]);
    expect(whyOf(red).roots[0]?.tried).toMatchObject([
      {
        task: 1,
        kind: "producer",
        size: "producer",
        tookMs: 2500,
        status: "error",
        message: "the first one's words",
        build: null,
      },
      {
        task: 2,
        kind: "fallback",
        size: "queue",
        tookMs: 700,
        status: "error",
        message: expect.stringContaining("no such column"),
      },
    ]);
  });

  test("of an older try whose file is gone its word is not known, and nothing is made up", () => {
    expect(whyOf({ ...red, results: new Map() }).roots[0]?.tried[0]).toMatchObject({
      task: 1,
      status: null,
      message: null,
      build: null,
    });
  });

  test("a build that was killed, and one that never started, are told as such", () => {
    const cut = row(PARENT, "error", { task: 2, tryTasks: [1, 2], lostTasks: [1], final: "dead", finalReason: "x" });
    const stop = { stoppedReason: "RESOURCE:CPU", neverStarted: true };
    const tasks = [
      killed(1, { outOfMemory: true }),
      over(2, nodeFailed(), { kind: "fallback" }),
      killed(3, stop, { kind: "fallback" }),
    ];
    const rows = [raw, { ...claimed(cut, 3) }];
    expect(whyOf(input({ run: ended, rows, tasks })).roots[0]?.tried).toMatchObject([
      { task: 1, status: null, build: "its container ran out of memory." },
      { task: 2, status: "error", build: null },
      { task: 3, status: null, build: "It never started: RESOURCE:CPU." },
    ]);
  });

  test("dbt's arguments build that vertex and no other, with the run's options", () => {
    expect(whyOf(red).roots[0]?.reproduceArgs).toEqual([
      "build",
      ...["--target", "prod", "--vars", '{"day":"it\'s"}'],
      ...["--select", `fqn:shop.${PARENT},package:shop,resource_type:model,file:${PARENT}.sql`],
      ...["--indirect-selection", "empty"],
    ]);
    const two = whyOf({ ...red, plan: { ...plan, dbtVersion: "2.0.1" } }).roots[0]?.reproduceArgs;
    expect(two).toContain(PARENT);
  });

  test("says what a retry would build, and which root it leaves alone unless it is forced", () => {
    expect(whyOf(red)).toMatchObject({ retry: { builds: 3, keeps: 1 }, roots: [{ needsForce: false }] });
    const risky = planOf([vertex("model.shop.raw"), vertex(PARENT, ["model.shop.raw"], { afterFailure: "unknown" })]);
    const told = whyOf({ ...red, plan: risky, rows: [raw, failed] });
    expect(told).toMatchObject({ retry: { builds: 0, keeps: 1 }, roots: [{ needsForce: true }] });
    expect(whyOf(input({ rows: [raw] })).retry).toBeNull();
  });

  test("a build that a retry gave a full refresh is done again with one", () => {
    const tasks = red.tasks.map((task) => (task.task === 2 ? { ...task, fullRefresh: true } : task));
    expect(whyOf({ ...red, tasks }).roots[0]?.reproduceArgs).toContain("--full-refresh");
  });

  test("G17: with a full refresh a microbatch model is done again without a window, unless its rows are kept", () => {
    const window = (keepsRows?: boolean) => {
      const batched = planOf([vertex(PARENT, [], { batchSize: "day", ...(keepsRows && { keepsRows }) })]);
      const row = { ...failed, batches: [{ name: "2024-03-01", status: "error" }], startedAtMs: 0 };
      const tasks = red.tasks.map((task) => ({ ...task, fullRefresh: true }));
      const args = whyOf({ ...red, tasks, plan: batched, rows: [row] }).roots[0]?.reproduceArgs;
      return [args?.includes("--full-refresh"), args?.includes("--event-time-start")];
    };
    expect(window()).toEqual([true, false]);
    expect(window(true)).toEqual([true, true]);
  });

  test("a microbatch model is done again with the window of its first build", () => {
    const batched = planOf([vertex(PARENT, [], { batchSize: "day" })]);
    const batches = [
      { name: "2024-03-01", status: "success" },
      { name: "2024-03-02", status: "error" },
    ];
    const rows = [{ ...failed, startedAtMs: Date.UTC(2024, 2, 2, 5), batches }];
    const args = whyOf({ ...red, plan: batched, rows }).roots[0]?.reproduceArgs?.join(" ");
    expect(args).toContain("--event-time-start 2024-03-01T00:00:00 --event-time-end 2024-03-03T00:00:00");
  });

  test("C11: a test that found rows says how many, where dbt keeps them, and how to see some", () => {
    const found = { failures: 3, final: "dead" as const, finalReason: "x", rootCause: TEST };
    const rows = (relation?: string) => [
      raw,
      row(PARENT, "success"),
      row(TEST, "fail", { ...found, ...(relation === undefined ? {} : { relation }) }),
      doomedBy(CHILD, TEST),
    ];
    const [kept] = whyOf(input({ run: ended, rows: rows('"shop"."audit"."t"') })).roots;
    expect(kept).toMatchObject({ failures: 3, relation: '"shop"."audit"."t"', table: null });
    expect(kept?.showArgs?.slice(-4)).toEqual(["--inline", 'select * from "shop"."audit"."t"', "--limit", "5"]);
    expect(kept?.reproduceArgs?.[0]).toBe("test");
    const [unkept] = whyOf(input({ run: ended, rows: rows() })).roots;
    expect(unkept?.showArgs?.slice(0, 1)).toEqual(["show"]);
    expect(unkept?.showArgs?.at(-3)).toMatch(/^fqn:.*resource_type:test/);
  });

  test("B12: a table that may have been replaced before its node failed is never called unchanged", () => {
    const state = (changes: object, message = "Database Error\n  boom") => {
      const made = planOf([vertex("model.shop.raw"), vertex(PARENT, ["model.shop.raw"], changes)]);
      return whyOf({ ...red, plan: made, rows: [raw, { ...failed, message }] }).roots[0]?.table;
    };
    expect(state({ mayFailAfterReplacing: true })).toMatchObject({ state: "perhaps_replaced" });
    expect(state({ mayFailAfterReplacing: true }, "Compilation Error in model orders")?.state).toBe("perhaps_replaced");
    expect(state({ afterFailure: "unknown" })).toMatchObject({ state: "perhaps_replaced" });
    expect(state({})?.words).toContain("dbt does not say so");
    expect(state({}, "Compilation Error in model orders")?.state).toBe("stale");
    for (const table of [state({ mayFailAfterReplacing: true }), state({})])
      expect(table?.words).not.toMatch(/unchanged|untouched|not replaced/);
  });

  test("what stands in the warehouse, over all nodes", () => {
    expect(whyOf(red).tables).toMatchObject({
      fresh: { count: 1, first: ["model.shop.raw"] },
      stale: { count: 1, first: [CHILD] },
      unknown: { count: 1, first: [PARENT] },
    });
  });

  test("a cause that is no vertex's stands with its lines, its advice and the run's own command", () => {
    const cause = {
      kind: "parse" as const,
      sentence: "dbt could not parse the project.",
      nextStep: "Mend it.",
      lines: ["line 3"],
    };
    const tasks = [over(1, { exitCode: 2, inOrder: false, cause })];
    const [root] = whyOf(input({ run: ended, plan: null, tasks })).roots;
    expect(root).toMatchObject({ uniqueId: null, message: cause.sentence, lines: ["line 3"], advice: "Mend it." });
    expect(root?.reproduceArgs?.join(" ")).toBe('build --target prod --vars {"day":"it\'s"} --threads 4');
  });

  test("D19: what AWS refused is no dbt command's to show again", () => {
    const fault = "The run could not go on: AccessDeniedException: ecs:RunTask";
    const [root] = whyOf(input({ run: { ...ended, fault }, rows: [raw], tasks: [over(1)] })).roots;
    expect(root).toMatchObject({ uniqueId: null, message: fault, reproduceArgs: null });
    expect(root?.advice).toContain("Mend what is named there");
  });

  test("of one node: itself, its tests, and what it is doomed by", () => {
    const why = whyOf(red);
    const about = (id: string) => rootsAbout(why, id, red).map((root) => root.uniqueId);
    expect([about(PARENT), about(CHILD), about("model.shop.raw")]).toEqual([[PARENT], [PARENT], []]);
  });
});

describe("why of a run that goes on", () => {
  const waits = (given: WhyInput) =>
    whyOf(given).live!.waits.map(({ for: what, first, until }) => [what, first[0], until]);
  const lost = "lost connection";
  const iso = (ms: number) => new Date(ms).toISOString();

  test("what runs, for how long, and how long it took in the last green run; the late one first", () => {
    const rows = [
      row("model.shop.raw", "started", { startedAtMs: NOW - 60_000 }),
      row(PARENT, "started", { startedAtMs: NOW - 30_000 }),
    ];
    const usualMs = new Map([[PARENT, 5_000]]);
    expect(whyOf(input({ rows, tasks: [live(1)], usualMs })).live?.running).toEqual([
      { uniqueId: PARENT, task: 1, forMs: 30_000, usualMs: 5_000 },
      { uniqueId: "model.shop.raw", task: 1, forMs: 60_000, usualMs: null },
    ]);
  });

  test("who waits for dbt, and for which parent; what failed waits for the end of its build", () => {
    const rows = [raw, row(PARENT, "started", { startedAtMs: NOW })];
    expect(waits(input({ rows, tasks: [live(1)] }))).toEqual([["reach", TEST, null]]);
    const failed = [raw, row(PARENT, "error", { message: lost }), row(TEST, "skipped")];
    expect(waits(input({ rows: failed, tasks: [live(1)] }))).toEqual([
      ["its_build", PARENT, null],
      ["its_build", TEST, null],
      ["reach", CHILD, null],
    ]);
    expect(whyOf(input({ rows: failed, tasks: [live(1)] })).live?.next).toEqual({
      at: null,
      words: "when task 1 has ended",
    });
  });

  test("a retry's delay has its moment, which is that of the next decision", () => {
    const rows = [
      raw,
      row(PARENT, "error", { message: lost, endedAtMs: NOW - 1_000 }),
      row(TEST, "skipped"),
      row(CHILD, "skipped"),
    ];
    const given = input({ rows });
    expect(waits(given)).toEqual([
      ["retry_delay", PARENT, iso(NOW + 4_000)],
      ["parent", TEST, null],
    ]);
    expect(whyOf(given).live?.waits[1]).toMatchObject({ words: `${PARENT} is not good yet`, count: 2 });
    expect(whyOf(given).live?.next.at).toBe(iso(NOW + 4_000));
  });

  test("what the step would launch now is launched with the next turn", () => {
    const rows = [raw, row(PARENT, "error", { message: lost }), row(TEST, "skipped"), row(CHILD, "skipped")];
    const given = input({ rows });
    expect(waits(given)[0]).toEqual(["turn", PARENT, null]);
    expect(whyOf(given).live?.next.words).toBe("with the run's next turn, in seconds");
  });

  test("G4: no place in the execution queue, and why", () => {
    const two = planOf([vertex("a"), vertex("b")], { adapterType: "duckdb" });
    const rows = [claimed(row("a", "error", { message: lost }), 2), row("b", "error", { message: lost })];
    const tasks = [over(1, nodeFailed()), live(2, { kind: "fallback" })];
    const given = input({ plan: two, rows, tasks, policy: { fallbacks: "alone" } });
    expect(whyOf(given).live?.waits).toMatchObject([
      { for: "place", words: "waits for the task that runs: duckdb takes one writing process at a time", first: ["b"] },
      { for: "reach", first: ["a"] },
    ]);
  });

  test("a recovery build that is held back says until when", () => {
    const wide = planOf([vertex("a"), vertex("b"), vertex("c", ["a"]), vertex("d", ["b"])]);
    const rows = [
      row("a", "success", { task: 2 }),
      row("b", "error", { message: lost, endedAtMs: NOW - 1_000 }),
      row("c", "skipped"),
      row("d", "skipped"),
    ];
    const tasks = [over(1, nodeFailed()), over(2, {}, { kind: "fallback" })];
    const run = { ...runOf({ input: { project: "shop" } }), heldSinceMs: NOW - 2_000 };
    expect(waits(input({ plan: wide, rows, tasks, run }))).toContainEqual(["hold", "c", iso(NOW + 3_000)]);
  });

  test("a task that does not start says how often that failed, and when it is tried again", () => {
    const starting = taskRow(1, {
      state: "launching",
      claimedAtMs: NOW - 9_000,
      launchFailures: 2,
      lastLaunchFailure: "RESOURCE:CPU",
      nextLaunchAtMs: NOW + 7_000,
    });
    const { tasks, next, waits: none } = whyOf(input({ plan: null, tasks: [starting] })).live!;
    expect(tasks).toMatchObject([{ task: 1, forMs: 9_000, words: "2 starts of it failed, the last: RESOURCE:CPU" }]);
    expect(next.at).toBe(iso(NOW + 7_000));
    expect(none).toMatchObject([{ for: "plan" }]);
  });

  test("D21: a task for which there is no room says so, and that it waits", () => {
    const waiting = taskRow(1, {
      state: "launching",
      launchFailures: 3,
      capacityRefusals: 2,
      lastLaunchFailure: "Capacity is unavailable at this time",
      nextLaunchAtMs: NOW + 7_000,
    });
    const { tasks, next } = whyOf(input({ plan: null, tasks: [waiting] })).live!;
    const words =
      "ECS has no room for it: 2 launches refused, the last: Capacity is unavailable at this time; it waits within the run's time";
    expect(tasks).toMatchObject([{ task: 1, words }]);
    expect(next.at).toBe(iso(NOW + 7_000));
  });

  test("what has failed so far is a root of it already, with what it holds back", () => {
    const rows = [raw, row(PARENT, "error", { message: lost }), row(TEST, "skipped"), row(CHILD, "skipped")];
    expect(whyOf(input({ rows })).roots).toMatchObject([{ uniqueId: PARENT, notBuilt: { count: 2 } }]);
  });

  test("a run that is being stopped says so", () => {
    const run = {
      ...runOf({ input: { project: "shop" } }),
      stopRequestedAtMs: NOW - 1,
      stopReason: "anna asked for it.",
    };
    expect(whyOf(input({ run, rows: [raw], tasks: [live(1)] })).live?.next.words).toMatch(/being stopped.*anna/);
  });
});
