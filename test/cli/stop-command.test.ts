import { describe, expect, test } from "vitest";
import type { Ledger, RoundKey, StopRequest } from "#clients/ledger.ts";
import { executionArn } from "#core/names.ts";
import { over, row, runOf } from "../support/run-builders.ts";
import { fakeStack, known, type Look, RUN_MACHINE, stepwatch } from "./fake-context.ts";
import { begun, green, plan } from "./looks.ts";

const arn = executionArn(RUN_MACHINE, "run-1");
const words = "Stopped by jane at 2023-11-14 22:16:40 UTC: wrong branch";
const stopped: Look = {
  run: runOf({ state: "stopped", verdict: words, endedAtMs: 1_700_000_201_000, stopReason: "wrong branch" }),
  plan,
  tasks: [over(1)],
  vertices: [row("model.shop.orders", "cancelled", { final: "dead", finalReason: "stopped by jane" })],
};

/** A stack whose ledger notes what was asked, over these looks. */
function stackOf(looks: readonly Look[], overrides: Partial<Ledger> = {}) {
  const requests: (StopRequest & { round: number })[] = [];
  const asked: string[] = [];
  const requestStop = async ({ round }: RoundKey, request: StopRequest) => void requests.push({ ...request, round });
  const stack = fakeStack(looks, { requestStop, ...overrides });
  const askToStop = async (executionArn: string) => void asked.push(executionArn);
  return { stack: { ...stack, askToStop }, requests, asked };
}

const stop = (stack: ReturnType<typeof stackOf>["stack"], ...more: string[]) =>
  stepwatch(["stop", "run-1", "--reason", "wrong branch", ...more], { stack });

describe("G12: stop", () => {
  test("says beforehand what it does, notes who, when and why, waits until the run is over, and ends with retry", async () => {
    const { stack, requests, asked } = stackOf([begun, begun, stopped]);
    known(stack, "run-1");
    const end = await stop(stack);
    expect(end.exitCode).toBe(0);
    expect(requests).toEqual([
      { round: 1, atMs: 1_700_000_200_000, reason: "wrong branch", by: "jane", afterCurrent: false },
    ]);
    expect(asked).toEqual([]);
    expect(end.stderr).toContain(
      "Run run-1 of shop: 1 running, 2 waiting (2 models, 1 test). At work: task 1 (producer).",
    );
    expect(end.stderr).toContain("nothing more is launched, and dbt is interrupted");
    expect(end.stdout).toContain("✘ stopped  by jane at 2023-11-14 22:16:40 UTC: wrong branch");
    expect(end.stdout).toMatch(/Next:\n {2}npx stepwatch why run-1\n {2}npx stepwatch retry run-1\n$/);
  });

  test("a retry that waits for the end of the round is dropped, and that is said", async () => {
    const wish = { round: 1, by: "person" as const, atMs: 1, downstream: false, force: false, fullRefresh: false };
    const { stack } = stackOf([{ ...begun, run: runOf({ requests: [wish] }) }, stopped]);
    known(stack, "run-1");
    expect((await stop(stack)).stderr).toContain("A retry that waits for the end of this round is dropped.");
  });

  test("--after-current: says exactly what that means", async () => {
    const { stack, requests } = stackOf([begun, begun, stopped]);
    known(stack, "run-1");
    const end = await stop(stack, "--after-current");
    expect(requests).toMatchObject([{ afterCurrent: true }]);
    expect(end.stderr).toContain(
      "1 dbt process is let end by itself, the first build with everything that it selected; nothing is launched after that",
    );
    expect(end.stderr).toContain("dbt can not be told to end after its current nodes");
  });

  test("--no-follow only asks for it", async () => {
    const { stack, requests } = stackOf([begun]);
    known(stack, "run-1");
    const end = await stop(stack, "--no-follow", "--json");
    expect(requests).toHaveLength(1);
    expect(JSON.parse(end.stdout)).toEqual({ contract: 1, project: "shop", runId: "run-1", state: "stopping" });
  });

  test("--json: the summary as status has it, with the stop", async () => {
    const { stack } = stackOf([begun, stopped]);
    known(stack, "run-1");
    const end = await stop(stack, "--json");
    expect(JSON.parse(end.stdout)).toMatchObject({ state: "stopped", verdict: words });
  });

  test("G33: an execution that is gone: stop-run is asked, and the verdict waited for", async () => {
    const { stack, requests, asked } = stackOf([...Array(30).fill(begun), stopped]);
    known(stack, "run-1", { status: "ABORTED" });
    const end = await stop(stack);
    expect(end.exitCode).toBe(0);
    expect(requests).toHaveLength(1);
    expect(asked).toEqual([arn]);
    expect(end.stderr).toContain("Its execution has ended (ABORTED) without a verdict: its tasks are stopped");
    expect(end.stdout).toContain("✘ stopped");
  });

  test("G33: nobody ends it: says so after some minutes", async () => {
    const { stack } = stackOf([begun]);
    known(stack, "run-1", { status: "ABORTED" });
    const end = await stop(stack);
    expect(end.exitCode).toBe(3);
    expect(end.stderr).toMatch(/stop-run has not, and its log says why\.\n→ npx stepwatch tasks run-1\n$/);
  });

  test("a run that waits for its lock is taken out of the queue", async () => {
    const { stack, requests } = stackOf([{ run: null }]);
    known(stack, "run-1", { status: "RUNNING" });
    const end = await stop(stack);
    expect(end).toMatchObject({ exitCode: 0, stdout: "✘ stopped  Stopped by jane: wrong branch\n" });
    expect(stack.executions.stopped).toEqual([{ executionArn: arn, cause: "stopped by jane: wrong branch" }]);
    expect(requests).toEqual([]);
  });

  test("a run that begins at that moment is stopped as one that has begun", async () => {
    const { stack, requests, asked } = stackOf([{ run: null }, begun, begun, stopped]);
    known(stack, "run-1", { status: "RUNNING" });
    expect((await stop(stack)).exitCode).toBe(0);
    expect(requests).toMatchObject([{ by: "jane" }]);
    expect(asked).toEqual([arn]);
  });

  test.each([
    ["a run that nobody knows", { run: null }, null, /There is no run run-1/],
    [
      "one that is over",
      green,
      {},
      /The run run-1 is over already: green\.\n→ npx stepwatch status run-1 --stack s\n$/,
    ],
    ["one that has all but its verdict", { ...begun, run: runOf({ readyAtMs: 1 }) }, {}, /is over already\.\n/],
    [
      "one that never began",
      { run: null },
      { status: "FAILED", cause: "refused" },
      /did not begin or has expired: refused\./,
    ],
  ] as const)("%s is a usage error that names the next command", async (_, look, execution, message) => {
    const { stack, requests } = stackOf([look]);
    if (execution !== null) known(stack, "run-1", execution);
    const end = await stop(stack, "--stack", "s");
    expect(end.exitCode).toBe(2);
    expect(end.stderr).toMatch(message);
    expect(end.stderr).toMatch(/→ npx stepwatch .* --stack s\n$/);
    expect(requests).toEqual([]);
  });

  test("a reason is needed, and has its limits", async () => {
    const { stack } = stackOf([begun]);
    expect((await stepwatch(["stop", "run-1"], { stack })).stderr).toContain("--reason");
    expect((await stepwatch(["stop", "run-1", "--reason", " "], { stack })).exitCode).toBe(2);
    expect((await stepwatch(["stop", "run-1", "--reason", "x".repeat(501)], { stack })).stderr).toContain("500");
  });

  test("while it stops, status says by whom and why", async () => {
    const run = runOf({ stopRequestedAtMs: 1_700_000_200_000, stopReason: "wrong branch", stopRequestedBy: "jane" });
    const stack = fakeStack([{ ...begun, run }]);
    known(stack, "run-1");
    const text = await stepwatch(["status", "run-1"], { stack });
    expect(text.stdout).toContain("▸ stopping  by jane since 2023-11-14 22:16:40 UTC: wrong branch");
    const json = await stepwatch(["status", "run-1", "--json"], { stack });
    expect(JSON.parse(json.stdout).stop).toEqual({
      requestedAt: "2023-11-14T22:16:40.000Z",
      by: "jane",
      reason: "wrong branch",
      afterCurrent: false,
    });
  });
});

test("G33: whoever follows a run whose execution is ended in the console sees its verdict", async () => {
  const { stack } = stackOf([...Array(40).fill(begun), stopped]);
  const start = stack.executions.start.bind(stack.executions);
  stack.executions.start = async (...given) => {
    const started = await start(...given);
    stack.executions.set(started.executionArn, { status: "ABORTED" });
    return started;
  };
  const end = await stepwatch(["run", "shop"], { stack });
  expect(end.exitCode).toBe(1);
  expect(end.stderr).toContain("Its execution has ended (ABORTED): its tasks are being stopped");
  expect(end.stdout).toContain("✘ stopped");
});
