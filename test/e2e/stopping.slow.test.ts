import { userInfo } from "node:os";
import { expect, test } from "vitest";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import { runCli, startProject } from "../support/cli.ts";
import { endedConsumers, executionStatus, runningConsumer, stopExecution } from "../support/consumers.ts";
import { needs } from "../support/needs.ts";
import { nodeOf, orchardId, vars } from "../support/orchard.ts";
import { ownStack } from "../support/own-stack.ts";
import { statusOnce } from "../support/run-status.ts";
import { askPostgres } from "../support/warehouse.ts";

const deployed = ownStack();
const over = (summary: RunSummary) => summary.state !== "running";

/** A run that sleeps in one model for far longer than any test waits. */
async function sleeping(): Promise<RunSummary> {
  const runId = await startProject(deployed, "orchard", vars({ slow: { plum: 600 } }));
  const live = await statusOnce(deployed, runId, (one) => nodeOf(one, "plum")?.class === "running");
  await runningConsumer(deployed, live, orchardId("plum"));
  return live;
}

const sleepsInWarehouse = async () => {
  const sql =
    "select count(*) from pg_stat_activity where state = 'active' and query like '%pg_sleep(%' and pid <> pg_backend_pid()";
  return (await askPostgres(deployed, sql))[0]?.[0];
};

/** What holds of a run that was stopped, whoever did it. */
async function expectStopped(summary: RunSummary): Promise<void> {
  expect(summary.state).toBe("stopped");
  expect(summary.tasks.map((task) => [task.kind, task.state])).toEqual([["producer", "over"]]);
  expect(await sleepsInWarehouse()).toBe(0);
  expect(nodeOf(summary, "plum")).toMatchObject({ class: "interrupted", reason: expect.stringContaining("topped") });
  const consumers = await endedConsumers(deployed, summary);
  expect(consumers.get(orchardId("plum"))).toBe("FAILED");
  const text = await runCli(deployed, ["status", summary.runId, "--config", deployed.configPath]);
  expect(text.code).toBe(1);
  expect(text.stdout).toMatch(new RegExp(`✘ stopped .*\\n[^]* npx stepwatch retry ${summary.runId} --config .*\\n$`));
}

test("G33 G12 G10: an execution that is stopped in the console: dbt is interrupted, row, consumers and lock say so, the run that waits begins at once", async (context) => {
  needs(context, "stop an execution in the middle of a wait");
  const live = await sleeping();
  const next = await startProject(deployed, "orchard", ["--select", "apple"]);
  const waits = await runCli(deployed, ["status", next, "--config", deployed.configPath]);
  expect(waits.stderr).toContain(`the run ${live.runId} of orchard holds its lock`);
  await stopExecution(deployed, live.executionArn, "wrong day");
  const summary = await statusOnce(deployed, live.runId, over).catch(() => null);
  const ended = summary ?? (await statusOnce(deployed, live.runId, over));
  expect(ended.verdict).toBe("Stopped: its execution was stopped in Step Functions: wrong day");
  await expectStopped(ended);
  expect(await executionStatus(deployed, live.executionArn)).toBe("ABORTED");
  const after = await statusOnce(deployed, next, over);
  expect(after.state).toBe("green");
  // A turn of the queue is a minute.
  expect(Date.parse(after.timings.startedAt) - Date.parse(ended.timings.finishedAt!)).toBeLessThan(20_000);
}, 240_000);

test("G12: stepwatch stop: the same, by whom and why; the next run begins at once", async () => {
  const live = await sleeping();
  const stop = ["stop", live.runId, "--reason", "wrong branch", "--config", deployed.configPath];
  const end = await runCli(deployed, [...stop, "--json"]);
  expect(end.code).toBe(0);
  expect(end.stderr).toContain("nothing more is launched, and dbt is interrupted");
  const summary = JSON.parse(end.stdout) as RunSummary;
  expect(summary.verdict).toMatch(new RegExp(`^Stopped by ${userInfo().username} at .* UTC: wrong branch$`));
  await expectStopped(summary);
  const again = await runCli(deployed, stop);
  expect(again).toMatchObject({ code: 2, stderr: expect.stringContaining("is over already: stopped.") });
  const next = await startProject(deployed, "orchard", ["--select", "apple"]);
  const startedAtMs = Date.now();
  const begun = await statusOnce(deployed, next, () => true).catch(() => statusOnce(deployed, next, () => true));
  expect(Date.parse(begun.timings.startedAt) - startedAtMs).toBeLessThan(20_000);
  await statusOnce(deployed, next, over);
}, 240_000);

test("G12: a run that waits leaves the queue when it is stopped, and the one that it waits for goes on", async (context) => {
  needs(context, "stop an execution in the middle of a wait");
  const live = await startProject(deployed, "orchard", ["--select", "plum", ...vars({ slow: { plum: 12 } })]);
  await statusOnce(deployed, live, (one) => nodeOf(one, "plum")?.class === "running");
  const next = await startProject(deployed, "orchard", ["--select", "apple"]);
  const waiting = await runCli(deployed, ["stop", next, "--reason", "not needed", "--config", deployed.configPath]);
  expect(waiting).toMatchObject({ code: 0, stdout: expect.stringContaining("not needed") });
  expect((await statusOnce(deployed, live, over)).state).toBe("green");
}, 240_000);

test("G12: stepwatch stop --after-current lets the build end, and nothing follows it", async () => {
  const live = await startProject(deployed, "orchard", vars({ fail: { apple: 1 }, slow: { plum: 12 } }));
  await statusOnce(deployed, live, (one) => nodeOf(one, "plum")?.class === "running");
  const stop = ["stop", live, "--after-current", "--reason", "enough", "--config", deployed.configPath, "--json"];
  const end = await runCli(deployed, stop);
  const summary = JSON.parse(end.stdout) as RunSummary;
  expect(summary.state).toBe("stopped");
  expect(summary.tasks).toHaveLength(1);
  expect(summary.tasks[0]).toMatchObject({ kind: "producer", exitCode: 1 });
  expect(nodeOf(summary, "plum").class).toBe("good");
  expect(nodeOf(summary, "apple")).toMatchObject({ class: "failed", tries: 1 });
  expect(nodeOf(summary, "mixed_jam").class).toBe("not_built");
}, 240_000);
