import { describe, expect, test } from "vitest";
import type { VertexMark } from "#core/contracts/ledger.ts";
import type { RoundRequest } from "#core/contracts/rounds.ts";
import { workKey } from "#core/names.ts";
import { over, row, runOf } from "../support/run-builders.ts";
import { type FakeStack, fakeStack, known, type Look, stepwatch } from "./fake-context.ts";
import { begun, green, plan, red } from "./looks.ts";

const inRoundTwo: Look = { ...green, run: { ...green.run!, round: 2 } };

/** A stack that shows these looks, and what commands wrote to its ledger. */
function watched(looks: readonly Look[], status = "FAILED") {
  const requests: RoundRequest[] = [];
  const marks: { uniqueId: string; mark: VertexMark | null }[] = [];
  const stack = fakeStack(looks, {
    requestRound: async (_, request) => requests.push(request) > 0,
    setMark: async (_, uniqueId, __, mark) => void marks.push({ uniqueId, mark }),
  });
  known(stack, "run-1", { status });
  stack.executions.set(red.run!.executionArn, { status });
  return { stack, requests, marks };
}

const redriven = (stack: FakeStack) => stack.executions.redriven.map((arn) => arn.split(":").at(-1));

const WELL = { exitCode: 0, cause: { kind: "none" as const, sentence: "It ended well.", lines: [] } };
const FAILED = { exitCode: 1, cause: { kind: "unexplained_exit" as const, sentence: "No such macro.", lines: [] } };

describe("retry", () => {
  test("G8: says what will be built and why, redrives the run, and follows its next round", async () => {
    const { stack, requests } = watched([red, red, inRoundTwo]);
    const end = await stepwatch(["retry", "run-1", "--reason", "granted"], { stack });
    expect(end.exitCode).toBe(0);
    expect(end.stderr).toContain("Retry of run run-1 of shop (red), by jane:");
    expect(end.stderr).toMatch(/builds\s+orders \(failed or cut off\)/);
    expect(end.stderr).toMatch(/builds\s+customers \(not built yet/);
    expect(end.stdout).toContain("✔ green");
    expect(requests).toEqual([
      expect.objectContaining({ round: 1, by: "person", who: "jane", reason: "granted", force: false }),
    ]);
    expect(requests[0]).not.toHaveProperty("nodes");
    expect(redriven(stack)).toEqual(["run-1"]);
  });

  test("G8 H13: says which step it runs, where that is what failed", async () => {
    const step = { continueOnFailure: false, always: false };
    const after = [
      { ...step, command: "docs generate" },
      { ...step, command: "run-operation grant" },
    ];
    const job = { name: "nightly", before: [], after, lock: "target" as const };
    const task = { kind: "command" as const, startedAtMs: 1 };
    const { stack } = watched([
      {
        ...green,
        run: { ...red.run!, settings: { ...red.run!.settings, job } },
        tasks: [over(1), over(2, WELL, { ...task, step: "after-1" }), over(3, FAILED, { ...task, step: "after-2" })],
      },
      inRoundTwo,
    ]);
    const end = await stepwatch(["retry", "run-1", "--no-follow"], { stack });
    expect(end.exitCode).toBe(0);
    expect(end.stderr).toMatch(
      /keeps\s+3 vertices that are good\n\s+runs\s+dbt run-operation grant \(a step after the build\)/,
    );
    expect(end.stderr).not.toContain("docs generate");
  });

  test("G8 H7: of a run of one command: says that, and nothing of a build", async () => {
    const run = { ...red.run!, input: { ...red.run!.input, command: ["run-operation", "grant"] } };
    const tasks = [over(1, FAILED, { kind: "command", step: "command", startedAtMs: 1 })];
    const { stack } = watched([{ run, tasks, vertices: [] }, inRoundTwo]);
    const end = await stepwatch(["retry", "run-1", "--no-follow"], { stack });
    expect(end.exitCode).toBe(0);
    expect(end.stderr).toContain("by jane:\n  runs        dbt run-operation grant\n");
  });

  test("G25: --node with its flags; a name that the run does not have is refused", async () => {
    const { stack, requests } = watched([red, inRoundTwo]);
    const flags = ["--node", "orders", "--downstream", "--full-refresh", "--size", "producer"];
    await stepwatch(["retry", "run-1", ...flags, "--no-follow"], { stack });
    expect(requests).toMatchObject([
      { nodes: ["model.shop.orders"], downstream: true, fullRefresh: true, size: "producer" },
    ]);
    for (const [line, words] of [
      [["--node", "oders"], "The run run-1 has no node oders."],
      [["--downstream"], "--downstream says what is built beside --node"],
      [["--size", "huge"], "Allowed choices are producer, queue."],
      [["--ignore-test", "orders"], "that is no test"],
    ] as const) {
      const refused = watched([red]);
      const end = await stepwatch(["retry", "run-1", ...line], { stack: refused.stack });
      expect(end).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(words) });
      expect([refused.requests, redriven(refused.stack)]).toEqual([[], []]);
    }
  });

  test("G17: --full-refresh of a run with a window of its own is refused, with the command that goes on", async () => {
    const run = red.run!;
    const window = { eventTimeStart: "2026-01-01", eventTimeEnd: "2026-01-02" };
    for (const windowed of [
      { ...run, input: { ...run.input, ...window } },
      { ...run, settings: { ...run.settings, build: { ...run.settings.build, fullRefresh: false, ...window } } },
    ]) {
      const { stack, requests } = watched([{ ...red, run: windowed }, { ...red, run: windowed }, inRoundTwo]);
      const end = await stepwatch(["retry", "run-1", "--full-refresh"], { stack });
      expect(end.exitCode).toBe(2);
      expect(end.stderr).toContain(
        '--full-refresh: run run-1 has eventTimeStart = "2026-01-01": beside a full refresh dbt would leave microbatch tables with the rows of this window alone.',
      );
      expect(end.stderr).toContain("npx stepwatch retry run-1");
      expect([requests, redriven(stack)]).toEqual([[], []]);
      expect((await stepwatch(["retry", "run-1", "--no-follow"], { stack })).exitCode).toBe(0);
    }
  });

  test("G17: --full-refresh leaves the window of the run's dates away, but not where a model that is never replaced needs it", async () => {
    const dates = { format: "date" as const, eventTime: "day" as const };
    const run = { ...red.run!, settings: { ...red.run!.settings, dates } };
    const good = watched([{ ...red, run }, inRoundTwo]);
    await stepwatch(["retry", "run-1", "--full-refresh", "--no-follow"], { stack: good.stack });
    expect(good.requests).toMatchObject([{ fullRefresh: true }]);
    const vertices = plan.vertices.map((one, at) => (at === 0 ? { ...one, keepsRows: true } : one));
    const kept = watched([{ ...red, run, plan: { ...plan, vertices } }]);
    const end = await stepwatch(["retry", "run-1", "--full-refresh"], { stack: kept.stack });
    expect(end).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining(" has full_refresh: false, and would miss"),
    });
    expect(kept.requests).toEqual([]);
  });

  test("G25: a node whose upstream is not good is refused before anything is started, with the command that helps", async () => {
    const { stack, requests } = watched([red]);
    const end = await stepwatch(["retry", "run-1", "--node", "customers"], { stack });
    expect(end.exitCode).toBe(2);
    expect(end.stderr).toContain("model.shop.customers can not be built: model.shop.orders");
    expect(end.stderr).toContain("npx stepwatch retry run-1 --node model.shop.orders --downstream");
    expect(requests).toEqual([]);
  });

  test("G25: a node whose views Postgres would drop with it is refused before anything is started, unless it is forced", async () => {
    const views = plan.vertices.map((one) => ({
      ...one,
      ...(/customers$/.test(one.uniqueId) && { materialized: "view" }),
    }));
    const look = { ...green, plan: { ...plan, vertices: views } };
    const retried = async (seen: Look, ...flags: string[]) => {
      const { stack } = watched([seen], "SUCCEEDED");
      const end = await stepwatch(["retry", "run-1", "--node", "orders", "--no-follow", ...flags], { stack });
      return { ...end, started: stack.executions.started.length };
    };
    const refused = await retried(look, "--full-refresh");
    expect(refused).toMatchObject({ exitCode: 2, started: 0 });
    expect(refused.stderr).toMatch(
      /^postgres drops a view with the table that it reads, .*: model\.shop\.customers\. /,
    );
    expect(refused.stderr).toContain("npx stepwatch retry run-1 --node model.shop.orders --downstream --full-refresh");
    expect(await retried(look, "--downstream")).toMatchObject({ exitCode: 0, started: 1 });
    expect(await retried({ ...look, plan: { ...look.plan, adapterType: "snowflake" } })).toMatchObject({ started: 1 });
    const forced = await retried(look, "--force");
    expect(forced).toMatchObject({ exitCode: 0, started: 1 });
    expect(forced.stderr).toMatch(/drops\s+customers \(with the table that they read/);
  });

  test("G25: --ignore-test marks the test, by name and reason, and builds what it gated", async () => {
    const id = "test.shop.unique_orders_id.abc123";
    const failing = [
      row("model.shop.orders", "success"),
      row(id, "fail", { message: "Got 3 results", final: "dead", finalReason: "It found rows.", rootCause: id }),
      row("model.shop.customers", "skipped", { final: "doomed", finalReason: "Upstream failed", rootCause: id }),
    ];
    const { stack, marks, requests } = watched([{ ...red, vertices: failing }, inRoundTwo]);
    const end = await stepwatch(["retry", "run-1", "--ignore-test", "unique_orders_id", "--no-follow"], { stack });
    expect(end.exitCode).toBe(0);
    expect(end.stderr).toMatch(/builds\s+customers \(not built yet/);
    expect(marks).toMatchObject([{ uniqueId: id, mark: { as: "skip", by: "jane" } }]);
    expect(requests).toHaveLength(1);
  });

  test("G25: where all that is not good is marked good there is nothing to build, and the verdict follows all the same", async () => {
    const mark = { as: "good" as const, by: "jane", atMs: 9_000_000_000_000, reason: "looked" };
    const ids = ["model.shop.orders", "model.shop.customers"];
    const marked = (red.vertices ?? []).map((one) => (one.status === "success" ? one : { ...one, mark }));
    const missing = ids
      .filter((id) => !marked.some((one) => one.uniqueId === id))
      .map((id) => row(id, "error", { mark }));
    const { stack, requests } = watched([{ ...red, vertices: [...marked, ...missing] }, inRoundTwo]);
    const end = await stepwatch(["retry", "run-1", "--no-follow"], { stack });
    expect(end.stderr).not.toContain("no retry changes");
    expect(requests).toHaveLength(1);
  });

  test("G28: where nothing may be built again by itself it says why, and names mark and --force", async () => {
    const risky = plan.vertices.map((one) => ({ ...one, afterFailure: "unknown" as const, safeToRepeat: false }));
    const unsafe = { ...red, plan: { ...plan, vertices: risky } };
    const { stack, requests } = watched([unsafe]);
    const end = await stepwatch(["retry", "run-1"], { stack });
    expect(end.exitCode).toBe(2);
    expect(end.stderr).toContain("It may have written");
    expect(end.stderr).toContain("npx stepwatch mark run-1 good --node model.shop.orders --reason …");
    expect(requests).toEqual([]);
    const forced = watched([unsafe, inRoundTwo]);
    await stepwatch(["retry", "run-1", "--force", "--no-follow"], { stack: forced.stack });
    expect(forced.requests).toMatchObject([{ force: true }]);
  });

  test("G8: of a green run: nothing to retry, with the command for all of it; a named node goes on as a new run", async () => {
    const { stack } = watched([green], "SUCCEEDED");
    const end = await stepwatch(["retry", "run-1"], { stack });
    expect(end).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("npx stepwatch run --rerun run-1") });
    const again = watched([green], "SUCCEEDED");
    await stepwatch(["retry", "run-1", "--node", "orders", "--no-follow"], { stack: again.stack });
    expect(again.stack.executions.started).toMatchObject([
      { input: { project: "shop", resume: { run: "run-1", nodes: ["model.shop.orders"], image: "same" } } },
    ]);
    expect([again.requests, redriven(again.stack)]).toEqual([[], []]);
  });

  test("G13: not beside another attempt at the same work, which builds it already", async () => {
    const keyed = { ...red, run: { ...red.run!, input: { project: "shop", runKey: "of a parent" } } };
    const { stack, requests } = watched([keyed]);
    const other = { runId: "run-2", executionArn: "arn:run-2", atMs: 1 };
    await stack.ledger.claimTrigger("shop", workKey("of a parent"), other);
    stack.executions.set("arn:run-2", { status: "RUNNING" });
    const end = await stepwatch(["retry", "run-1"], { stack });
    expect(end.exitCode).toBe(2);
    expect(end.stderr).toContain("The run run-2 works on the same runKey already.");
    expect(requests).toEqual([]);
    stack.executions.set("arn:run-2", { status: "FAILED" });
    await stepwatch(["retry", "run-1", "--no-follow"], { stack });
    expect(requests).toHaveLength(1);
  });

  test("G8: where Step Functions does not redrive it, or another image is wanted, it goes on as a new run", async () => {
    const old = watched([red]);
    old.stack.executions.redrive = async () => false;
    const end = await stepwatch(["retry", "run-1", "--no-follow"], { stack: old.stack });
    expect(end.stderr).toContain("Step Functions does not redrive it");
    expect(old.stack.executions.started).toMatchObject([{ input: { resume: { run: "run-1", image: "same" } } }]);
    const current = watched([red]);
    await stepwatch(["retry", "run-1", "--image", "current", "--no-follow"], { stack: current.stack });
    expect(current.stack.executions.started).toMatchObject([{ input: { resume: { image: "current" } } }]);
    expect(current.requests).toEqual([]);
  });

  test("G8: where its execution has no room for another round it goes on as a new run", async () => {
    const full = watched([red]);
    full.stack.executions.set(red.run!.executionArn, { status: "FAILED", error: "HistoryFull" });
    await stepwatch(["retry", "run-1", "--no-follow"], { stack: full.stack });
    expect(full.stack.executions.started).toMatchObject([{ input: { resume: { run: "run-1", image: "same" } } }]);
    expect([full.requests, redriven(full.stack)]).toEqual([[], []]);
  });

  test("G8: a round that the execution opens as it ends is followed; one that neither ends nor opens it is no new run", async () => {
    const opens = watched([red, inRoundTwo], "RUNNING");
    opens.stack.executions.redrive = async () => false;
    expect(await stepwatch(["retry", "run-1"], { stack: opens.stack })).toMatchObject({ exitCode: 0 });
    const hangs = watched([red], "RUNNING");
    hangs.stack.executions.redrive = async () => false;
    const end = await stepwatch(["retry", "run-1"], { stack: hangs.stack });
    expect(end.stderr).toContain("still about to end: ask again in a minute");
    expect([opens.stack.executions.started, hangs.stack.executions.started]).toEqual([[], []]);
  });

  test("G33: of a run that says running and whose execution was ended, it redrives that: no check takes the wish up", async () => {
    const { stack, requests } = watched([begun, begun, inRoundTwo], "ABORTED");
    await stepwatch(["retry", "run-1"], { stack });
    expect(requests).toHaveLength(1);
    expect(redriven(stack)).toEqual(["run-1"]);
  });

  test("F14: while the run runs, the wish waits for its round's end, and nothing is redriven", async () => {
    const { stack, requests } = watched([begun], "RUNNING");
    const end = await stepwatch(["retry", "run-1", "--node", "orders"], { stack });
    expect(end.exitCode).toBe(0);
    expect(end.stderr).toContain("still runs: this is done as soon as its present round has ended");
    expect(requests).toHaveLength(1);
    expect(redriven(stack)).toEqual([]);
  });

  test("G8: tells of a later run of the project, whose tables are newer", async () => {
    const { stack } = watched([red, inRoundTwo]);
    const later = { ...red.run!, runId: "run-9", startedAtMs: red.run!.startedAtMs + 5 };
    stack.ledger.listRuns = async () => [{ ...later, state: "green" }];
    const end = await stepwatch(["retry", "run-1", "--no-follow"], { stack });
    expect(end.stderr).toContain("run run-9 of shop has begun since (green): what it built is newer");
  });
});

describe("mark", () => {
  test("G25: good, with who, when and why, and what to do next", async () => {
    const { stack, marks } = watched([red]);
    const end = await stepwatch(["mark", "run-1", "good", "--node", "orders", "--reason", "rows are there"], { stack });
    expect(end.exitCode).toBe(0);
    expect(marks).toMatchObject([
      { uniqueId: "model.shop.orders", mark: { as: "good", by: "jane", reason: "rows are there" } },
    ]);
    expect(end.stdout).toContain("npx stepwatch retry run-1");
    const hands = await stack.ledger.listHands("shop", 5);
    expect(hands).toMatchObject([{ action: "mark", by: "jane", reason: "rows are there" }]);
  });

  test("G25: none takes it back; any other word is refused", async () => {
    const { stack, marks } = watched([red]);
    await stepwatch(["mark", "run-1", "none", "--node", "orders", "--reason", "a mistake"], { stack });
    expect(marks).toEqual([{ uniqueId: "model.shop.orders", mark: null }]);
    const end = await stepwatch(["mark", "run-1", "fine", "--node", "orders", "--reason", "so"], { stack });
    expect(end).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("say good, skip, or none") });
  });
});

describe("run --rerun", () => {
  test("G8: all of a run again with its options, as a new one; what is given beside it wins", async () => {
    const input = {
      project: "shop",
      select: ["orders+"],
      vars: { day: "2026-01-01" },
      threads: 2,
      dedupeKey: "k",
      runKey: "r",
    };
    const { stack } = watched([{ ...red, run: runOf({ ...red.run, input }) }]);
    await stepwatch(["run", "--rerun", "run-1", "--threads", "8", "--no-follow"], { stack });
    expect(stack.executions.started.map((one) => one.input)).toEqual([
      { project: "shop", select: ["orders+"], vars: { day: "2026-01-01" }, threads: 8 },
    ]);
  });

  test("G8: of another project, or of none, is refused", async () => {
    const { stack } = watched([red]);
    const other = await stepwatch(["run", "market", "--rerun", "run-1"], { stack });
    expect(other).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("is of shop, not of market") });
    const none = await stepwatch(["run"], { stack });
    expect(none).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("Name a project, or a run") });
  });
});
