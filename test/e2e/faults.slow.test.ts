import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { StartExecutionCommand } from "@aws-sdk/client-sfn";
import { expect, test } from "vitest";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import { writeLocalImage } from "#local/ecs/local-image.ts";
import { status } from "#local/embedded-aws.ts";
import { AUDIT_OF_RUN, auditRows, wrongsOf } from "../support/audit.ts";
import { runCli, startProject } from "../support/cli.ts";
import { endedConsumers, eventClients, redriveExecution, runningConsumer, stopConsumer } from "../support/consumers.ts";
import { containerPid, dbtPid } from "../support/containers.ts";
import { imageOf, withoutImage, withVariable } from "../support/images.ts";
import { ownStack } from "../support/own-stack.ts";
import { RefusingProxy } from "../support/refusing-proxy.ts";
import { onlyRunning, statusOnce } from "../support/run-status.ts";
import { askDuckdb, askPostgres } from "../support/warehouse.ts";

const deployed = ownStack();
const projectDir = join(deployed.folder, "granary");
const id = (name: string) => `model.granary.${name}`;
const vars = (value: unknown) => ["--vars", JSON.stringify(value)];
const nodeOf = (summary: RunSummary, name: string) => summary.nodes.find((node) => node.uniqueId === id(name))!;
const kindsOf = (summary: RunSummary) => summary.tasks.map((task) => task.kind);
const isRunning = (name: string) => (summary: RunSummary) => nodeOf(summary, name)?.class === "running";
const LONG = { timeout: 300_000 };

const BREAD = ["rye", "rye_flour", "rye_bread", "wheat", "wheat_flour", "wheat_bread", "mixed_bread"];
const OATS = ["oats", "porridge"];
const ALL = [...BREAD, ...OATS, "milk", "cheese", "sandwich"];

/** What stands in the warehouse of a run is these nodes, each built once, each on its parents' last builds. */
async function expectBuilt(runId: string, names: readonly string[], project = "granary"): Promise<void> {
  const rows =
    project === "granary_duck"
      ? await askDuckdb(join(deployed.folder, "granary.duckdb"), AUDIT_OF_RUN("rows", runId))
      : await askPostgres(deployed, AUDIT_OF_RUN("granary", runId));
  const audit = auditRows(rows);
  expect(wrongsOf(audit)).toEqual([]);
  expect(audit.map((row) => row.name).sort()).toEqual([...names].sort());
}

async function ended(runId: string, state = "green"): Promise<RunSummary> {
  const summary = await statusOnce(deployed, runId, (one) => one.state !== "running");
  expect(summary.state, summary.verdict ?? "").toBe(state);
  return summary;
}

/** A run in its middle: `cheese` works for some seconds more, `sandwich` waits for it, something is good. */
async function halfBuilt(project = "granary"): Promise<string> {
  const runId = await startProject(deployed, project, vars({ slow: { cheese: 12 } }));
  await statusOnce(deployed, runId, onlyRunning([id("cheese")], [id("sandwich")]));
  return runId;
}

test(
  "D4 D10: the supervisor alone is killed in the middle: its dbt does not outlive it, what was cut off is built once more",
  LONG,
  async () => {
    const runId = await halfBuilt();
    process.kill(await containerPid(deployed, runId, 1), "SIGKILL");
    const summary = await ended(runId);
    expect(summary.tasks[0]).toMatchObject({ state: "over", exitCode: 137 });
    expect(summary.tasks.length).toBeGreaterThan(1);
    await expectBuilt(runId, ALL);
  },
);

test(
  "D4 D10: on DuckDB supervisor and dbt are killed in the middle: what is good stays, the rest is built once",
  LONG,
  async () => {
    const runId = await halfBuilt("granary_duck");
    process.kill(-(await containerPid(deployed, runId, 1)), "SIGKILL");
    const summary = await ended(runId);
    expect(summary.tasks.length).toBeGreaterThan(1);
    await expectBuilt(runId, ALL, "granary_duck");
  },
);

test(
  "D10 E4: a supervisor that stands still for three times lostAfterSeconds and comes back: nobody builds beside it",
  LONG,
  async () => {
    const runId = await halfBuilt();
    const pid = await containerPid(deployed, runId, 1);
    process.kill(pid, "SIGSTOP");
    // Its heart does not beat: the run asks ECS, which says that the task runs.
    for (const untilMs = Date.now() + 12_000; Date.now() < untilMs; ) {
      const live = await statusOnce(deployed, runId, () => true);
      expect([live.state, live.tasks.length]).toEqual(["running", 1]);
    }
    process.kill(pid, "SIGCONT");
    const summary = await ended(runId);
    expect(kindsOf(summary)).toEqual(["producer"]);
    await expectBuilt(runId, ALL);
  },
);

test(
  "E2 G10 F16: the ledger refuses a container's writes for eight seconds, the run is started again under its name, a consumer is stopped: each node is built once",
  LONG,
  async () => {
    const { endpoints } = await status({ stateDir: deployed.stateDir });
    const proxy = new RefusingProxy(endpoints!.awsEndpointUrl);
    const behind = { AWS_ENDPOINT_URL_DYNAMODB: await proxy.listen() };
    try {
      const runId = await withVariable(deployed, projectDir, behind, () => halfBuilt());
      proxy.refuses = true;
      const untilMs = Date.now() + 8_000;
      const live = await statusOnce(deployed, runId, () => true);
      await startAgain(live);
      await runningConsumer(deployed, live, id("cheese"));
      await stopConsumer(deployed, live, id("cheese"));
      while (Date.now() < untilMs) await statusOnce(deployed, runId, (one) => one.state === "running");
      proxy.refuses = false;
      const summary = await ended(runId);
      expect(proxy.refused).toBeGreaterThan(1);
      expect(kindsOf(summary)).toEqual(["producer"]);
      expect((await endedConsumers(deployed, summary)).get(id("cheese"))).toBe("ABORTED");
      await expectBuilt(runId, ALL);
    } finally {
      await proxy.close();
    }
  },
);

test(
  "G20 G6: two roots fail, one is mended by an edit of the project between producer and fallback: what they share is built once, on both",
  LONG,
  async () => {
    const rye = join(projectDir, "models", "rye.sql");
    const right = readFileSync(rye, "utf8");
    try {
      writeFileSync(rye, `${right.trimEnd()} where cast('unripe' as integer) = 1\n`);
      const options = [...vars({ fail: { wheat: 1 } }), "--policy", "retryDelaySeconds=6"];
      const runId = await startProject(deployed, "granary", options);
      await statusOnce(deployed, runId, (one) => one.tasks[0]?.state === "over");
      writeFileSync(rye, right);
      const summary = await ended(runId);
      expect(kindsOf(summary).toSorted()).toEqual(["fallback", "fallback", "producer", "recovery"]);
      expect([nodeOf(summary, "rye").tries, nodeOf(summary, "wheat").tries]).toEqual([2, 2]);
      await expectBuilt(runId, ALL);
    } finally {
      writeFileSync(rye, right);
    }
  },
);

test(
  "G21 G8: a model that kills every build takes nobody with it; redriven where nothing kills it, it and what waits for it are built",
  LONG,
  async () => {
    const options = [...vars({ slow: { milk: 12 }, slow_tries: 2 }), "--policy", "losses=1"];
    const runId = await startProject(deployed, "granary", options);
    for (const task of [1, 2]) {
      const milkAlone = onlyRunning([id("milk")], [id("cheese"), id("sandwich")]);
      await statusOnce(deployed, runId, (one) => milkAlone(one) && one.tasks.length === task);
      process.kill(await dbtPid(deployed, runId, task), "SIGKILL");
    }
    const red = await ended(runId, "red");
    expect(red.causes.map((cause) => cause.uniqueId)).toEqual([id("milk")]);
    expect(nodeOf(red, "milk").reason).toContain("Each of 2 builds that ran it was killed");
    await expectBuilt(runId, [...BREAD, ...OATS]);
    await redriveExecution(deployed, red.executionArn);
    expect(await untilGreen(runId)).toMatchObject({ round: 2, rounds: [{ round: 1, state: "red" }] });
    await expectBuilt(runId, ALL);
  },
);

test(
  "D11: a launch that never starts, since its image can not be pulled, is tried again and uses no try",
  LONG,
  async () => {
    const runId = await withoutImage(deployed, projectDir, async () => {
      // Its launches must not be used up before this test has seen one of them fail.
      const started = await startProject(deployed, "granary", ["--select", "milk+", "--policy", "launchFailures=50"]);
      // Noticed within a second or two: what is shown is the refusal, seldom the task that came to nothing.
      await statusOnce(deployed, started, ({ tasks: [task] }) => /CannotPullContainer/.test(task?.end ?? ""));
      return started;
    });
    const summary = await ended(runId);
    expect(kindsOf(summary)).toEqual(["producer"]);
    expect(summary.nodes.map((node) => node.tries)).toEqual([1, 1, 1]);
    await expectBuilt(runId, ["milk", "cheese", "sandwich"]);
  },
);

/** A second StartExecution under the name of a run, with another input: Step Functions refuses it. */
async function startAgain({ executionArn, runId }: RunSummary): Promise<void> {
  const { machines } = await eventClients(deployed);
  const stateMachineArn = executionArn.replace(":execution:", ":stateMachine:").replace(/:[^:]+$/, "");
  const again = machines.send(new StartExecutionCommand({ stateMachineArn, name: runId, input: "{}" }));
  await expect(again).rejects.toMatchObject({ name: "ExecutionAlreadyExists" });
}

/** A run that ended red shows that until its next round is open. */
async function untilGreen(runId: string): Promise<RunSummary> {
  for (const untilMs = Date.now() + 120_000; ; ) {
    const end = await runCli(deployed, ["status", runId, "--config", deployed.configPath, "--json"]);
    const summary = JSON.parse(end.stdout) as RunSummary;
    if (summary.state === "green") return summary;
    if (Date.now() > untilMs) throw new Error(`The run ${runId} is ${summary.state}: ${summary.verdict}`);
  }
}

/** The image under another digest; each of its containers leaves its run's id behind. */
function markedImage(): { readonly reference: string; readonly runs: () => string[] } {
  const { path, image } = imageOf(deployed, projectDir);
  const marks = join(deployed.folder, "marks");
  writeFileSync(marks, "");
  const reference = decodeURIComponent(basename(path, ".json")).replace(/[0-9a-f]{64}$/, "e".repeat(64));
  const script = `echo $STEPWATCH_RUN_ID >> ${marks}; exec "$0" "$@"`;
  writeLocalImage(deployed.stateDir, reference, {
    ...image,
    Entrypoint: ["/bin/sh", "-c", script, ...(image.Entrypoint ?? [])],
  });
  return { reference, runs: () => readFileSync(marks, "utf8").trim().split("\n") };
}

test(
  "D14: an image that a person chooses is the next run's; a live run ends with its own, fallbacks too",
  LONG,
  async () => {
    const config = ["--config", deployed.configPath];
    const { reference, runs } = markedImage();
    const options = { slow: { cheese: 12 }, fail: { rye: 1 } };
    const live = await startProject(deployed, "granary", vars(options));
    await statusOnce(deployed, live, isRunning("cheese"));
    expect((await runCli(deployed, ["image", "granary", reference, ...config])).code).toBe(0);
    const first = await ended(live);
    expect(first.tasks.length).toBeGreaterThan(1);
    const next = await startProject(deployed, "granary", ["--select", "milk"]);
    await ended(next);
    expect((await runCli(deployed, ["image", "granary", "--deployed", ...config])).code).toBe(0);
    await ended(await startProject(deployed, "granary", ["--select", "milk"]));
    expect(new Set(runs())).toEqual(new Set([next]));
  },
);
