import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { s3Artefacts } from "#clients/s3-artefacts.ts";
import { type LatestKind, latestRunSchema } from "#core/contracts/latest.ts";
import { artefactKeys } from "#core/names.ts";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import { status } from "#local/embedded-aws.ts";
import { clientEnvironment } from "#local/endpoints.ts";
import { readDeployment } from "../../cli/deployment-record.ts";
import { runProject } from "../support/cli.ts";
import { endedExecution } from "../support/consumers.ts";
import { ownStack } from "../support/own-stack.ts";
import { askDuckdb, changeDuckdb, dbtBin } from "../support/warehouse.ts";

const deployed = ownStack();
const warehouse = join(deployed.folder, "mill.duckdb");
const project = join(deployed.folder, "mill");

/** Runs the mill; what follows its verdict is over when this answers. */
async function run(...options: string[]): Promise<RunSummary> {
  const { summary } = await runProject(deployed, "mill", options);
  await endedExecution(deployed, summary.executionArn);
  return summary;
}

const nodesIn = ({ nodes }: RunSummary, wanted: string): string[] =>
  nodes.flatMap(({ uniqueId, class: cls }) => (cls === wanted ? [uniqueId.split(".").at(-1)!] : [])).sort();

const loads = (table: string, age: string) =>
  changeDuckdb(
    warehouse,
    `create schema if not exists raw; create or replace table raw.${table} as select 1 as id, now()::timestamp - interval ${age} as loaded_at`,
  );

async function bucket() {
  const { endpoints } = await status({ stateDir: deployed.stateDir });
  Object.assign(process.env, clientEnvironment(endpoints!));
  return s3Artefacts({ bucket: readDeployment(deployed.stateDir)!.outputs.BucketName! });
}

const latest = async (kind: LatestKind) =>
  latestRunSchema.parse(await (await bucket()).getJson(artefactKeys.latest(kind, "mill", "run.json")));

/** What dbt itself reads of a state. */
const READ = `import json, sys
from pathlib import Path
from dbt.contracts.state import PreviousState
state = PreviousState(*[Path(sys.argv[1])] * 3)
print(json.dumps({
    "results": {one.unique_id: str(getattr(one.status, "value", one.status)) for one in state.results.results},
    "ids": [state.results.metadata.invocation_id, state.manifest.metadata.invocation_id],
    "sources": len(state.sources.results), "nodes": len(state.manifest.nodes)}))`;

let green: RunSummary;

beforeAll(async () => {
  await loads("wheat", "1 hour");
  await loads("rye", "1 hour");
});

test("H9, H10: a red run's results are the latest; result:error+ builds what failed there and what follows it", async () => {
  const red = await run("--vars", "broken: true");
  expect(red).toMatchObject({ state: "red" });
  expect(await latest("latest")).toMatchObject({ runId: red.runId, state: "red" });
  expect(await (await bucket()).getJson(artefactKeys.latest("latest-green", "mill", "run.json"))).toBeNull();

  const mended = await run("--select", "result:error+", "--state", "latest");
  expect(mended).toMatchObject({ state: "green" });
  expect(nodesIn(mended, "good")).toEqual(["bread", "meal"]);
  expect(await latest("latest"), "a filtered run is not the latest").toMatchObject({ runId: red.runId });
});

test("H10: a state that is not there is one sentence, and nothing is built", async () => {
  const none = await run("--select", "state:modified+", "--state", "latest-green");
  expect(none.state).toBe("red");
  expect(nodesIn(none, "good")).toEqual([]);
  expect(none.verdict).toContain("There is no state latest-green");
  expect(none.causes[0]!.nextStep).toContain("stateIfMissing: all");
});

test("H9: a green run's artefacts are what dbt itself reads, under one invocation id; its manifest is kept by commit", async () => {
  const first = ["--select", "state:modified+", "--state", "latest-green", "--state-if-missing", "all"];
  green = await run(...first, "--policy", "freshness.gate=warn", "--commit", "0a1b2c3");
  expect(green).toMatchObject({ state: "green" });
  expect(nodesIn(green, "good")).toEqual(["bread", "cake", "flour", "meal"]);
  const files = ["run_results.json", "manifest.json", "sources.json"];
  expect(await latest("latest-green")).toMatchObject({ runId: green.runId, commit: "0a1b2c3", files });

  const folder = mkdtempSync(join(deployed.folder, "read-"));
  const artefacts = await bucket();
  const fetched = (key: string, name: string) => artefacts.getFile(key, join(folder, name));
  for (const name of files) expect(await fetched(artefactKeys.latest("latest-green", "mill", name), name)).toBe(true);
  expect(await fetched(artefactKeys.commit("mill", "0a1b2c3"), "commit.json")).toBe(true);
  expect(readFileSync(join(folder, "commit.json"))).toEqual(readFileSync(join(folder, "manifest.json")));
  const said = execFileSync(join(await dbtBin(), "python"), ["-c", READ, folder], { encoding: "utf8" });
  const read = JSON.parse(said.trim().split("\n").at(-1)!);
  const words = [...green.nodes, ...green.tests].map(({ uniqueId, status: word }) => [uniqueId, word]);
  expect(read.results).toEqual(Object.fromEntries(words));
  expect(read.ids[0]).toBe(read.ids[1]);
  expect(read).toMatchObject({ sources: 2, nodes: 6 });
});

test("H10: state:modified+ against latest-green builds what an edit reaches, deferred, in a schema of its own", async () => {
  writeFileSync(join(project, "models/meal.sql"), "select id, 2 as grain from {{ source('raw', 'rye') }}\n");
  const slim = await run("--select", "state:modified+", "--state", "latest-green", "--defer", "--target", "ci");
  expect(slim).toMatchObject({ state: "green" });
  expect(nodesIn(slim, "good")).toEqual(["bread", "meal"]);
  const made = await askDuckdb(
    warehouse,
    "select table_name from information_schema.tables where table_schema = 'ci' order by 1",
  );
  expect(made.flat()).toEqual(["bread", "meal"]);
  expect(await latest("latest-green"), "another target is not the project's").toMatchObject({ runId: green.runId });
});

test("H10: source_status:fresher+ sees the sources first and builds what has moved since", async () => {
  await loads("wheat", "1 minute");
  const moved = await run("--select", "source_status:fresher+", "--state", green.runId);
  expect(moved).toMatchObject({ state: "green" });
  expect(nodesIn(moved, "good")).toEqual(["bread", "cake", "flour"]);
});

test("H1: what reads a stale source alone is left out, with a selector too; a clean parent keeps its child", async () => {
  await loads("wheat", "3 days");
  const gated = await run("--selector", "daily", "--policy", "freshness.gate=error");
  expect(gated).toMatchObject({ state: "green", counts: { skipped: 3 } });
  expect(gated.verdict).toContain("source.mill.raw.wheat is stale (dbt says error");
  expect(nodesIn(gated, "skipped")).toEqual(["cake", "flour"]);
  expect(nodesIn(gated, "good")).toEqual(["bread", "meal"]);
  expect(gated.tests.map(({ class: cls }) => cls).sort()).toEqual(["good", "skipped"]);
});

test("H2: the project's own program decides", async () => {
  const decided = await run("--policy", "freshness.gate=error", "--policy", "freshness.command=[python3, decide.py]");
  expect(decided).toMatchObject({ state: "green", counts: { skipped: 0 } });
  expect(nodesIn(decided, "good")).toEqual(["bread", "cake", "flour", "meal"]);
  expect(await latest("latest-green")).toMatchObject({ runId: decided.runId });
});
