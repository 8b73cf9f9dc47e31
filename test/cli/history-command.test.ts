import { describe, expect, it } from "vitest";
import type { RunIndexRow } from "#core/contracts/project-rows.ts";
import { NO_COUNTS } from "#core/contracts/run-tally.ts";
import { runRow } from "../support/ledger-rows.ts";
import { planOf, vertex, row as vertexRow } from "../support/run-builders.ts";
import { fakeStack, stepwatch } from "./fake-context.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const FIRST_MS = Date.parse("2026-01-01T03:00:00Z");

/** Run n of the project, one a day, each with its minutes. */
const row = (n: number, minutes: number, more: Partial<RunIndexRow> = {}): RunIndexRow => ({
  ...{ project: "shop", runId: `run-${n}`, executionArn: "arn" },
  ...{ startedAtMs: FIRST_MS + n * DAY_MS, endedAtMs: FIRST_MS + n * DAY_MS + minutes * 60_000 },
  ...{ state: "green", tally: { counts: { ...NO_COUNTS, good: 5 }, retried: 0, dbtMs: 1, usd: 0.012 } },
  ...more,
});

const newestFirst = [
  row(6, 1, { state: "running" }),
  row(5, 20),
  row(4, 20, { tally: { counts: NO_COUNTS, retried: 2, dbtMs: 1, usd: 0.014 } }),
  row(3, 3, { state: "red" }),
  row(2, 0, { state: "skipped" }),
  row(1, 10),
  row(0, 10),
];

const listRuns = async (_project: string, limit: number) => newestFirst.slice(0, limit);

describe("history", () => {
  it("of a project: verdicts, times of what is good, trend, flakiness and cost, newest first", async () => {
    const end = await stepwatch(["history", "shop"], { stack: fakeStack([], { listRuns }) });
    expect(end.exitCode).toBe(0);
    expect(end.stdout.split("\n")).toEqual([
      "shop: 5 runs, 4 good, 1 of them after a retry",
      "  took   10 min 00 s (half of the good ones), 20 min 00 s (95 %)  ▅▅·██  100 % slower in the newer half",
      "  cost   estimated $0.062 in 5 runs, $0.012 each",
      "",
      "run-5  green     2026-01-06 03:00   20 min 00 s  $0.012",
      "run-4  green     2026-01-05 03:00   20 min 00 s  $0.014  2 retried",
      "run-3  red       2026-01-04 03:00    3 min 00 s  $0.012",
      "run-1  green     2026-01-02 03:00   10 min 00 s  $0.012",
      "run-0  green     2026-01-01 03:00   10 min 00 s  $0.012",
      "",
    ]);
  });

  it("H7: of a project: without commands of dbt's, whose times say nothing of how long a build takes", async () => {
    const rows = [row(3, 1, { job: "dbt compile" }), row(2, 9, { job: "nightly" }), row(1, 10)];
    const stack = fakeStack([], { listRuns: async () => rows });
    const { stdout } = await stepwatch(["history", "shop", "--json"], { stack });
    expect(JSON.parse(stdout).runs.map(({ runId }: { runId: string }) => runId)).toEqual(["run-2", "run-1"]);
  });

  it("of a project as JSON, of so many runs; rows of an earlier version have no numbers", async () => {
    const stack = fakeStack([], { listRuns: async () => [{ ...row(1, 10), tally: undefined }] });
    const end = await stepwatch(["history", "shop", "--last", "3", "--json"], { stack });
    expect(JSON.parse(end.stdout)).toEqual({
      ...{ contract: 1, project: "shop", node: null, ended: 1, good: 1, flaky: 0 },
      ...{ p50Ms: 600_000, p95Ms: 600_000, slower: null },
      runs: [
        {
          ...{ runId: "run-1", state: "green", isGood: true, startedAt: "2026-01-02T03:00:00.000Z" },
          ...{ tookMs: 600_000, retried: false, tries: null, usd: null },
        },
      ],
    });
  });

  it("of a node: its word, time and tries in each run; what a run adopted has the time of another one", async () => {
    const orders = "model.shop.orders";
    const plan = planOf([vertex(orders)]);
    const own = (n: number, status: string, more: object = {}) =>
      vertexRow(orders, status, { startedAtMs: FIRST_MS + n * DAY_MS + 5, executionSeconds: 2, ...more });
    const rows: Record<string, ReturnType<typeof own>> = {
      "run-0": own(0, "success", { tryTasks: [1] }),
      "run-1": own(1, "success", { tryTasks: [1, 2] }),
      "run-3": own(3, "error", { tryTasks: [1, 2], final: "dead" }),
      "run-4": own(0, "success", { tryTasks: [1] }),
      "run-5": own(5, "skipped", { final: "doomed", tryTasks: [], executionSeconds: undefined }),
    };
    const run = runRow({ project: "shop", runId: "run-5" }, { planKey: "plan" });
    const readSomeVertices = async ({ runId }: { runId: string }) => (rows[runId] ? [rows[runId]] : []);
    const stack = fakeStack([{ run, plan }], { listRuns, readSomeVertices });
    const { stdout } = await stepwatch(["history", "shop", "orders"], { stack });
    expect(stdout.split("\n").slice(0, 8)).toEqual(
      [
        "model.shop.orders: 5 runs, 3 good, 1 of them after a retry",
        "  took   2.0 s (half of the good ones), 2.0 s (95 %)  ██···",
        "",
        "run-5  upstream failed  2026-01-06 03:00            ",
        "run-4  good      2026-01-05 03:00",
        "run-3  failed    2026-01-04 03:00         2.0 s  2 tries",
        "run-1  good      2026-01-02 03:00         2.0 s  2 tries",
        "run-0  good      2026-01-01 03:00         2.0 s",
      ].map((line) => line.trimEnd()),
    );
    const unknown = await stepwatch(["history", "shop", "nowhere"], { stack });
    expect(unknown).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("have no node nowhere") });
  });

  it("of a project without a run that has ended, and of too many", async () => {
    const running = async () => newestFirst.slice(0, 1);
    const none = await stepwatch(["history", "shop"], { stack: fakeStack([], { listRuns: running }) });
    expect(none).toMatchObject({ exitCode: 0, stdout: "shop has no history yet: no run of it has ended.\n" });
    const many = await stepwatch(["history", "shop", "--last", "101"], { stack: fakeStack([], { listRuns }) });
    expect(many).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("At most 100.") });
  });
});
