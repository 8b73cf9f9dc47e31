import { describe, expect, test } from "vitest";
import { counted } from "#core/counted.ts";
import { summarise } from "#core/run/reporting/summary.ts";
import { stopWords } from "#core/run/watching/task-stop.ts";
import { nodeTable } from "../../cli/view/node-table.ts";
import { plain } from "../../cli/view/style.ts";
import { statusText, verdictText } from "../../cli/view/summary-text.ts";
import { taskRow } from "../support/ledger-rows.ts";
import { dataTest, over, planOf, row, runOf, vertex } from "../support/run-builders.ts";

const SIZE = { width: 120, height: 50 };
const NOW = 1_700_000_000_000;
const dead = { final: "dead" as const, finalReason: "Not tried again." };
const red = (rows: ReturnType<typeof row>[], vertices = rows.map((one) => vertex(one.uniqueId))) =>
  summarise({
    run: { ...runOf(), state: "red", verdict: "red", endedAtMs: NOW },
    plan: planOf(vertices),
    rows,
    tasks: [over(1)],
    nowMs: NOW,
  });

describe("the words of a summary", () => {
  test("causes that differ in their vertex alone are one line with their names and a count", () => {
    const message = (id: string) =>
      `Database Error in model ${id} (models/${id}.sql)\n  relation "raw.orders" does not exist`;
    const ids = Array.from({ length: 8 }, (_, n) => `model.shop.m${n}`);
    const rows = ids.map((id) => row(id, "error", { message: message(id), ...dead }));
    const lines = verdictText(red(rows), plain).filter((line) => line.includes("cause"));
    expect(lines).toEqual([
      "  cause  m0, m1, m2, 5 more failed: Database Error in model model.shop.m0 (models/model.shop.m0.sql)",
    ]);
    expect(red(rows).causes).toHaveLength(8);
  });

  test("causes that say different things stay apart", () => {
    const rows = ["x", "y"].map((id) => row(`model.shop.${id}`, "error", { message: `no column ${id}`, ...dead }));
    expect(verdictText(red(rows), plain).filter((line) => line.includes("  cause  "))).toHaveLength(2);
  });

  test("58 failed tests are a few lines and a number, and no line says one of many", () => {
    const tests = Array.from({ length: 58 }, (_, n) => dataTest(`test.shop.t${n}.abc`, ["model.shop.a"]));
    const rows = [
      row("model.shop.a", "success"),
      ...tests.map((one) =>
        row(one.uniqueId, "fail", { failures: 1, tryTasks: [1, 2], message: `Got 1 result ${one.name}`, ...dead }),
      ),
    ];
    const text = statusText(red(rows, [vertex("model.shop.a"), ...tests]), SIZE, plain, NOW);
    expect(text.filter((line) => line.startsWith("  found"))).toHaveLength(7);
    expect(text).toContain("  … and 51 more found: use --json for all");
    expect(text).toContain("  … and 51 more retried: use --json for all");
    expect(text.join("\n")).not.toMatch(/\b1 (?:more )?(?:causes|failures|hooks|vertices|tests|nodes)\b/);
  });

  test("what was tried again and not built in the end is said in the words of the counts", () => {
    const summary = red([row("model.shop.a", "skipped", { tryTasks: [1, 2], ...dead })]);
    const told = (kind: "not_built" | "doomed") =>
      verdictText({ ...summary, nodes: summary.nodes.map((node) => ({ ...node, class: kind, tries: 2 })) }, plain);
    expect(told("not_built")).toContain("  retried  a: 2 tries, not built");
    expect(told("doomed")).toContain("  retried  a: 2 tries, upstream failed");
  });

  test("one more than is shown is one more cause", () => {
    const rows = Array.from({ length: 11 }, (_, n) =>
      row(`model.shop.m${n}`, "error", { message: `no ${n}`, ...dead }),
    );
    expect(verdictText(red(rows), plain)).toContain("  … and 1 more cause: use --json for all of them");
    expect([counted(1, "saved query"), counted(2, "saved query"), counted(2, "day"), counted(0, "hook")]).toEqual([
      "1 saved query",
      "2 saved queries",
      "2 days",
      "0 hooks",
    ]);
  });

  test("a stopped run says so once", () => {
    const summary = {
      ...red([row("model.shop.a", "success")]),
      state: "stopped",
      verdict: "Stopped: stopped by anna.",
      causes: [],
    };
    expect(verdictText(summary, plain)[0]).toBe("✘ stopped  by anna.");
  });

  test("two nodes of one name are told apart by their package", () => {
    const rows = [
      row("model.shop.same", "success"),
      row("model.other.same", "success"),
      row("model.shop.own", "success"),
    ];
    const names = nodeTable(red(rows).nodes, SIZE, plain, NOW).map((line) => line.split(/\s+/)[1]);
    expect(names).toEqual(["shop.same", "other.same", "own"]);
  });

  test("a node that is red by a test which is also on another model says on which", () => {
    const vertices = [
      vertex("model.shop.orders"),
      vertex("model.shop.customers"),
      dataTest("test.shop.relationships_x.1", ["model.shop.orders", "model.shop.customers"]),
    ];
    const rows = [
      row("model.shop.orders", "success"),
      row("model.shop.customers", "success"),
      row("test.shop.relationships_x.1", "fail", dead),
    ];
    const [orders, customers] = nodeTable(red(rows, vertices).nodes, { width: 160, height: 9 }, plain, NOW);
    expect(orders).toContain("failed: relationships_x (also on customers)");
    expect(customers).toContain("failed: relationships_x (also on orders)");
  });
});

describe("a run that goes on", () => {
  const going = (task: Partial<ReturnType<typeof taskRow>>, plan = planOf([vertex("model.shop.a")])) =>
    summarise({ run: runOf(), plan, rows: [], tasks: [taskRow(1, task)], nowMs: NOW });

  test("says that dbt still reads the project, not that nothing is planned", () => {
    const text = verdictText(
      summarise({
        run: runOf(),
        plan: null,
        rows: [],
        tasks: [taskRow(1, { state: "running", startedAtMs: NOW - 8_000 })],
        nowMs: NOW,
      }),
      plain,
      NOW,
    );
    expect(text.join("\n")).toContain("not planned yet: dbt reads the project");
    expect(text.join("\n")).not.toContain("nothing planned");
  });

  test("shows dbt's time so far", () => {
    expect(going({ state: "running", startedAtMs: NOW - 8_000, heartbeatAtMs: NOW }).timings.dbtMs).toBe(8_000);
  });

  test("D10: says how long a container has been silent, and what will be done about it", () => {
    const silent = going({ state: "running", startedAtMs: NOW - 300_000, heartbeatAtMs: NOW - 90_000 });
    expect(verdictText(silent, plain, NOW).join("\n")).toMatch(
      /task 1 \(producer\) has been silent for 1 min 30 s: .* ask ECS/,
    );
    const beating = going({ state: "running", startedAtMs: NOW - 300_000, heartbeatAtMs: NOW - 5_000 });
    expect(verdictText(beating, plain, NOW).join("\n")).not.toContain("silent");
  });

  test("says that a container is on its way", () => {
    expect(verdictText(going({ state: "launching" }), plain, NOW)).toContain(
      "  task 1 (producer) is being started: its container has not begun",
    );
  });
});

test.each([
  [
    { stoppedReason: "Essential container in task exited", exitCode: 137, outOfMemory: false },
    "its container was killed (SIGKILL, exit code 137)",
  ],
  [
    { stoppedReason: "Essential container in task exited", exitCode: 139, outOfMemory: false },
    "its container crashed (SIGSEGV, exit code 139)",
  ],
  [
    { stoppedReason: "Essential container in task exited", exitCode: 70, outOfMemory: false },
    "its container ended with exit code 70",
  ],
  [
    { stoppedReason: "Your Spot Task was interrupted.", exitCode: 143, outOfMemory: false },
    "its container was ended by SIGTERM (exit code 143): Your Spot Task was interrupted",
  ],
  [{ stoppedReason: "OutOfMemoryError", exitCode: 137, outOfMemory: true }, "its container ran out of memory"],
  [{ stoppedReason: null, exitCode: null, outOfMemory: false }, "its container ended without a word"],
])("D4: %j reads: %s", (stop, words) => {
  expect(stopWords(stop)).toBe(words);
});

describe("the words of a run of several rounds", () => {
  const opening = { round: 1, by: "person" as const, atMs: NOW, downstream: false, force: false, fullRefresh: false };
  const past = { round: 1, state: "red" as const, verdict: "2 vertices are not good: a", startedAtMs: 1, endedAtMs: 2 };

  test("G8, G25: what went before, who opened the round and why, and what counts by whose word", () => {
    const mark = { as: "good" as const, by: "ada", atMs: NOW, reason: "loaded by hand" };
    const summary = summarise({
      run: runOf({
        round: 2,
        state: "green",
        verdict: "Every one of 1 vertices is good, 1 of them by a person's word (green by hand).",
        endedAtMs: NOW,
        rounds: [past],
        opening: { ...opening, who: "ada", reason: "granted", nodes: ["model.shop.orders"] },
      }),
      plan: planOf([vertex("model.shop.orders")]),
      rows: [{ ...row("model.shop.orders", "error", { final: "dead", finalReason: "tries" }), ownerTask: 2, mark }],
      tasks: [over(1), over(2, {}, { round: 2 })],
      nowMs: NOW,
    });
    const lines = verdictText(summary, plain);
    expect(lines).toContain("  round 1  red: 2 vertices are not good: a");
    expect(lines).toContain("  round 2  opened by ada for orders: granted");
    expect(lines).toContain("  by hand  orders good, ada 2023-11-14 22:13 UTC: loaded by hand");
  });

  test("G8, G9: by Redrive, by the policy, or as a new run", () => {
    const opened = (changes: Parameters<typeof runOf>[0]) =>
      verdictText(
        summarise({ run: runOf(changes), plan: planOf([vertex("a")]), rows: [], tasks: [over(1)], nowMs: NOW }),
        plain,
      ).join("\n");
    const second = { round: 2, rounds: [past] };
    expect(opened({ ...second, opening: { ...opening, by: "redrive" } })).toContain("opened by Redrive on the run's");
    expect(opened({ ...second, opening: { ...opening, by: "run_retry" } })).toContain("round 2  opened by runRetries");
    const resumed = opened({ opening: { ...opening, by: "resume" as const, who: "ada" }, resumed: "run-0" });
    expect(resumed).toContain("goes on with run run-0");
  });
});
