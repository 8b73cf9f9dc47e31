import { describe, expect, test } from "vitest";
import { LedgerUnavailable } from "#core/errors.ts";
import type { RunSummary } from "#core/run/summary.ts";
import { dataTest, live, nodeFailed, over, planOf, row, runOf, vertex } from "../support/run-builders.ts";
import { fakeStack, known, type Look, stepwatch } from "./fake-context.ts";

const plan = planOf([
  vertex("model.shop.orders"),
  dataTest("test.shop.unique_orders_id.abc123", ["model.shop.orders"]),
  vertex("model.shop.customers", ["model.shop.orders", "test.shop.unique_orders_id.abc123"]),
]);
const begun: Look = {
  run: runOf(),
  plan,
  tasks: [live(1)],
  vertices: [row("model.shop.orders", "started", { startedAtMs: 1_700_000_000_000 })],
};
const good = (id: string) =>
  row(id, id.startsWith("test.") ? "pass" : "success", {
    consumerStartedAtMs: 1,
    ...(id.startsWith("test.") ? {} : { outcome: "green" }),
  });
const green: Look = {
  run: runOf({ state: "green", verdict: "Every one of 3 vertices is good.", endedAtMs: 1_700_000_100_000 }),
  plan,
  tasks: [over(1)],
  vertices: plan.vertices.map((one) => good(one.uniqueId)),
};
const red: Look = {
  run: runOf({ state: "red", verdict: "2 vertices are not good.", endedAtMs: 1_700_000_100_000 }),
  plan,
  tasks: [over(1, nodeFailed())],
  vertices: [
    row("model.shop.orders", "error", {
      message: "Database Error in model orders\n  no such column",
      final: "dead",
      finalReason: "No tries left.",
      outcome: "red",
    }),
    row("model.shop.customers", "skipped", {
      final: "doomed",
      finalReason: "Upstream failed: model.shop.orders",
      rootCause: "model.shop.orders",
    }),
    row("test.shop.unique_orders_id.abc123", "skipped", {
      final: "doomed",
      finalReason: "Upstream failed: model.shop.orders",
      rootCause: "model.shop.orders",
    }),
  ],
};

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

describe("status, tasks, logs, runs", () => {
  test("status: 0 while it runs and when green, 1 when red", async () => {
    for (const [look, exitCode] of [
      [begun, 0],
      [green, 0],
      [red, 1],
    ] as const) {
      const stack = fakeStack([look]);
      known(stack, "run-1");
      expect((await stepwatch(["status", "run-1", "--json"], { stack })).exitCode).toBe(exitCode);
    }
  });

  test("tasks --json: one entry for each dbt build", async () => {
    const stack = fakeStack([red]);
    known(stack, "run-1");
    const { tasks } = JSON.parse((await stepwatch(["tasks", "run-1", "--json"], { stack })).stdout) as RunSummary;
    expect(tasks).toMatchObject([{ task: 1, kind: "producer", state: "over", exitCode: 1, end: "1 node failed." }]);
  });

  test("logs: by node name, from the stream that awslogs made if the container could not name it", async () => {
    const stack = fakeStack([
      { ...green, tasks: [over(1, {}, { fencedBy: "arn:aws:ecs:us-east-1:1:task/stepwatch/abc" })] },
    ]);
    known(stack, "run-1");
    const end = await stepwatch(["logs", "run-1", "orders", "--json"], { stack });
    expect(JSON.parse(end.stdout)).toMatchObject({
      node: "model.shop.orders",
      tasks: [{ task: 1, logStream: "dbt/dbt-runner/abc", lines: [{ at: "2023-11-14T22:13:20.000Z" }] }],
    });
    expect(await stepwatch(["logs", "run-1", "nope"], { stack })).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining("has no node nope"),
    });
  });

  test("logs: dbt's colours are for terminals alone", async () => {
    const stack = fakeStack([{ ...green, tasks: [over(1, {}, { logStream: "s" })] }]);
    known(stack, "run-1");
    const text = JSON.stringify({ info: { ts: "2026-01-31T06:00:09Z", msg: "1 of 1 OK [\u001b[32mOK\u001b[0m]" } });
    const logs = { readLog: async () => [{ atMs: 1, text }] };
    const end = await stepwatch(["logs", "run-1"], { stack: { ...stack, logs } });
    expect(end.stdout).toBe("== task 1 (producer)\n06:00:09  1 of 1 OK [OK]\n");
  });

  test("runs: one line each, of a verdict with several lines the first", async () => {
    const row = { project: "shop", runId: "run-2", executionArn: "arn", startedAtMs: 1_700_000_000_000 };
    const rows = [{ ...row, state: "red" as const, verdict: "2 vertices are not good:\n  LINE 26" }];
    const end = await stepwatch(["runs", "shop"], { stack: fakeStack([], { listRuns: async () => rows }) });
    expect(end.stdout).toBe("run-2  red      2023-11-14T22:13:20.000Z  2 vertices are not good:\n");
  });

  test("runs --json: newest first", async () => {
    const rows = [
      {
        project: "shop",
        runId: "run-2",
        executionArn: "arn",
        startedAtMs: 1_700_000_000_000,
        state: "running" as const,
      },
    ];
    const end = await stepwatch(["runs", "shop", "--json"], { stack: fakeStack([], { listRuns: async () => rows }) });
    expect(JSON.parse(end.stdout)).toEqual({
      contract: 1,
      project: "shop",
      runs: [
        {
          runId: "run-2",
          state: "running",
          verdict: null,
          startedAt: "2023-11-14T22:13:20.000Z",
          finishedAt: null,
          executionArn: "arn",
        },
      ],
    });
  });
});
