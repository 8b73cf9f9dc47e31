import { describe, expect, test } from "vitest";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import { over } from "../support/run-builders.ts";
import { fakeStack, known, stepwatch } from "./fake-context.ts";
import { begun, green, red } from "./looks.ts";

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

  test.each(["ABORTED", "TIMED_OUT", "FAILED"])(
    "status of a run whose machine is %s while its row says running: no verdict, exit code 3, never running",
    async (status) => {
      const execution = { status, error: "States.Runtime", cause: "the machine is gone" };
      const looks = [begun, begun];
      const stack = fakeStack(looks);
      known(stack, "run-1", execution);
      const text = await stepwatch(["status", "run-1", "--config", "other.yaml"], { stack });
      expect(text.exitCode).toBe(3);
      expect(text.stdout).toMatch(/✘ no verdict {2}The run run-1 .* without a verdict: the machine is gone/);
      expect(text.stdout).toMatch(/npx stepwatch stop run-1 --reason ".*" --config other\.yaml\n$/);
      expect(text.stdout).not.toMatch(/not over yet|ask ECS/);
      const other = fakeStack(looks);
      known(other, "run-1", execution);
      const json = await stepwatch(["status", "run-1", "--json"], { stack: other });
      expect(json.exitCode).toBe(3);
      expect(JSON.parse(json.stdout)).toMatchObject({
        state: "running",
        endedWithoutVerdict: expect.stringContaining("the machine is gone"),
      });
    },
  );

  test("status of a run whose machine ended: a verdict that stands is told", async () => {
    const stack = fakeStack([red]);
    known(stack, "run-1", { status: "FAILED", error: "RunFailed" });
    const end = await stepwatch(["status", "run-1"], { stack });
    expect(end).toMatchObject({ exitCode: 1, stdout: expect.stringContaining("✘ red") });
  });

  test("status of a red run ends with the exact commands to run next, a green one with none", async () => {
    const told = async (look: typeof red) => {
      const stack = fakeStack([look]);
      known(stack, "run-1");
      return (await stepwatch(["status", "run-1", "--stack", "prod"], { stack })).stdout;
    };
    expect(await told(red)).toMatch(
      /\nNext:\n {2}npx stepwatch why run-1 --stack prod\n {2}npx stepwatch retry run-1 --stack prod\n$/,
    );
    for (const look of [green, begun]) expect(await told(look)).not.toContain("Next:");
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

  test("every command to run next names the stack", async () => {
    const stack = fakeStack([green]);
    known(stack, "run-1");
    for (const commandLine of [
      ["status", "run-2"],
      ["logs", "run-1", "nope"],
      ["logs", "run-1", "--task", "9"],
    ])
      expect((await stepwatch([...commandLine, "--stack", "nightly"], { stack })).stderr).toMatch(
        /→ npx stepwatch .* --stack nightly\n$/,
      );
  });

  test("status of a run that has not begun: names the run that holds its lock, and none where none does", async () => {
    const holder = { project: "shop", runId: "run-1", executionArn: "arn", startedAtMs: 1, state: "running" as const };
    for (const [rows, why] of [
      [[holder], "The run run-2 has not begun: the run run-1 of shop holds its lock."],
      [[{ ...holder, state: "green" as const }], "The run run-2 has not begun: it was started a moment ago"],
    ] as const) {
      const stack = fakeStack([], { listRuns: async () => [...rows] });
      known(stack, "run-2", { status: "RUNNING" });
      expect(await stepwatch(["status", "run-2"], { stack })).toMatchObject({
        exitCode: 2,
        stderr: expect.stringContaining(why),
      });
    }
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
      paused: null,
      hands: [],
      runs: [
        {
          job: null,
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
