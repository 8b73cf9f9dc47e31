import { expect, it } from "vitest";
import { watchNode } from "../../functions/watch-node/watch-node.ts";
import { FakeExecutions } from "../support/fake-clients.ts";
import { runRow } from "../support/ledger-rows.ts";
import { memoryLedger } from "../support/memory-ledger.ts";

const key = { project: "shop", runId: "run-1", round: 1 };
const consumer = { contract: 1 as const, ...key, uniqueId: "a", part: "node" as const };

it("D19: a consumer of a run that nobody settles ends by itself, twenty minutes after the run's deadline", async () => {
  const ledger = memoryLedger();
  const executions = new FakeExecutions();
  const run = runRow(key);
  await ledger.createRun(run);
  const at = (minutes: number) =>
    watchNode("token", consumer, {
      ledger,
      executions,
      readPlan: async () => null,
      nowMs: () => run.deadlineAtMs + minutes * 60_000,
    });
  expect(await at(-1)).toBe("waiting");
  expect(await at(19)).toBe("waiting");
  expect(executions.answered).toEqual([]);
  expect(await at(21)).toBe("red");
  const error = { name: "NodeFailed" };
  expect(executions.answered).toMatchObject([{ taskToken: "token", error }]);
  expect(JSON.stringify(executions.answered[0]!.error)).toContain("nobody has settled it");
});
