import { beforeEach, describe, expect, it } from "vitest";
import type { Ledger } from "#clients/ledger.ts";
import { LOCK_FREE } from "#core/contracts/payloads.ts";
import { giveLockBack } from "../../functions/run-lock.ts";
import { startRun } from "../../functions/start-run/start-run.ts";
import { leavePlaces } from "../../functions/stop-run/places.ts";
import { FakeExecutions } from "../support/fake-clients.ts";
import { memoryLedger } from "../support/memory-ledger.ts";
import { exampleSettings } from "../support/projects.ts";

const arnOf = (name: string) => `arn:aws:states:us-east-1:000000000000:execution:run:${name}`;

let ledger: Ledger;
let executions: FakeExecutions;
let nowMs: number;

beforeEach(() => {
  ledger = memoryLedger();
  executions = new FakeExecutions();
  nowMs = 1_800_000_000_000;
});

/** A turn of one run under a token of its own. */
function turn(name: string, taskToken: string, deps: { ledger: Ledger } = { ledger }) {
  executions.set(arnOf(name), { status: "RUNNING" });
  nowMs += 1_000;
  const payload = {
    taskToken,
    input: { project: "shop" },
    catchesLockFree: true as const,
    execution: { arn: arnOf(name), name, startTime: "" },
    projects: { shop: exampleSettings() },
  };
  return startRun(payload, { ...deps, executions, nowMs: () => nowMs });
}

const run = async (runId: string) => (await ledger.readRun({ project: "shop", runId }))!;
const woken = () => executions.answered.map(({ taskToken }) => taskToken);

describe("G10: the lock goes on at once", () => {
  beforeEach(async () => {
    await turn("run-1", "of run-1");
    await turn("run-2", "first of run-2");
    await turn("run-3", "first of run-3");
  });

  it("G10: to the first that waits: its present wait ends by an error that Start run catches, and it takes the lock", async () => {
    await turn("run-2", "second of run-2");
    await giveLockBack(await run("run-1"), { ledger, executions });
    expect(executions.answered).toEqual([
      { taskToken: "second of run-2", error: { name: LOCK_FREE, cause: "Run run-2 is next." } },
    ]);
    expect(await turn("run-2", "third of run-2")).toMatchObject({ runId: "run-2" });
    expect((await ledger.readQueue("shop", "default")).map(({ runId }) => runId)).toEqual(["run-3"]);
  });

  it("G10: to the next whose wait still stands, where that of the first is over", async () => {
    executions.close("first of run-2");
    await giveLockBack(await run("run-1"), { ledger, executions });
    expect(woken()).toEqual(["first of run-3"]);
    executions.set(arnOf("run-2"), { status: "ABORTED" });
    expect(await turn("run-3", "second of run-3")).toMatchObject({ runId: "run-3" });
  });

  it("G10: past one that was woken, and whose execution was ended before it took the lock", async () => {
    await giveLockBack(await run("run-1"), { ledger, executions });
    executions.set(arnOf("run-2"), { status: "ABORTED" });
    await leavePlaces("shop", "run-2", { ledger, executions });
    expect(woken()).toEqual(["first of run-2", "first of run-3"]);
    expect(await turn("run-3", "second of run-3")).toMatchObject({ runId: "run-3" });
  });

  it("G10: to nobody while another run has it: giving back twice wakes once", async () => {
    const first = await run("run-1");
    await giveLockBack(first, { ledger, executions });
    await turn("run-2", "second of run-2");
    await giveLockBack(first, { ledger, executions });
    expect(woken()).toEqual(["first of run-2"]);
    expect(await ledger.readLock("shop", "default")).toMatchObject({ runId: "run-2" });
  });

  it("G10: an entry without a token, of an earlier version, is left to look by itself", async () => {
    await ledger.leaveQueue("shop", "default", { runId: "run-2", atMs: 0 });
    await ledger.joinQueue("shop", "default", { runId: "run-2", atMs: 1, executionArn: arnOf("run-2") });
    await giveLockBack(await run("run-1"), { ledger, executions });
    expect(woken()).toEqual(["first of run-3"]);
  });
});

it("G10: an execution of an earlier version, whose machine catches no hand-over, is left to look by itself", async () => {
  await turn("run-1", "of run-1");
  executions.set(arnOf("run-2"), { status: "RUNNING" });
  const execution = { arn: arnOf("run-2"), name: "run-2", startTime: "" };
  const payload = { taskToken: "old", input: { project: "shop" }, execution, projects: { shop: exampleSettings() } };
  expect(await startRun(payload, { ledger, executions, nowMs: () => nowMs })).toBeNull();
  await giveLockBack(await run("run-1"), { ledger, executions });
  expect(executions.answered).toEqual([]);
});

describe("G10: a lock that is given back while a run comes to wait for it is not missed", () => {
  it.each(["readLock", "readRun", "joinQueue", "takeLock"] as const)(
    "just before the run's %s, and just after: it has the lock, or its wait is ended",
    async (method) => {
      for (const after of [false, true]) {
        ledger = memoryLedger();
        executions = new FakeExecutions();
        await turn("run-1", "of run-1");
        const first = await run("run-1");
        let given = false;
        const giving = async () => {
          if (given) return;
          given = true;
          await giveLockBack(first, { ledger, executions });
        };
        const meanwhile = async (...args: unknown[]) => {
          if (!after) await giving();
          const answer = await (ledger[method] as (...all: unknown[]) => Promise<unknown>)(...args);
          await giving();
          return answer;
        };
        const reference = await turn("run-2", "of run-2", { ledger: { ...ledger, [method]: meanwhile } });
        expect(reference !== null || woken().includes("of run-2"), after ? "after" : "before").toBe(true);
      }
    },
  );
});
