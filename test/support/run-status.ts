import { setTimeout as wait } from "node:timers/promises";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import { UsageError } from "../../cli/failure.ts";
import { connect } from "../../cli/real-context.ts";
import { resourcesOf } from "../../cli/resources.ts";
import { readRun } from "../../cli/run-lookup.ts";
import type { Deployed } from "./e2e-setup.ts";
import { useStack } from "./place.ts";

const LOOK_MS = 300;

/**
 * The first status of a run for which `holds`; a run that ends before is an error at once. It is what `stepwatch status
 * --json` prints, read in this process: a command that starts again and again takes a core from what it looks at.
 */
export const statusOnce = (deployed: Deployed, runId: string, holds: (summary: RunSummary) => boolean) =>
  firstStatus(deployed, runId, (summary) => {
    const isIt = holds(summary);
    if (!isIt && summary.state !== "running")
      throw new Error(`The run ended before: ${summary.state} ${summary.verdict}`);
    return isIt;
  });

/**
 * A run in its middle, with nothing in doubt: these nodes work for some seconds more, some wait for them, and all else is
 * good. To end a build while another model commits would show what dbt did not get to say, which is built again.
 */
export const onlyRunning = (running: readonly string[], waiting: readonly string[]) => (summary: RunSummary) => {
  const atWork = summary.nodes.filter(({ uniqueId, class: word }) => running.includes(uniqueId) && word === "running");
  const others = summary.nodes.filter(({ uniqueId }) => ![...running, ...waiting].includes(uniqueId));
  return atWork.length === running.length && others.every((node) => node.class === "good");
};

/** A run that ended red shows that until its next round is open: asked until it has ended otherwise. */
export function repaired(deployed: Deployed, runId: string, state = "green"): Promise<RunSummary> {
  const untilMs = Date.now() + 180_000;
  return firstStatus(deployed, runId, (summary) => {
    if (summary.state !== state && Date.now() > untilMs)
      throw new Error(`The run ${runId} is ${summary.state}: ${summary.verdict}`);
    return summary.state === state;
  });
}

async function firstStatus(
  deployed: Deployed,
  runId: string,
  isIt: (summary: RunSummary) => boolean,
): Promise<RunSummary> {
  const outputs = await useStack(deployed);
  const stack = connect(resourcesOf("tests", outputs), deployed.endpoint === null ? "embedded" : "endpoint");
  for (;;) {
    const summary = await readRun(stack, runId, Date.now(), "", () => []).catch(unlessNotBegun);
    if (summary !== null && isIt(summary)) return summary;
    await wait(LOOK_MS);
  }
}

/** A run that waits for its lock has no row yet. */
function unlessNotBegun(error: unknown): null {
  if (error instanceof UsageError) return null;
  throw error;
}
