import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { artefactKeys } from "#core/names.ts";
import { type Bench, type BenchOptions, benches, KEY } from "./bench.ts";
import { closing, concurrency, ended, manifestOf, started, version } from "./dbt-lines.ts";

const A = "model.shop.a";
const manifest = manifestOf([{ id: A }]);
const good = [version(), { manifest: true }, concurrency(1), started(A), ended(A), closing()];
const script = { build: good, manifest, ls: { ids: [A] } };
const newBench = benches();

const pointer = (kind: "latest" | "latest-green", runId: string) => ({
  [artefactKeys.latest(kind, "shop", "run.json")]: {
    contract: 1,
    project: "shop",
    runId,
    state: "green",
    startedAt: "",
    finishedAt: null,
    invocationId: null,
    commit: null,
    files: ["manifest.json", "run_results.json"],
  },
});
const ofRun = (runId: string, file: string, text = `${file} of ${runId}`) => ({
  [artefactKeys.run("shop", runId, file)]: text,
});
const past = {
  ...pointer("latest-green", "past"),
  ...ofRun("past", "manifest.json"),
  ...ofRun("past", "run_results.json"),
};

/** A container with a state, as its run's input names it. */
const given = (input: object, more: Partial<BenchOptions> = {}) =>
  newBench({ script, run: { input: { project: "shop", ...input } }, ...more });

/** The arguments with which dbt was started for this. */
const argvOf = (it: Bench, command: string): readonly string[] =>
  it.noted().find(({ started }) => started === command)?.argv ?? [];
const valueAfter = (argv: readonly string[], flag: string) => argv[argv.indexOf(flag) + 1] ?? "";
const isIn = (folder: string) =>
  ["manifest.json", "run_results.json", "sources.json"].filter((name) => existsSync(join(folder, name)));

test("H10: latest-green is fetched before dbt starts, from the run that it is of, and kept for all tasks of the run", async () => {
  const it = await given({ select: ["state:modified+"], state: "latest-green", defer: true }, { objects: past });
  await it.container();
  for (const command of ["build", "ls"]) {
    const folder = valueAfter(argvOf(it, command), "--state");
    expect(isIn(folder)).toEqual(["manifest.json", "run_results.json"]);
    expect(readFileSync(join(folder, "manifest.json"), "utf8")).toBe("manifest.json of past");
  }
  expect(it.objects.get(artefactKeys.state("shop", KEY.runId, "state"))).toEqual({
    contract: 1,
    prefix: "runs/shop/run-1/state/1/state/",
    files: ["manifest.json", "run_results.json"],
  });
});

test("H10 G2: a later task compares with what the run's first has kept, whatever is the latest by then", async () => {
  const kept = "runs/shop/run-1/state/1/state/";
  const it = await given(
    { select: ["state:modified+"], state: "latest-green", defer: true },
    {
      task: 2,
      objects: {
        ...past,
        [artefactKeys.state("shop", "run-1", "state")]: { contract: 1, prefix: kept, files: ["manifest.json"] },
        [`${kept}manifest.json`]: "the first task's",
      },
    },
  );
  await it.container();
  const folder = valueAfter(argvOf(it, "build"), "--state");
  expect(readFileSync(join(folder, "manifest.json"), "utf8")).toBe("the first task's");
  expect(isIn(folder)).toEqual(["manifest.json"]);
});

test("H10: a run that goes on with another compares with what that one has compared with", async () => {
  const kept = "runs/shop/before/state/1/state/";
  const it = await given(
    {},
    {
      run: { input: { project: "shop", select: ["state:modified+"], state: "latest-green" }, resumed: "before" },
      objects: {
        ...past,
        [artefactKeys.state("shop", "before", "state")]: { contract: 1, prefix: kept, files: ["manifest.json"] },
        [`${kept}manifest.json`]: "as it was then",
      },
    },
  );
  await it.container();
  expect(readFileSync(join(valueAfter(argvOf(it, "build"), "--state"), "manifest.json"), "utf8")).toBe(
    "as it was then",
  );
  // For a run that goes on with this one.
  expect(it.objects.get(artefactKeys.state("shop", "run-1", "state"))).toMatchObject({ prefix: kept });
});

test.each([
  ["another run of the project", { state: "run:past" }, {}],
  ["a run by its id, where no folder is called so", { state: "past" }, {}],
  ["a commit", { state: "commit:0a1b" }, { [artefactKeys.commit("shop", "0a1b")]: "manifest.json of past" }],
  [
    "the latest, whose run's own artefacts have expired",
    { state: "latest" },
    { [artefactKeys.latest("latest", "shop", "manifest.json")]: "manifest.json of past" },
  ],
])("H10: the state may be %s", async (_, options, objects) => {
  const it = await given(options, { objects: { ...past, ...objects } });
  await it.container();
  const folder = valueAfter(argvOf(it, "build"), "--state");
  expect(readFileSync(join(folder, "manifest.json"), "utf8")).toBe("manifest.json of past");
});

test("H10: a place in another bucket, for --state and --defer-state apart; a folder of the project stays dbt's own", async () => {
  const elsewhere = { "prod-artefacts/dbt/manifest.json": "theirs" };
  const it = await given({ state: "past", deferState: "s3://prod-artefacts/dbt" }, { objects: past, elsewhere });
  mkdirSync(join(it.projectDir, "past"));
  await it.container();
  const argv = argvOf(it, "build");
  expect(valueAfter(argv, "--state")).toBe("past");
  expect(readFileSync(join(valueAfter(argv, "--defer-state"), "manifest.json"), "utf8")).toBe("theirs");
});

test.each([
  ["latest-green", "no run of the whole project shop, on its own target, has been green"],
  ["latest", "no run of the whole project shop, on its own target, has its verdict yet"],
  ["run:nobody", "run nobody of project shop has left no manifest.json"],
  ["commit:0a1b", "has named the commit 0a1b"],
  ["s3://nowhere/dbt", "no manifest.json lies there, or the task's role may not read it"],
])(
  "H10: without the state %s nothing is built, and one sentence says why and which option lets it",
  async (state, why) => {
    const it = await given({ select: ["state:modified+"], state });
    await it.container();
    expect(argvOf(it, "build")).toEqual([]);
    const { end } = await it.task();
    expect(end?.cause).toMatchObject({ kind: "flags", sentence: expect.stringContaining(why) });
    expect(end?.cause.sentence).toContain(`There is no state ${state}`);
    expect(end?.cause.nextStep).toContain("stateIfMissing: all");
  },
);

test("H10: with stateIfMissing: all the first run of all builds everything, and its later tasks do too", async () => {
  const input = { select: ["state:modified+"], state: "latest-green", defer: true, stateIfMissing: "all" };
  const it = await given(input);
  await it.container();
  const argv = argvOf(it, "build");
  for (const flag of ["--state", "--select", "--defer"]) expect(argv).not.toContain(flag);
  expect(it.plan()).toMatchObject({ narrowed: false });
  const later = await given(input, { task: 2, objects: { ...past, ...Object.fromEntries(it.objects) } });
  await later.container();
  expect(argvOf(later, "build")).not.toContain("--state");
});

test("H10: source_status: selections run dbt source freshness first, and keep what it saw", async () => {
  const sources = { results: [{ unique_id: "source.shop.raw.orders", status: "pass" }] };
  const it = await given(
    { select: ["source_status:fresher+"], state: "latest-green" },
    { objects: { ...past, ...ofRun("past", "sources.json") }, script: { ...script, sources } },
  );
  await it.container();
  const [, first, ...beside] = it.noted().map(({ started }) => started);
  expect([first, ...beside.sort()], "the list is made beside the build").toEqual(["source", "build", "ls"]);
  for (const command of ["build", "ls"]) {
    const target = valueAfter(argvOf(it, command), "--target-path");
    expect(JSON.parse(readFileSync(join(target, "sources.json"), "utf8"))).toEqual(sources);
    expect(isIn(valueAfter(argvOf(it, command), "--state"))).toContain("sources.json");
  }
  expect(it.objects.get(artefactKeys.task("shop", "run-1", 1, "sources.json"))).toBe(JSON.stringify(sources));
});

test("H10: where dbt can not say how fresh sources are, what is selected by it is not built", async () => {
  const it = await given({ select: ["source_status:fresher+"], state: "latest-green" }, { objects: past });
  await it.container();
  expect(argvOf(it, "build")).toEqual([]);
  expect((await it.task()).end?.cause.sentence).toContain("no connection");
});
