import { expect, test } from "vitest";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import { runCli, runProject, startProject } from "../support/cli.ts";
import { redriveExecution, runningConsumer, stopExecution } from "../support/consumers.ts";
import {
  BELOW_APPLE,
  BESIDE_APPLE,
  expectRepaired,
  once,
  orchardBuilds,
  orchardId,
  redOrchard,
  vars,
} from "../support/orchard.ts";
import { ownStack } from "../support/own-stack.ts";
import { onlyRunning, repaired, statusOnce } from "../support/run-status.ts";

const deployed = ownStack();

test("G8: Redrive on the run's execution does the same as the command", async () => {
  const first = await redOrchard(deployed);
  await redriveExecution(deployed, first.executionArn);
  await expectRepaired(deployed, await repaired(deployed, first.runId));
}, 240_000);

test("G8 G33: a run that was stopped in the console is finished by a redrive, not begun again", async () => {
  const runId = await startProject(deployed, "orchard", vars({ slow: { quince: 20 } }));
  const live = await statusOnce(deployed, runId, onlyRunning([orchardId("quince")], [orchardId("quince_jelly")]));
  await runningConsumer(deployed, live, orchardId("quince"));
  await stopExecution(deployed, live.executionArn, "wrong moment");
  const stopped = await repaired(deployed, runId, "stopped");
  const before = await orchardBuilds(deployed, runId);
  await redriveExecution(deployed, stopped.executionArn);
  const summary = await repaired(deployed, runId);
  expect(summary).toMatchObject({ round: 2, rounds: [{ round: 1, state: "stopped" }] });
  const after = await orchardBuilds(deployed, runId);
  expect(after).toEqual(once([...BESIDE_APPLE, ...BELOW_APPLE]));
  expect(Object.keys(before).length).toBeGreaterThan(0);
}, 240_000);

test("G8: where the execution can not go on, as of a green run, a named node is built by a new run that adopts the rest", async () => {
  const { code, summary: first } = await runProject(deployed, "orchard");
  expect(code).toBe(0);
  const line = ["retry", first.runId, "--node", "plum_cake", "--config", deployed.configPath, "--json"];
  const end = await runCli(deployed, line);
  expect(end.code).toBe(0);
  const summary = JSON.parse(end.stdout) as RunSummary;
  expect(summary).toMatchObject({ state: "green", resumed: first.runId });
  expect(summary.runId).not.toBe(first.runId);
  expect(await orchardBuilds(deployed, summary.runId)).toEqual(once(["plum_cake"]));
}, 240_000);

test("G25: a node that is marked good lets build what is below it, and the verdict says by whose word", async () => {
  const { summary: first } = await runProject(deployed, "orchard", vars({ fail: { quince: 99 } }));
  expect(first.state).toBe("red");
  const config = ["--config", deployed.configPath];
  const mark = ["mark", first.runId, "good", "--node", "quince", "--reason", "loaded by hand", ...config];
  expect((await runCli(deployed, mark)).code).toBe(0);
  const end = await runCli(deployed, ["retry", first.runId, ...config, "--json"]);
  const summary = JSON.parse(end.stdout) as RunSummary;
  expect(summary).toMatchObject({ state: "green", verdict: expect.stringContaining("green by hand") });
  expect(summary.byHand).toMatchObject([{ uniqueId: orchardId("quince"), as: "good", reason: "loaded by hand" }]);
  expect(await orchardBuilds(deployed, first.runId)).toMatchObject({ quince_jelly: 1 });
}, 240_000);
