import { describe, expect, test } from "vitest";
import type { NodeReport } from "#core/run/reporting/report.ts";
import { summarise } from "#core/run/reporting/summary.ts";
import { LiveRegion } from "../../cli/view/live-region.ts";
import { firstLine, nodeName, nodeTable } from "../../cli/view/node-table.ts";
import { PhaseBoard } from "../../cli/view/phases.ts";
import { lineView } from "../../cli/view/run-view.ts";
import { ansi, duration, paintFor, plain } from "../../cli/view/style.ts";
import { over, planOf, row, runOf, vertex } from "../support/run-builders.ts";

const at = (seconds: number) => new Date(seconds * 1000).toISOString();

function node(name: string, changes: Partial<NodeReport>): NodeReport {
  const nothing = {
    status: null,
    tries: 0,
    startedAt: null,
    finishedAt: null,
    message: null,
    rootCause: null,
    reason: null,
    failures: null,
    reused: false,
    relation: null,
  };
  return {
    uniqueId: `model.shop.${name}`,
    resourceType: "model",
    class: "waiting",
    ...nothing,
    outcome: null,
    testsOutcome: null,
    tests: [],
    batches: [],
    ...changes,
  };
}

const built = { class: "good", status: "success", tries: 1, startedAt: at(10), finishedAt: at(11.24) } as const;
const nodes = [
  node("stg_orders", { ...built, resourceType: "seed", outcome: "green" }),
  node("orders", { ...built, tries: 2, tests: [{ uniqueId: "test.shop.t.1", status: "started", class: "running" }] }),
  node("customers", { class: "running", status: "started", tries: 1, startedAt: at(12) }),
  node("broken", {
    ...built,
    class: "failed",
    status: "error",
    message: "Database Error in model broken (models/broken.sql)\n  no such column: x\n  compiled code at …",
  }),
  node("tested", {
    ...built,
    tests: [{ uniqueId: "test.shop.unique_tested_id.abc", status: "fail", class: "failed" }],
  }),
  node("warned", { ...built, outcome: "green", tests: [{ uniqueId: "test.shop.w.1", status: "warn", class: "good" }] }),
  node("child", { class: "doomed", status: "skipped", reason: "Upstream failed: model.shop.broken" }),
  node("later", {}),
];

describe("the table of nodes", () => {
  test("D4: a good node that was rebuilt after a kill says so", () => {
    const rebuilt = node("orders", { ...built, outcome: "green", reason: "Rebuilt after a kill." });
    expect(nodeTable([rebuilt], { width: 110, height: 20 }, plain, 15_000).join("\n")).toContain(
      "rebuilt after a kill",
    );
  });

  test("golden: one line a node, with state, time, tries and what is wrong", () => {
    expect(nodeTable(nodes, { width: 100, height: 20 }, plain, 15_000)).toEqual([
      "✔ stg_orders        seed     green                 1.2 s",
      "▸ orders            model    testing               1.2 s  2 tries",
      "▸ customers         model    running               3.0 s",
      "✘ broken            model    red                   1.2 s  no such column: x",
      "✘ tested            model    red                   1.2 s  failed: unique_tested_id",
      "✔ warned            model    green                 1.2 s  1 warning",
      "✘ child             model    upstream failed              Upstream failed: model.shop.broken",
      "· later             model    waiting",
    ]);
  });

  test("an ephemeral has nothing to do; a microbatch model says how many of its batches are missing", () => {
    const batches = ["success", "error", "skipped", "success"].map((status, day) => ({
      name: `2024-03-0${day}`,
      status,
    }));
    const shown = [
      node("eph", { class: "good", status: "nothing to build" }),
      node("days", { ...built, class: "failed", status: "partial success", message: "PARTIAL SUCCESS (2/4)", batches }),
    ];
    expect(nodeTable(shown, { width: 110, height: 20 }, plain, 15_000)).toEqual([
      "- eph               model    nothing to do",
      "✘ days              model    red                   1.2 s  2 of 4 batches not built  PARTIAL SUCCESS (2/4)",
    ]);
  });

  test("no line is wider than the terminal, colours aside", () => {
    const long = nodes.map((one) => ({ ...one, message: "y".repeat(500) }));
    for (const line of nodeTable(long, { width: 80, height: 20 }, plain, 15_000))
      expect(line.length).toBeLessThanOrEqual(80);
  });

  test("more nodes than lines: what runs and what failed stays, the rest is counted", () => {
    const many = [...Array.from({ length: 50 }, (_, index) => node(`waiting_${index}`, {})), ...nodes];
    const lines = nodeTable(many, { width: 100, height: 8 }, plain, 15_000);
    expect(lines).toHaveLength(8);
    expect(lines.join("\n")).toMatch(/customers[\s\S]*broken/);
    expect(lines.at(-1)).toMatch(/… and \d+ .*waiting/);
  });

  test("names: versions are kept, a test's hash is not", () => {
    expect(nodeName("model.shop.orders.v2")).toBe("orders.v2");
    expect(nodeName("test.shop.unique_orders_id.0a1b2c3d4e")).toBe("unique_orders_id");
  });

  test("what is wrong stands in the line after the one that names the node, in dbt 1 and dbt 2", () => {
    const said = "Database Error in model days (models/days.sql)\n  Binder Error: no such column";
    for (const message of [said, `[error] [DbDriverFailed (dbt1308)]: ${said}`])
      expect(firstLine(message)).toBe("Binder Error: no such column");
  });

  test("durations", () => {
    expect([40, 1240, 9_960, 61_000, 3_725_000].map(duration)).toEqual([
      "0.0 s",
      "1.2 s",
      "10 s",
      "1 min 01 s",
      "62 min 05 s",
    ]);
  });
});

describe("where it goes", () => {
  test("colours only on a terminal, and not with NO_COLOR", () => {
    const terminal = { isTTY: true, write: () => true };
    expect(paintFor(terminal, {})).toBe(ansi);
    expect(paintFor(terminal, { NO_COLOR: "1" })).toBe(plain);
    expect(paintFor({ write: () => true }, {})).toBe(plain);
  });

  test("a live region moves up by what it drew before", () => {
    const written: string[] = [];
    const region = new LiveRegion({ isTTY: true, write: (text) => written.push(text) });
    region.draw(["a", "b"]);
    region.draw(["c"]);
    expect(written[1]).toBe("\u001b[2A\rc\u001b[K\n\u001b[J");
    region.close();
    region.draw(["d"]);
    expect(written.at(-1)).toBe("d\u001b[K\n\u001b[J");
  });

  test("on a pipe phases are plain lines with their times", () => {
    const written: string[] = [];
    let nowMs = 0;
    const board = new PhaseBoard({ terminal: { write: (text) => written.push(text) }, paint: plain, now: () => nowMs });
    board.begin("installing");
    nowMs = 2500;
    board.end("installing", "dbt");
    board.end("starting");
    board.close();
    expect(written).toEqual(["installing …\n", "✔ installing      2.5 s  dbt\n"]);
  });

  test("one phase ends as the next begins, once: no two are told at the same time", () => {
    const written: string[] = [];
    const board = new PhaseBoard({ terminal: { write: (text) => written.push(text) }, paint: plain, now: () => 0 });
    board.begin("planning");
    for (const note of ["run 1", "run 1 again"]) board.follow("planning", "building", note);
    board.end("planning", "late");
    expect(written).toEqual(["planning …\n", "✔ planning        0.0 s  run 1\n", "building …\n"]);
  });

  test("on a pipe a run is one line for each change, and nothing without one", () => {
    const written: string[] = [];
    const view = lineView({ terminal: { write: (text) => written.push(text) }, paint: plain, now: () => 15_000 });
    const plan = planOf([vertex("model.shop.orders")]);
    const look = (status: string) =>
      summarise({ run: runOf(), plan, rows: [row("model.shop.orders", status)], tasks: [over(1)], nowMs: 15_000 });
    view.show(look("success"));
    view.show(look("success"));
    view.show(look("error"));
    expect(written.map((line) => line.slice(0, 8))).toEqual(["task 1 (", "✔ orders", "✘ orders"]);
  });

  test("on a pipe two nodes of one name are told apart by their package, as in the table", () => {
    const written: string[] = [];
    const view = lineView({ terminal: { write: (text) => written.push(text) }, paint: plain, now: () => 15_000 });
    const ids = ["model.shop.stg", "model.crumbs.stg", "model.shop.orders"];
    const rows = ids.map((id) => row(id, "success"));
    view.show(
      summarise({ run: runOf(), plan: planOf(ids.map((id) => vertex(id))), rows, tasks: [over(1)], nowMs: 15_000 }),
    );
    expect(written.slice(1).map((line) => line.split(/\s+/)[1])).toEqual(["shop.stg", "crumbs.stg", "orders"]);
  });
});
