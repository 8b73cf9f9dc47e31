import { describe, expect, test } from "vitest";
import { parseConfig } from "#core/config.ts";
import { LedgerUnavailable } from "#core/errors.ts";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import { fakeStack, known, type Look, stepwatch } from "./fake-context.ts";
import { begun, green, red } from "./looks.ts";

describe("run", () => {
  test("a green run ends with 0, its verdict on stdout and progress on stderr", async () => {
    const stack = fakeStack([{ run: null }, begun, green]);
    const end = await stepwatch(["run", "shop"], { stack });
    expect(end.exitCode).toBe(0);
    expect(end.stdout).toContain("✔ green  Every one of 3 vertices is good.");
    expect(end.stderr).toMatch(/▸ orders\s+model\s+running/);
    expect(end.stdout).toContain(`npx stepwatch status ${stack.executions.started[0]?.name}`);
  });

  test("a red run ends with 1 and names the cause, dbt's own message and what was not built", async () => {
    const end = await stepwatch(["run", "shop"], { stack: fakeStack([red]) });
    expect(end.exitCode).toBe(1);
    expect(end.stdout).toContain("✘ red");
    expect(end.stdout).toContain("no such column");
    expect(end.stdout).toMatch(/customers\s+model\s+upstream failed/);
    expect(end.stdout).toMatch(/Next:\n {2}npx stepwatch why \S+\n {2}npx stepwatch retry \S+\n$/);
  });

  test("--json: the summary alone on stdout, with the documented fields of run, nodes and tests", async () => {
    const end = await stepwatch(["run", "shop", "--json"], { stack: fakeStack([begun, red]) });
    const summary = JSON.parse(end.stdout) as RunSummary;
    expect(Object.keys(summary)).toEqual(
      expect.arrayContaining(["project", "runId", "state", "verdict", "timings", "tasks", "nodes", "tests"]),
    );
    expect(summary.nodes[0]).toMatchObject({
      uniqueId: "model.shop.orders",
      resourceType: "model",
      status: "error",
      class: "failed",
      outcome: "red",
      tries: 1,
      startedAt: null,
      message: expect.stringContaining("no such column"),
      tests: [{ uniqueId: "test.shop.unique_orders_id.abc123", status: "skipped", class: "doomed" }],
    });
    expect(summary.nodes[1]).toMatchObject({ class: "doomed", rootCause: "model.shop.orders" });
  });

  test("H5: --policy changes the run's policy by name and value; a wrong one is refused before anything starts", async () => {
    const stack = fakeStack([green]);
    const flags = ["retries.node=0", "retries.test=2", "retryOn=all", "runTimeoutMinutes=30"];
    await stepwatch(["run", "shop", ...flags.flatMap((flag) => ["--policy", flag])], { stack });
    const policy = { retries: { node: 0, test: 2 }, retryOn: "all", runTimeoutMinutes: 30 };
    expect(stack.executions.started[0]?.input).toMatchObject({ project: "shop", policy });
    for (const [flag, words] of [
      ["retryOn=never", 'policy.retryOn = "never": must be one of all, transient.'],
      ["retrys=1", "policy.retrys: there is no such setting; did you mean retries?"],
      ["retryOn", "It is no name=value."],
      ["retryOn=", "It gives retryOn no value."],
    ] as const) {
      const refused = fakeStack([green]);
      const end = await stepwatch(["run", "shop", "--policy", flag], { stack: refused });
      expect(end).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(words) });
      expect(refused.executions.started).toEqual([]);
    }
  });

  test("G17: a full refresh of a window is refused before anything is started", async () => {
    const stack = fakeStack([green]);
    const flags = ["--full-refresh", "--event-time-start", "2026-01-01", "--event-time-end", "2026-01-02"];
    const end = await stepwatch(["run", "shop", ...flags], { stack });
    expect(end.exitCode).toBe(2);
    expect(end.stderr).toContain('eventTimeStart = "2026-01-01": beside a full refresh dbt would leave');
    expect(stack.executions.started).toEqual([]);
  });

  test("D7: the options of dbt build become the run's input, quotes and all", async () => {
    const stack = fakeStack([green]);
    await stepwatch(
      [
        "run",
        "shop",
        "--select",
        "orders+",
        "tag:nightly stg_a,stg_b",
        "--exclude",
        "x",
        "--vars",
        `{"a": "it's \\"q\\"", "n": 1}`,
        "--full-refresh",
        "--threads",
        "3",
        "--target",
        "prod",
        "--fail-fast",
        "--dbt-arg=--no-introspect",
      ],
      { stack },
    );
    expect(stack.executions.started[0]?.input).toEqual({
      project: "shop",
      select: ["orders+", "tag:nightly", "stg_a,stg_b"],
      exclude: ["x"],
      vars: { a: `it's "q"`, n: 1 },
      fullRefresh: true,
      threads: 3,
      target: "prod",
      failFast: true,
      extraArgs: ["--no-introspect"],
    });
  });

  test("--no-follow answers once the run is started", async () => {
    const stack = fakeStack([]);
    const end = await stepwatch(["run", "shop", "--no-follow", "--json"], { stack });
    const { name, executionArn } = stack.executions.started[0]!;
    expect(JSON.parse(end.stdout)).toEqual({
      contract: 1,
      project: "shop",
      runId: name,
      executionArn,
      state: "started",
    });
    expect(end.exitCode).toBe(0);
  });

  test("an execution that is over without a verdict is infrastructure (3) and says why", async () => {
    const stack = fakeStack([{ run: null }]);
    const start = stack.executions.start.bind(stack.executions);
    stack.executions.start = async (machine, name, input) => {
      const started = await start(machine, name, input);
      stack.executions.set(started.executionArn, {
        status: "FAILED",
        error: "States.Runtime",
        cause: "The function was not found.",
      });
      return started;
    };
    const end = await stepwatch(["run", "shop", "--json"], { stack });
    expect(end.exitCode).toBe(3);
    expect(end.stderr).toContain("broke without a verdict: The function was not found.");
    expect(JSON.parse(end.stdout)).toMatchObject({ error: { exitCode: 3 } });
  });

  test("a run that start-run refused for its input is usage (2)", async () => {
    const stack = fakeStack([{ run: null }]);
    const start = stack.executions.start.bind(stack.executions);
    stack.executions.start = async (machine, name, input) => {
      const started = await start(machine, name, input);
      stack.executions.set(started.executionArn, {
        status: "FAILED",
        error: "InputError",
        cause: JSON.stringify({ errorType: "InputError", errorMessage: "Run input refused: target" }),
      });
      return started;
    };
    const end = await stepwatch(["run", "shop"], { stack });
    expect(end).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("Run input refused: target\n→") });
  });

  test("a ledger that does not answer for a while ends nothing; one that stays away is infrastructure (3)", async () => {
    let reads = 0;
    const flaky = {
      readRun: async () => {
        reads += 1;
        if (reads < 20) throw new LedgerUnavailable("DynamoDB was not answered.");
        return green.run;
      },
      readTasks: async () => [...green.tasks!],
      readVertices: async () => [...green.vertices!],
    };
    expect((await stepwatch(["run", "shop"], { stack: fakeStack([green], flaky) })).exitCode).toBe(0);
    const gone = {
      readRun: async () => {
        throw new LedgerUnavailable("DynamoDB was not answered.");
      },
    };
    expect(await stepwatch(["run", "shop"], { stack: fakeStack([], gone) })).toMatchObject({
      exitCode: 3,
      stderr: expect.stringContaining("DynamoDB was not answered."),
    });
  });

  test("a run that waits for its lock says for which run, once", async () => {
    const holder = { project: "shop", runId: "run-0", executionArn: "arn", startedAtMs: 1, state: "running" as const };
    const looks = [...Array<Look>(12).fill({ run: null }), green];
    const end = await stepwatch(["run", "shop"], { stack: fakeStack(looks, { listRuns: async () => [holder] }) });
    expect(end.stderr.match(/Waiting for the run run-0 of shop to end: it holds the lock\./g)).toHaveLength(1);
    const quick = await stepwatch(["run", "shop"], { stack: fakeStack([green], { listRuns: async () => [holder] }) });
    expect(quick.stderr).not.toContain("Waiting");
  });

  test("G29: a run that waits for another entry of its folder names that entry's run, and status does", async () => {
    const entry = { projectDir: "shop" };
    const projects = { shop: entry, shop_hourly: entry, other: { projectDir: "other" } };
    const config = parseConfig({ projects }, "/", (_folder, path) => `/${path}`);
    const holds = (holder: string) => async (project: string) =>
      project === holder
        ? [{ project, runId: "run-0", executionArn: "arn", startedAtMs: 1, state: "running" as const }]
        : [];
    const looks = [...Array<Look>(12).fill({ run: null }), green];
    const waits = async (holder: string) =>
      (await stepwatch(["run", "shop"], { config, stack: fakeStack(looks, { listRuns: holds(holder) }) })).stderr;
    expect(await waits("shop_hourly")).toContain("Waiting for the run run-0 of shop_hourly to end: it holds the lock.");
    expect(await waits("other")).not.toContain("Waiting");
    const stack = fakeStack([], { listRuns: holds("shop_hourly") });
    known(stack, "run-2", { status: "RUNNING" });
    expect((await stepwatch(["status", "run-2"], { config, stack })).stderr).toBe(
      "The run run-2 has not begun: the run run-0 of shop_hourly holds its lock.\n→ npx stepwatch runs shop_hourly\n",
    );
  });

  test("a run that does not begin, and waits for nobody, says once where to read why", async () => {
    const looks = [...Array<Look>(60).fill({ run: null }), green];
    const end = await stepwatch(["run", "shop"], { stack: fakeStack(looks, { listRuns: async () => [] }) });
    expect(end.stderr.match(/The run has not begun: its first step fails .*embedded-aws\.log/g)).toHaveLength(1);
    expect(end.stderr).not.toContain("Waiting");
  });

  test("a project that the deployed stack does not have: deploy first (2), and nothing is started", async () => {
    const stack = { ...fakeStack([]), projects: ["bakery", "mill"] };
    const end = await stepwatch(["run", "shop", "--config", "x.yaml"], { stack });
    expect(end).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(
        /^There is no project shop in the deployed stack, which has bakery, mill\. .*\n→ npx stepwatch deploy --config x\.yaml\n$/,
      ),
    });
    expect(stack.executions.started).toEqual([]);
  });

  test("the same of a stack in AWS, where start-run knows it", async () => {
    const stack = fakeStack([{ run: null }]);
    const start = stack.executions.start.bind(stack.executions);
    stack.executions.start = async (machine, name, input) => {
      const started = await start(machine, name, input);
      const cause = 'Run input refused: project = "shop": this stack has bakery, mill';
      stack.executions.set(started.executionArn, { status: "FAILED", error: "InputError", cause });
      return started;
    };
    expect(await stepwatch(["run", "shop", "--stack", "nightly"], { stack })).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/which has bakery, mill\. .*\n→ npx stepwatch deploy --stack nightly\n$/),
    });
  });

  test("a ledger that falls silent is said once, while it is asked again", async () => {
    let reads = 0;
    const readRun = async () => {
      reads += 1;
      if (reads > 1 && reads < 5) throw new LedgerUnavailable("DynamoDB was not answered.");
      return reads < 5 ? begun.run : green.run;
    };
    const readVertices = async () => [...green.vertices!];
    const end = await stepwatch(["run", "shop"], { stack: fakeStack([green], { readRun, readVertices }) });
    expect(end.exitCode).toBe(0);
    expect(end.stderr.match(/The ledger does not answer; it is asked again for 60 s\./g)).toHaveLength(1);
  });

  test("what is deployed and outdated is said before the run starts", async () => {
    const stack = { ...fakeStack([green]), outdated: true };
    const end = await stepwatch(["run", "shop", "--config", "my stuff/stepwatch.yaml"], { stack });
    expect(end.stderr).toMatch(
      /^What is deployed is older than .*: npx stepwatch deploy --config 'my stuff\/stepwatch\.yaml'\n/,
    );
  });

  test("the commands to look further name the stack", async () => {
    const end = await stepwatch(["run", "shop", "--stack", "nightly", "--no-follow"], { stack: fakeStack([]) });
    expect(end.stdout).toMatch(/npx stepwatch logs \S+ \[node\] --stack nightly\n/);
  });

  test("Ctrl-C ends the following, not the run", async () => {
    const interrupt = new AbortController();
    interrupt.abort();
    const end = await stepwatch(["run", "shop"], { stack: fakeStack([begun]), interrupted: interrupt.signal });
    expect(end.exitCode).toBe(130);
    expect(end.stderr).toMatch(/goes on without us. See it with: npx stepwatch status \d/);
  });

  test("the last consumers' outcomes are waited for, some seconds at most", async () => {
    const open = { ...green, vertices: green.vertices!.map(({ outcome: _, ...rest }) => rest) };
    const late = JSON.parse(
      (await stepwatch(["run", "shop", "--json"], { stack: fakeStack([open, open, green]) })).stdout,
    ) as RunSummary;
    expect(late.nodes.map((node) => node.outcome)).toEqual(["green", "green"]);
    const never = JSON.parse(
      (await stepwatch(["run", "shop", "--json"], { stack: fakeStack([open]) })).stdout,
    ) as RunSummary;
    expect(never.nodes.map((node) => node.outcome)).toEqual([null, null]);
  });
});
