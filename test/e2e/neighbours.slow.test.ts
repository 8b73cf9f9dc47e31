import { expect, onTestFinished, test } from "vitest";
import { runCli, startProject } from "../support/cli.ts";
import { ownStack } from "../support/own-stack.ts";
import { statusOnce } from "../support/run-status.ts";

const deployed = ownStack();

const stepwatch = (...line: string[]) => runCli(deployed, [...line, "--config", deployed.configPath]);
const run = async (...options: string[]) =>
  JSON.parse((await stepwatch("run", "orchard", "--json", ...options)).stdout) as { state: string; verdict: string };

/** A model takes its time: these runs last longer than the commands that are given meanwhile. */
const slowly = (vars: object): string[] => ["--vars", JSON.stringify({ ...vars, slow: { pear: 25 } })];

/** The evidence of a lock that shows this run waiting; the lock stays where it is. */
async function waiting(runId: string): Promise<string> {
  for (;;) {
    const { code, stderr } = await stepwatch("unlock", "orchard", "--reason", "a test looks");
    if (code !== 2) throw new Error(`unlock ended with ${code}: the run that was to hold the lock is gone.\n${stderr}`);
    if (stderr.includes(`run ${runId}, since`)) return stderr;
  }
}

/** The line of a run in the list of runs, once it has ended. */
async function listed(runId: string): Promise<{ state: string; verdict: string }> {
  for (;;) {
    const { runs } = JSON.parse((await stepwatch("runs", "orchard", "--json")).stdout);
    const found = runs.find((one: { runId: string }) => one.runId === runId);
    if (found && found.state !== "running") return found;
  }
}

test("G10 G22 G25: a run that waits begins as the one before it ends; meanwhile others are skipped, are duplicates, or meet a pause", async () => {
  onTestFinished(() => stepwatch("resume", "orchard").then(() => undefined));
  const first = await startProject(deployed, "orchard", slowly({ fail: { apple: 1 } }));
  await statusOnce(deployed, first, ({ state }) => state === "running");
  const second = await startProject(deployed, "orchard", ["--dedupe-key", "event-1", ...slowly({})]);
  const evidence = await waiting(second);
  expect(evidence).toContain(`held by    run ${first} of orchard`);
  expect(evidence).toContain(`The run ${first} goes on: its execution runs`);
  const [skipped, duplicate] = await Promise.all([run("--overlap", "skip"), run("--dedupe-key", "event-1")]);
  expect(skipped).toMatchObject({ state: "skipped", verdict: expect.stringContaining("(overlap: skip)") });
  expect(duplicate).toMatchObject({ state: "skipped", verdict: expect.stringContaining(`Duplicate of run ${second}`) });

  const ended = await statusOnce(deployed, first, ({ state }) => state === "green");
  const begun = await statusOnce(deployed, second, ({ state }) => state === "running" || state === "green");
  const betweenMs = Date.parse(begun.timings.startedAt) - Date.parse(ended.timings.finishedAt!);
  expect(betweenMs).toBeGreaterThanOrEqual(0);
  // A turn in the queue is a minute; handed over it was 54 ms when this was written.
  expect(betweenMs).toBeLessThan(5_000);

  const third = await startProject(deployed, "orchard");
  await stepwatch("pause", "orchard", "--reason", "a test pauses");
  const refused = await stepwatch("run", "orchard");
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining("npx stepwatch resume orchard") });
  expect((await statusOnce(deployed, second, ({ state }) => state === "green")).counts.failed).toBe(0);
  expect(await listed(third)).toMatchObject({ state: "skipped", verdict: expect.stringContaining("a test pauses") });
  expect((await stepwatch("resume", "orchard")).code).toBe(0);
});
