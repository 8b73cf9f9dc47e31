import { expect, test } from "vitest";
import { policySchema } from "#core/contracts/settings.ts";
import { artefactKeys } from "#core/names.ts";
import { taskRow } from "../support/ledger-rows.ts";
import { planOf, vertex } from "../support/run-builders.ts";
import { benches, KEY } from "./bench.ts";
import { closing, concurrency, ended, started, version } from "./dbt-lines.ts";

const ID = "model.shop.tides";

const newBench = benches();

const build = [version(), concurrency(1), started(ID), ended(ID), closing()];
const manifest = { metadata: { project_name: "shop" }, nodes: {} };

test.each([
  ["2.0.9", "dbt 2.0.9"],
  ["1.11.16", "a dbt that is no Python"],
])("G30: hooks: once with %s (%s): nothing is built, and the end says what to do", async (dbtVersion) => {
  const made = await newBench({ script: { version: dbtVersion, build, manifest }, policy: { hooks: "once" } });
  expect(await made.container()).toBe(0);
  expect(made.noted().filter((one) => one.started === "build")).toEqual([]);
  const { end } = await made.task();
  expect(end).toMatchObject({ inOrder: false, exitCode: null, cause: { kind: "environment" } });
  expect(end!.cause.sentence).toContain("nothing was built. Set hooks: each");
});

test("G30 H1: with hooks: once the look at sources runs no hook of the project, or is not taken", async () => {
  const { freshness } = policySchema.parse({ freshness: { gate: "error" } });
  const script = { build, manifest, ls: { ids: [ID] }, sources: { results: [] } };
  const made = await newBench({ script, policy: { hooks: "once", freshness } });
  await made.container();
  expect(made.noted().filter((one) => one.started === "source")).toEqual([]);
  expect((await made.task()).end?.cause.sentence).toContain("nothing was built. Set hooks: each");
});

test("G30: with hooks: each dbt is started as ever, in a first build and in one of a set", async () => {
  for (const set of [undefined, [ID]]) {
    const made = await newBench({ script: { build, manifest }, ...(set ? { set } : {}) });
    made.objects.set("runs/shop/run-1/plan.json", planOf([vertex(ID)]));
    await made.container();
    const dbt = made.noted().find((one) => one.started === "build");
    expect(dbt!.env).not.toHaveProperty("STEPWATCH_HOOKS");
  }
});

test("G30: a task for hooks alone whose results can not be read ends with a word, and starts no dbt", async () => {
  const made = await newBench({ script: { build, manifest }, kind: "hooks" });
  await made.container();
  expect(made.noted().filter((one) => one.started === "build")).toEqual([]);
  expect((await made.task()).end).toMatchObject({ cause: { kind: "environment" } });
});

test("G30 H10: a task for hooks alone has the sources that the run has seen, without which dbt could not select by them", async () => {
  const seen = artefactKeys.task("shop", "run-1", 1, "sources.json");
  const brief = { start: false, done: [], results: [] };
  const made = await newBench({
    ...{ script: { build, manifest }, policy: { hooks: "once" }, task: 2, rowsOf: 9 },
    objects: { [seen]: "{}", hooks: { uniqueIds: [], claims: [], hooks: brief } },
    run: { input: { project: "shop", select: ["source_status:fresher+"], state: "./past" } },
  });
  await made.ledger.createTask(KEY, 1, taskRow(2, { kind: "hooks", setKey: "hooks" }));
  await made.ledger.markClaimed(KEY, 2);
  await made.container();
  expect(made.said("source freshness of an earlier task")).toHaveLength(1);
});
