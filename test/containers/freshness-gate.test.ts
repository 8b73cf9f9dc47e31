import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { policySchema } from "#core/contracts/settings.ts";
import { artefactKeys } from "#core/names.ts";
import { taskRow } from "../support/ledger-rows.ts";
import { type Bench, type BenchOptions, benches, KEY } from "./bench.ts";
import { closing, concurrency, ended, manifestOf, started, version } from "./dbt-lines.ts";

const [WHEAT, RYE] = ["source.shop.raw.wheat", "source.shop.raw.rye"];
const [FLOUR, MEAL, BREAD] = ["model.shop.flour", "model.shop.meal", "model.shop.bread"];
const manifest = manifestOf([
  ...[{ id: WHEAT }, { id: RYE }],
  ...[
    { id: FLOUR, parents: [WHEAT] },
    { id: MEAL, parents: [RYE] },
    { id: BREAD, parents: [FLOUR, MEAL] },
  ],
]);
const builds = (...ids: string[]) => [
  ...[version(), { manifest: true }, concurrency(ids.length)],
  ...ids.flatMap((id) => [started(id), ended(id)]),
  closing(),
];
const sources = {
  results: [
    { unique_id: WHEAT, status: "error" },
    { unique_id: RYE, status: "pass" },
  ],
};
const script = { build: builds(MEAL, BREAD), manifest, ls: { ids: [FLOUR, MEAL, BREAD] }, sources };
const { sources: _, ...blind } = script;
const newBench = benches();

const gated = (freshness: object, more: Partial<BenchOptions> = {}) =>
  newBench({ script, policy: { freshness: policySchema.parse({ freshness }).freshness }, ...more });
const commands = (it: Bench) => it.noted().flatMap(({ started: name }) => (name && name !== "--version" ? [name] : []));
const argvOf = (it: Bench, command: string) => it.noted().find(({ started: name }) => name === command)?.argv ?? [];
/** The ids that a build of dbt 1 was told to build, by the results that it selects from. */
const chosen = (it: Bench): string[] => {
  const argv = argvOf(it, "build");
  expect(argv).toContain("result:error");
  const path = join(argv[argv.indexOf("--state") + 1]!, "run_results.json");
  return JSON.parse(readFileSync(path, "utf8")).results.map((one: { unique_id: string }) => one.unique_id);
};
const leftOut = (it: Bench) =>
  (it.plan()!.vertices as { uniqueId: string; leftOut?: string }[]).flatMap((one) =>
    one.leftOut ? [one.uniqueId] : [],
  );

test("H1: sources are seen first, then the plan is made, and dbt builds what is left by an exact selection", async () => {
  const it = await gated({ gate: "error" }, { run: { input: { project: "shop", select: ["tag:daily"] } } });
  await it.container();
  expect(commands(it)).toEqual(["source", "ls", "build"]);
  expect(leftOut(it)).toEqual([FLOUR]);
  expect(chosen(it)).toEqual([BREAD, MEAL]);
  expect(argvOf(it, "build")).not.toContain("tag:daily");
  expect((await it.task()).end).toMatchObject({ inOrder: true, cause: { kind: "none" } });
  expect(it.objects.get(artefactKeys.task("shop", "run-1", 1, "sources.json"))).toBe(JSON.stringify(sources));
});

test("H1: it works with a selector of selectors.yml, beside which dbt ignores --exclude", async () => {
  const it = await gated({ gate: "error" }, { run: { input: { project: "shop", selector: "daily" } } });
  await it.container();
  expect(argvOf(it, "ls")).toContain("daily");
  expect(argvOf(it, "build")).not.toContain("--selector");
  expect(chosen(it)).toEqual([BREAD, MEAL]);
});

test("H1: where every source is fresh dbt is started as ever", async () => {
  const fresh = { results: [{ unique_id: WHEAT, status: "warn" }] };
  const it = await gated(
    { gate: "error" },
    {
      script: { ...script, build: builds(FLOUR, MEAL, BREAD), sources: fresh },
      run: { input: { project: "shop", select: ["tag:daily"] } },
    },
  );
  await it.container();
  expect(leftOut(it)).toEqual([]);
  expect(argvOf(it, "build")).toContain("tag:daily");
});

test("H1: where everything is left out dbt builds nothing, and the end is in order", async () => {
  const old = { results: [WHEAT, RYE].map((unique_id) => ({ unique_id, status: "error" })) };
  const it = await gated({ gate: "error" }, { script: { ...script, sources: old } });
  await it.container();
  expect(commands(it)).toEqual(["source", "ls"]);
  expect((await it.task()).end).toMatchObject({
    inOrder: true,
    cause: { kind: "none", sentence: expect.stringContaining("left out everything") },
  });
});

test.each([
  ["dbt can not see its sources", null, "no connection"],
  [
    "the plan can not be made",
    { ls: { ids: [], exitCode: 2, stderr: "no such selector" } },
    "The freshness gate needs the run's plan",
  ],
])("H1: where %s nothing is built: the gate would let through what it is to hold back", async (_, changes, why) => {
  const it = await gated({ gate: "warn" }, { script: changes === null ? blind : { ...script, ...changes } });
  await it.container();
  expect(commands(it)).not.toContain("build");
  expect((await it.task()).end?.cause).toMatchObject({ kind: "environment", sentence: expect.stringContaining(why) });
});

test.each([
  ["sources are seen", blind],
  ["the plan is made", { ...script, ls: { ids: [], exitCode: 2 } }],
])("H1 D3: a container that is taken away while %s ends by that, so that another one follows", async (_, cutOff) => {
  const it = await gated({ gate: "error" }, { script: cutOff });
  it.stop.ask("terminated", "ECS takes the container away.");
  await it.container();
  expect(commands(it)).not.toContain("build");
  expect((await it.task()).end?.cause).toMatchObject({
    kind: "terminated",
    sentence: "ECS takes the container away.",
  });
});

test("H1: a task that plans anew decides by what the run's first has seen", async () => {
  const seen = { [artefactKeys.task("shop", "run-1", 1, "sources.json")]: JSON.stringify(sources) };
  const it = await gated(
    { gate: "error" },
    { kind: "plan", task: 2, objects: seen, script: { ...script, sources: { results: [] } } },
  );
  await it.container();
  expect(commands(it)).toEqual(["ls"]);
  expect(leftOut(it)).toEqual([FLOUR]);
});

test("H1 H13: what a step before the build saw, of some sources perhaps, is no word for the gate", async () => {
  const seen = { [artefactKeys.task("shop", "run-1", 1, "sources.json")]: JSON.stringify({ results: [] }) };
  const it = await gated({ gate: "error" }, { task: 2, objects: seen });
  await it.ledger.createTask(KEY, 1, taskRow(1, { kind: "command", step: "before-1" }));
  await it.container();
  expect(commands(it)).toEqual(["source", "ls", "build"]);
  expect(leftOut(it)).toEqual([FLOUR]);
});

/** A program of the project that decides, as a script in its folder. */
function decides(it: Bench, code: string): void {
  const path = join(it.projectDir, "decide");
  writeFileSync(path, `#!/bin/sh\n${code}\n`);
  chmodSync(path, 0o755);
}

test("H2: the project's program sees what dbt saw, and decides", async () => {
  const it = await gated({ gate: "error", command: ["./decide", "rye"] });
  decides(
    it,
    `grep -q '"status":"error"' "$STEPWATCH_SOURCES" && [ -n "$STEPWATCH_RUN_ID" ] && echo "{\\"stale\\": [\\"raw.$1\\"],"; echo '"fresh": ["raw.wheat"]}'`,
  );
  await it.container();
  expect(leftOut(it)).toEqual([MEAL]);
});

test("H2: gate: given asks dbt for nothing: the program, or the run's input, says it all", async () => {
  const it = await gated({ gate: "given", stale: ["raw.wheat"] });
  await it.container();
  expect(commands(it)).toEqual(["ls", "build"]);
  expect(leftOut(it)).toEqual([FLOUR]);
});

test.each([
  ["fails", "echo no calendar >&2; exit 3", "freshness.command (./decide) ended with exit code 3", "environment"],
  ["prints something else", "echo '{\"old\": []}'", "has to print one JSON object", "environment"],
  [
    "names a source that there is not",
    'echo \'{"stale": ["raw.weat"]}\'',
    "the dbt project has no source raw.weat",
    "parse",
  ],
])("H2: a program that %s lets nothing be built", async (_, code, why, kind) => {
  const it = await gated({ gate: "given", command: ["./decide"] });
  decides(it, code);
  await it.container();
  expect(commands(it)).not.toContain("build");
  expect((await it.task()).end?.cause).toMatchObject({ kind, sentence: expect.stringContaining(why) });
});
