import { describe, expect, it } from "vitest";
import { type BackfillInput, triggerOfWindow, windowsIn } from "#core/backfill.ts";
import type { RunRow } from "#core/contracts/ledger.ts";
import { executionArn } from "#core/names.ts";
import { runRow } from "../support/ledger-rows.ts";
import { exampleSettings } from "../support/projects.ts";
import { BACKFILL_MACHINE, type FakeStack, fakeStack, RUN_MACHINE, stepwatch } from "./fake-context.ts";

const DAYS = ["--from", "2023-01-01", "--to", "2023-01-04", "--by", "day"];
/** The clock of these tests. */
const BEGUN_MS = 1_700_000_200_000;
const NO_FOLLOW = [...DAYS, "--no-follow"];

/** Runs of windows, by the window's date: what `readRun` and the keys of the ledger say of them. */
function withRuns(runs: Readonly<Record<string, Partial<RunRow>>>): FakeStack {
  const rows = new Map<string, RunRow>();
  const stack = fakeStack([], {
    readRun: async ({ runId }) => rows.get(runId) ?? null,
    readTrigger: async (_project, key) => {
      const day = /(\d{4}-\d{2}-\d{2})T/.exec(key)?.[1] ?? "";
      if (runs[day] === undefined) return null;
      const runId = `run-${day}`;
      rows.set(runId, runRow({ project: "shop", runId }, runs[day]));
      return { runId, executionArn: executionArn(RUN_MACHINE, runId), atMs: 1 };
    },
  });
  return stack;
}

/** Starts a backfill of three days there; its id and its input. */
async function begun(
  stack: FakeStack,
  ...options: string[]
): Promise<{ id: string; input: BackfillInput; arn: string }> {
  const end = await stepwatch(["backfill", "shop", ...NO_FOLLOW, ...options], { stack });
  expect(end.exitCode, end.stderr).toBe(0);
  const { name, input, executionArn: arn } = stack.executions.started.at(-1)!;
  stack.executions.set(arn, { startedAtMs: BEGUN_MS });
  return { id: name, input: input as BackfillInput, arn };
}

const GREEN = { state: "green", verdict: "Good.", endedAtMs: 1_700_000_065_000 } as const;
const RED = { state: "red", verdict: "1 node has failed.", endedAtMs: 1_700_000_065_000 } as const;

describe("backfill", () => {
  it("H12: starts the backfill machine once, with a run's input for each window, and says the windows before", async () => {
    const stack = withRuns({});
    const options = ["--select", "orders+", "--vars", '{"a": 1}'];
    const end = await stepwatch(["backfill", "shop", ...NO_FOLLOW, ...options], { stack });
    expect(end.stderr).toContain(
      "3 runs of shop, one for each day in UTC from 2023-01-01 to 2023-01-03, one after the other.",
    );
    expect(stack.executions.started).toHaveLength(1);
    const { input, executionArn: arn, name } = stack.executions.started[0]!;
    expect(arn).toBe(executionArn(BACKFILL_MACHINE, name));
    expect(name).toMatch(/^shop-backfill-\d{8}-\d{6}-[0-9a-f]{8}$/);
    expect(input).toMatchObject({
      backfill: { id: name, project: "shop", by: "day", zone: "UTC", who: "jane" },
      input: { project: "shop", select: ["orders+"], vars: { a: 1 }, backfill: arn, ifLeftOut: "fail" },
    });
    const windows = windowsIn(input as BackfillInput);
    expect(windows.map(({ window }) => window)).toEqual(["2023-01-01", "2023-01-02", "2023-01-03"]);
    expect(windows[1]!.input).toEqual({
      ...{ scheduledTime: "2023-01-02T00:00:00Z", runKey: `${name} 2023-01-02T00:00:00Z` },
      ...{ eventTimeStart: "2023-01-02T00:00:00", eventTimeEnd: "2023-01-03T00:00:00" },
    });
    expect(end.stdout).toContain(`npx stepwatch backfill status ${name}`);
  });

  it("H12: in the zone of the project's dates, or of the job's", async () => {
    const dates = { format: "date", zone: "Europe/Berlin" } as const;
    const stack = { ...withRuns({}), readSettings: async () => ({ ...exampleSettings(), dates }) };
    const { input } = await begun(stack, "--at", "end", "--no-event-time");
    expect(windowsIn(input).map((one) => one.input)).toEqual([
      expect.objectContaining({ scheduledTime: "2023-01-01T23:00:00Z" }),
      expect.objectContaining({ scheduledTime: "2023-01-02T23:00:00Z" }),
      expect.objectContaining({ scheduledTime: "2023-01-03T23:00:00Z" }),
    ]);
    expect(windowsIn(input)[0]!.input).not.toHaveProperty("eventTimeStart");
  });

  it.each([
    [["--from", "2023-01-01"], "--from and --to: a range has both."],
    [
      ["--from", "2023-11-01", "--to", "2023-12-01"],
      "--to 2023-12-01: that is in the future, and the last window not over.",
    ],
    [["--from", "2023-01-01", "--to", "2023-01-01"], '--to = "2023-01-01": not after --from = "2023-01-01"'],
    [["--from", "2023-13-01", "--to", "2027-01-01"], '--from = "2023-13-01": no date'],
    [[...DAYS, "--by", "year"], "Allowed choices are hour, day, week, month."],
    [[...DAYS, "--event-time-start", "2023-01-01"], "--event-time-start: the windows of a backfill say it."],
    [[...DAYS, "--sample", "1 day"], "--sample: the windows of a backfill say it."],
    [[...DAYS, "--parallel", "2"], "--parallel 2: runs of shop share a lock, so that one follows the other."],
    [[...DAYS, "--parallel", "0"], "It is no whole number from 1 on."],
    [[...DAYS, "--threads", "many"], "--threads"],
    [[...DAYS, "--full-refresh"], "fullRefresh: each window's run would rebuild incremental models with its own rows"],
    [[...DAYS, "--empty"], "empty: no window's run would build a row."],
    [[...DAYS, "--lock-key", "pr-1"], 'lockKey = "pr-1": only a run of a job with lock: schema has one'],
  ])("H12: %j is refused by one sentence, and nothing is started", async (options, sentence) => {
    const stack = withRuns({});
    const end = await stepwatch(["backfill", "shop", ...options], { stack });
    expect(end.exitCode).toBe(2);
    expect(end.stderr).toContain(sentence);
    expect(stack.executions.started).toEqual([]);
  });

  it.each([
    [["--vars", '{"run_date": "2023-01-01"}'], {}, "vars.run_date: it is the variable of shop's dates"],
    [["--no-event-time"], {}, "--no-event-time: the settings of shop give its runs a window of their own (day)."],
    [[], { sample: "1 day" }, "sample: the windows of a backfill say which rows are read."],
    [[], { fullRefresh: true }, "fullRefresh"],
  ])(
    "H12: %j with the project's own settings would build another day, or nothing of it: refused",
    async (options, build, sentence) => {
      const dates = { format: "date", variable: "run_date", eventTime: "day" } as const;
      const settings = { ...exampleSettings(), dates, build: { ...exampleSettings().build, ...build } };
      const stack = { ...withRuns({}), readSettings: async () => settings };
      const end = await stepwatch(["backfill", "shop", ...DAYS, ...options], { stack });
      expect(end.exitCode).toBe(2);
      expect(end.stderr).toContain(sentence);
      expect(stack.executions.started).toEqual([]);
    },
  );

  it("H12: each window waits for its lock, whatever the project does beside a live run, unless that is asked for", async () => {
    expect((await begun(withRuns({}))).input.input.policy).toEqual({ overlap: "queue" });
    const own = await begun(withRuns({}), "--policy", "overlap=skip", "--policy", "retries.node=0");
    expect(own.input.input.policy).toEqual({ overlap: "skip", retries: { node: 0 } });
  });

  it("an option before the name of a command of it would be lost, and is refused", async () => {
    const stack = withRuns({});
    const end = await stepwatch(["backfill", "--stack", "prod", "status", "some-id"], { stack });
    expect(end.exitCode).toBe(2);
    expect(end.stderr).toContain("--stack stands behind: stepwatch backfill status <backfill> --stack …");
  });

  it("H12: several at a time where a job's runs have no lock, forty at most", async () => {
    const job = { build: {}, policy: {}, lock: "none", before: [], after: [] } as const;
    const settings = { ...exampleSettings(), jobs: { loose: job } } as unknown as ReturnType<typeof exampleSettings>;
    const config = { loadConfig: () => ({ projects: { shop: { jobs: { loose: { build: {} } } } } }) as never };
    const stack = { ...withRuns({}), readSettings: async () => settings };
    const start = (parallel: string) =>
      stepwatch(["backfill", "shop", ...NO_FOLLOW, "--job", "loose", "--parallel", parallel], { stack, ...config });
    expect((await start("41")).stderr).toContain("--parallel 41: at most 40.");
    const two = await start("2");
    expect(two.stderr).toContain("2 at a time.");
    expect((stack.executions.started[0]!.input as BackfillInput).lanes.map((lane) => lane.length)).toEqual([2, 1]);
  });

  it("H12: a paused project is left alone, and said so before anything starts", async () => {
    const pause = { project: "shop", by: "ada", atMs: 0, reason: "the warehouse moves" };
    const stack = fakeStack([], { readPause: async () => pause });
    const end = await stepwatch(["backfill", "shop", ...DAYS], { stack });
    expect(end.exitCode).toBe(2);
    expect(end.stderr).toContain("npx stepwatch resume shop");
    expect(stack.executions.started).toEqual([]);
  });

  it("a stack of an earlier version has none, and is deployed anew", async () => {
    const known = withRuns({});
    const stack = { ...known, resources: { ...known.resources, backfillMachineArn: undefined } };
    const end = await stepwatch(["backfill", "shop", ...DAYS], { stack });
    expect(end.exitCode).toBe(3);
    expect(end.stderr).toContain("→ npx stepwatch deploy");
  });

  it("without a range lists the project's own, each attempt once, with the command that shows it", async () => {
    const id = "shop-backfill-20260131-030000-0a1b2c3d";
    const names = [`${id}-r2`, id, "shop-eu-backfill-20260131-030000-0a1b2c3d"];
    const stack = { ...withRuns({}), executionNames: async () => names };
    const end = await stepwatch(["backfill", "shop"], { stack });
    expect(end.stdout).toBe(`npx stepwatch backfill status ${id}\n`);
    const json = await stepwatch(["backfill", "shop", "--json"], { stack });
    expect(JSON.parse(json.stdout)).toEqual({ contract: 1, project: "shop", backfills: [id] });
    expect((await stepwatch(["backfill", "shop"], { stack: withRuns({}) })).stdout).toContain("shop has no backfills.");
  });
});

describe("backfill status", () => {
  it("H12: each window by its newest run; red is the exit code 1, with the exact next commands", async () => {
    const stack = withRuns({ "2023-01-01": GREEN, "2023-01-02": RED, "2023-01-03": GREEN });
    const { id, arn } = await begun(stack);
    stack.executions.set(arn, { status: "FAILED", error: "BackfillFailed" });
    const end = await stepwatch(["backfill", "status", id], { stack });
    expect(end.exitCode).toBe(1);
    expect(end.stdout.split("\n")).toEqual([
      "red  3 days of shop, 2023-01-01 to 2023-01-03: 2 green, 1 red",
      "",
      expect.stringMatching(/^ {2}✔ 2023-01-01 {2}green {6}run-2023-01-01/),
      expect.stringMatching(/^ {2}✘ 2023-01-02 {2}red {8}run-2023-01-02.*1 node has failed\.$/),
      expect.stringMatching(/^ {2}✔ 2023-01-03 {2}green/),
      "",
      "Next:",
      "  npx stepwatch why run-2023-01-02",
      `  npx stepwatch backfill retry ${id}`,
      "",
    ]);
    const json = await stepwatch(["backfill", "status", `${id}-r2`, "--json"], { stack });
    expect(JSON.parse(json.stdout)).toMatchObject({ backfill: id, state: "red", windows: [{}, { state: "red" }, {}] });
  });

  it("H12: a window whose run waits for its lock runs, those behind it wait; a live one is no failure", async () => {
    const stack = withRuns({ "2023-01-01": GREEN });
    const readTrigger = async (project: string, key: string) =>
      key.includes("2023-01-02T")
        ? { runId: "waits", executionArn: executionArn(RUN_MACHINE, "waits"), atMs: 1 }
        : stack.ledger.readTrigger(project, key);
    const waiting = { ...stack, ledger: { ...stack.ledger, readTrigger } };
    stack.executions.set(executionArn(RUN_MACHINE, "waits"), { status: "RUNNING" });
    const { id } = await begun(stack);
    const end = await stepwatch(["backfill", "status", id], { stack: waiting });
    expect(end.exitCode).toBe(0);
    expect(end.stdout).toMatch(/^running {2}3 days.*: 1 green, 1 running, 1 waiting\n/);
    expect(end.stdout).toMatch(/▶ 2023-01-02 {2}running {4}waits {2}It waits for its lock\./);
  });

  it("a run that never began says in Step Functions' words why; one that a person has repaired makes all of it green", async () => {
    const stack = withRuns({ "2023-01-01": GREEN, "2023-01-02": GREEN, "2023-01-03": GREEN });
    const { id, arn } = await begun(stack);
    stack.executions.set(arn, { status: "FAILED", error: "BackfillFailed" });
    expect((await stepwatch(["backfill", "status", id], { stack })).exitCode).toBe(0);
    const refusing = { ...stack, ledger: { ...stack.ledger, readRun: async () => null } };
    for (const day of ["2023-01-01", "2023-01-02", "2023-01-03"])
      stack.executions.set(executionArn(RUN_MACHINE, `run-${day}`), {
        status: "FAILED",
        cause: JSON.stringify({ errorMessage: "Nothing was built. The project is paused." }),
      });
    const refused = await stepwatch(["backfill", "status", id], { stack: refusing });
    expect(refused.stdout).toContain(
      "- 2023-01-01  not built  run-2023-01-01  Nothing was built. The project is paused.",
    );
    expect(refused.exitCode).toBe(1);
  });

  it("H12: a window whose start never came through hides none behind it; one that succeeded vouches for all", async () => {
    const stack = withRuns({ "2023-01-01": GREEN, "2023-01-03": GREEN });
    const { id, arn } = await begun(stack);
    const live = await stepwatch(["backfill", "status", id, "--json"], { stack });
    const states = (stdout: string) => JSON.parse(stdout).windows.map((one: { state: string }) => one.state);
    expect(states(live.stdout)).toEqual(["green", "waiting", "green"]);
    stack.executions.set(arn, { status: "FAILED" });
    const over = await stepwatch(["backfill", "status", id, "--json"], { stack });
    expect(states(over.stdout)).toEqual(["green", "not built", "green"]);
    stack.executions.set(arn, { status: "SUCCEEDED" });
    const green = await stepwatch(["backfill", "status", id, "--json"], { stack });
    expect(states(green.stdout)).toEqual(["green", "green", "green"]);
  });

  it("one that there is not is named, with the command that lists them", async () => {
    const end = await stepwatch(["backfill", "status", "nope"], { stack: withRuns({}) });
    expect(end.exitCode).toBe(2);
    expect(end.stderr).toContain("There is no backfill nope in the stack stepwatch");
    expect(end.stderr).toContain("→ npx stepwatch backfill <project>");
  });
});

describe("backfill retry", () => {
  it("H12: starts the windows that are not green alone, under their own keys, so that each goes on with its run", async () => {
    const stack = withRuns({ "2023-01-01": GREEN, "2023-01-02": RED });
    const { id, input, arn } = await begun(stack);
    stack.executions.set(arn, { status: "ABORTED" });
    const end = await stepwatch(["backfill", "retry", id, "--no-follow"], { stack });
    expect(end.exitCode, end.stderr).toBe(0);
    const again = stack.executions.started.at(-1)!;
    expect(again.name).toBe(`${id}-r2`);
    const windows = windowsIn(again.input as BackfillInput);
    expect(windows.map(triggerOfWindow)).toEqual(windowsIn(input).slice(1).map(triggerOfWindow));
    stack.executions.set(again.executionArn, { status: "FAILED" });
    await stepwatch(["backfill", "retry", `${id}-r2`, "--no-follow"], { stack });
    expect(stack.executions.started.at(-1)!.name).toBe(`${id}-r3`);
  });

  it("H12: with the image that is deployed now where that is asked for; not beside a pause, unless it is known", async () => {
    const pause = { project: "shop", by: "ada", atMs: 0, reason: "the warehouse moves" };
    const stack = withRuns({ "2023-01-01": RED });
    const { id, arn } = await begun(stack);
    stack.executions.set(arn, { status: "FAILED" });
    const paused = { ...stack, ledger: { ...stack.ledger, readPause: async () => pause } };
    const retry = ["backfill", "retry", id, "--no-follow"];
    expect((await stepwatch(retry, { stack: paused })).stderr).toContain("npx stepwatch resume shop");
    expect(stack.executions.started).toHaveLength(1);
    await stepwatch([...retry, "--even-if-paused", "--image", "current"], { stack: paused });
    expect((stack.executions.started.at(-1)!.input as BackfillInput).input).toMatchObject({
      ...{ attemptImage: "current", evenIfPaused: true, policy: { overlap: "queue" } },
    });
  });

  it("H12: is refused where nobody knows any more which windows are green", async () => {
    const stack = withRuns({ "2023-01-03": RED });
    const { id, arn } = await begun(stack);
    stack.executions.set(arn, { status: "FAILED", startedAtMs: BEGUN_MS - 61 * 86_400_000 });
    const end = await stepwatch(["backfill", "retry", id], { stack });
    expect(end.exitCode).toBe(2);
    expect(end.stderr).toContain("is older than the rows of its runs (ttlDays)");
    expect(stack.executions.started).toHaveLength(1);
  });

  it("H12: an attempt that never began shows the run that it was to go on with", async () => {
    const stack = withRuns({ "2023-01-01": GREEN, "2023-01-02": GREEN, "2023-01-03": GREEN });
    const { id, arn } = await begun(stack);
    stack.executions.set(arn, { status: "FAILED" });
    const never = { runId: "never-began", executionArn: executionArn(RUN_MACHINE, "never-began"), atMs: 2 };
    const readTrigger = async (project: string, key: string) => {
      const own = await stack.ledger.readTrigger(project, key);
      return key.includes("2023-01-02T") ? { ...never, goesOnWith: own!.runId } : own;
    };
    stack.executions.set(never.executionArn, { status: "ABORTED" });
    const end = await stepwatch(["backfill", "status", id], {
      stack: { ...stack, ledger: { ...stack.ledger, readTrigger } },
    });
    expect(end.stdout).toMatch(/✔ 2023-01-02 {2}green {6}run-2023-01-02/);
    expect(end.exitCode).toBe(0);
  });

  it("H12: is refused while it goes on, and where nothing is left to do", async () => {
    const stack = withRuns({ "2023-01-01": GREEN, "2023-01-02": GREEN, "2023-01-03": GREEN });
    const { id, arn } = await begun(stack);
    expect((await stepwatch(["backfill", "retry", id], { stack })).stderr).toContain("goes on");
    stack.executions.set(arn, { status: "SUCCEEDED" });
    const end = await stepwatch(["backfill", "retry", id], { stack });
    expect(end.exitCode).toBe(2);
    expect(end.stderr).toContain("are green: nothing is left to do.");
    expect(stack.executions.started).toHaveLength(1);
  });
});

describe("backfill stop", () => {
  it("H12: tells the run at work why it is stopped, then ends the backfill, so that no further window begins", async () => {
    const stopped: unknown[] = [];
    const stack = withRuns({ "2023-01-01": GREEN, "2023-01-02": { state: "running" } });
    const requestStop = async (run: { runId: string }, wish: { reason: string; by: string }) => {
      stopped.push([run.runId, wish.by, wish.reason, stack.executions.stopped.length]);
    };
    const asked = { ...stack, ledger: { ...stack.ledger, requestStop: requestStop as never } };
    const { id, arn } = await begun(stack);
    const end = await stepwatch(["backfill", "stop", id, "--reason", "wrong range", "--no-follow"], { stack: asked });
    expect(end.exitCode, end.stderr).toBe(0);
    expect(stopped).toEqual([["run-2023-01-02", "jane", "wrong range", 0]]);
    expect(stack.executions.stopped).toEqual([{ executionArn: arn, cause: "stopped by jane: wrong range" }]);
  });

  it("H12: needs a reason, and something that goes on", async () => {
    const stack = withRuns({ "2023-01-01": GREEN, "2023-01-02": GREEN, "2023-01-03": GREEN });
    const { id, arn } = await begun(stack);
    expect((await stepwatch(["backfill", "stop", id], { stack })).stderr).toContain("--reason");
    stack.executions.set(arn, { status: "SUCCEEDED" });
    const end = await stepwatch(["backfill", "stop", id, "--reason", "late"], { stack });
    expect(end.exitCode).toBe(2);
    expect(end.stderr).toContain("is over already: green.");
  });
});

describe("following a backfill", () => {
  it("H12: tells of each window as it changes, and ends with all of it", async () => {
    const days = ["2023-01-01", "2023-01-02", "2023-01-03"];
    let looks = 0;
    const runs: Record<string, Partial<RunRow>> = {};
    const stack = withRuns(runs);
    const describeExecution = stack.executions.describe.bind(stack.executions);
    stack.executions.describe = async (arn: string) => {
      // A day further with each look at the backfill itself.
      if (arn.includes(":stepwatch-backfill:") && !arn.endsWith("-r2")) {
        for (const [n, day] of days.entries()) if (n < looks) runs[day] = n < looks - 1 ? GREEN : { state: "running" };
        looks += 1;
        if (looks > days.length + 2) stack.executions.set(arn, { status: "SUCCEEDED" });
      }
      return describeExecution(arn);
    };
    const end = await stepwatch(["backfill", "shop", ...DAYS], { stack });
    expect(end.exitCode, end.stderr).toBe(0);
    const told = end.stderr
      .split("\n")
      .filter((line) => /^[✔▶]/.test(line))
      .map((line) => line.split(/ +/).slice(0, 3).join(" "));
    expect(told).toEqual(days.flatMap((day) => [`▶ ${day} running`, `✔ ${day} green`]));
    expect(end.stdout).toMatch(/^green {2}3 days of shop, 2023-01-01 to 2023-01-03: 3 green\n/);
  });
});
