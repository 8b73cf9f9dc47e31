import { expect, test } from "vitest";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import { runCli, runProject } from "../support/cli.ts";
import { BELOW_APPLE, once, orchardBuilds, redOrchard } from "../support/orchard.ts";
import { ownStack } from "../support/own-stack.ts";

const deployed = ownStack();

test("G8: a red run whose execution is not redriven is repaired by a new run that adopts what is good", async () => {
  expect((await runProject(deployed, "orchard", ["--select", "apple"])).code).toBe(0);
  const first = await redOrchard(deployed);
  const config = ["--config", deployed.configPath];
  const mark = ["mark", first.runId, "good", "--node", "apple", "--reason", "its table is yesterday's", ...config];
  expect((await runCli(deployed, mark)).code).toBe(0);
  // An engine that redrives nothing leaves no choice; another is asked for what needs a new run too.
  const options = deployed.endpoint?.lacks.redrive === undefined ? ["--image", "current"] : [];
  const end = await runCli(deployed, ["retry", first.runId, ...options, ...config, "--json"]);
  expect(end.code, end.stderr).toBe(0);
  const summary = JSON.parse(end.stdout) as RunSummary;
  expect(summary).toMatchObject({ state: "green", resumed: first.runId });
  expect(summary.runId).not.toBe(first.runId);
  expect(await orchardBuilds(deployed, summary.runId)).toEqual(once(BELOW_APPLE.filter((name) => name !== "apple")));
}, 240_000);
