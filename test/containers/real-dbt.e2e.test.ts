import { execFile } from "node:child_process";
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DEFAULT_DBT_PACKAGES } from "#core/config.ts";
import { classOfStatus } from "#core/dbt/status.ts";
import { artefactKeys } from "#core/names.ts";
import { type Plan, planSchema } from "#core/run/planning/plan.ts";
import { ensureVenv } from "#local/python.ts";
import { EXIT } from "../../containers/dbt-runner/exit-codes.ts";
import { wordsOfDbt } from "../support/words-of-dbt.ts";
import { type Bench, bench, KEY } from "./bench.ts";

/** Another dbt 1.x than the default one can be named by this variable, to see what this version does. */
const OTHER_DBT = process.env.STEPWATCH_TEST_DBT;
const run = promisify(execFile);

const SEED = "seed.jaffle_shop.raw_customers";
const PROJECT = join(import.meta.dirname, "../../examples/jaffle-shop");

const isSource = (path: string) => !/\/(target|logs)(\/|$)|\.duckdb/.test(path);

let it: Bench;
let dbt: string;

beforeAll(async () => {
  dbt = OTHER_DBT ?? join((await ensureVenv(DEFAULT_DBT_PACKAGES, { label: "the dbt environment" })).bin, "dbt");
  it = await bench({ script: {}, executable: dbt });
  cpSync(PROJECT, it.projectDir, { recursive: true, filter: isSource });
});
afterAll(() => it?.remove());

test("A11: jaffle-shop ends vertex by vertex as dbt 1.11 says, and its plan is what dbt selects", async () => {
  expect(await it.container()).toBe(EXIT.recorded);
  const words = wordsOfDbt(it.lines);
  expect(Object.keys(words).length).toBeGreaterThan(20);
  expect(await it.statuses()).toEqual(words);
  const end = (await it.task()).end;
  expect(end).toMatchObject({ inOrder: true, exitCode: 0, cause: { kind: "none" }, contradictions: [], filled: [] });
  const plan: Plan = planSchema.parse(it.plan());
  expect(plan.source).toBe("manifest");
  const unreported = plan.vertices.filter((vertex) => vertex.builds && words[vertex.uniqueId] === undefined);
  expect(unreported).toEqual([]);
  const ids = new Set(plan.vertices.map((vertex) => vertex.uniqueId));
  expect(Object.keys(words).filter((id) => !ids.has(id))).toEqual([]);
});

test("H6: with a selection the plan is what dbt ls lists, made beside the build", async () => {
  const made = await bench({
    script: {},
    executable: dbt,
    run: { input: { select: ["+orders"], exclude: ["resource_type:unit_test"] } },
  });
  cpSync(it.projectDir, made.projectDir, { recursive: true });
  try {
    expect(await made.container()).toBe(EXIT.recorded);
    const plan = planSchema.parse(made.plan());
    expect(plan.source).toBe("ls");
    const built = plan.vertices.filter((vertex) => vertex.builds).map((vertex) => vertex.uniqueId);
    expect(Object.keys(wordsOfDbt(made.lines)).toSorted()).toEqual(built.toSorted());
    expect(plan.vertices.some((vertex) => vertex.resourceType === "unit_test")).toBe(false);
  } finally {
    made.remove();
  }
});

test("G1: a recovery build runs exactly its set", async () => {
  const plan = planSchema.parse(it.plan());
  const set = plan.vertices
    .filter((vertex) => vertex.builds && (vertex.resourceType === "test" || vertex.resourceType === "snapshot"))
    .slice(0, 4);
  const made = await bench({ script: {}, executable: dbt, set: set.map((vertex) => vertex.uniqueId) });
  cpSync(it.projectDir, made.projectDir, { recursive: true });
  made.objects.set("runs/shop/run-1/plan.json", plan);
  try {
    expect(await made.container()).toBe(EXIT.recorded);
    expect(Object.keys(wordsOfDbt(made.lines)).toSorted()).toEqual(set.map((vertex) => vertex.uniqueId).toSorted());
    expect(made.said("reported is not claimed")).toEqual([]);
    expect((await made.task()).end).toMatchObject({ inOrder: true, exitCode: 0 });
    expect(Object.values(await made.statuses()).every((status) => classOfStatus(status ?? "") === "good")).toBe(true);
  } finally {
    made.remove();
  }
});

test("D13: where a connection's value differs between image and task, the first task parses anew and a fallback does not", async () => {
  const env = { JAFFLE_DUCKDB: "of_the_task.duckdb" };
  const produced = await bench({ script: {}, executable: dbt, env });
  const made = await bench({ script: {}, executable: dbt, env, set: [SEED] });
  try {
    cpSync(PROJECT, produced.projectDir, { recursive: true, filter: isSource });
    const baking = { ...process.env, JAFFLE_DUCKDB: "of_the_image.duckdb" };
    await run(dbt, ["parse", "--profiles-dir", "."], { cwd: produced.projectDir, env: baking });
    cpSync(produced.projectDir, made.projectDir, { recursive: true });
    expect(await produced.container()).toBe(EXIT.recorded);
    const keys = ["plan.json", artefactKeys.partialParse(KEY.project, KEY.runId)] as const;
    made.objects.set(`runs/${KEY.project}/${KEY.runId}/${keys[0]}`, produced.plan());
    made.objects.set(keys[1], produced.objects.get(keys[1]));
    expect(await made.container()).toBe(EXIT.recorded);
    expect((await made.task()).end).toMatchObject({ inOrder: true, exitCode: 0 });
    const said = (one: Bench) => one.lines.filter((line) => line.includes('"name": "UnableToPartialParse"'));
    expect(said(produced).join()).toMatch(/profile has changed/);
    expect(said(made)).toEqual([]);
  } finally {
    produced.remove();
    made.remove();
  }
});

test("D13: a fallback in a fresh image parses nothing anew: it starts from the producer's parse in the bucket", async () => {
  const produced = await bench({ script: {}, executable: dbt });
  const made = await bench({ script: {}, executable: dbt, set: [SEED] });
  try {
    for (const one of [produced, made]) cpSync(PROJECT, one.projectDir, { recursive: true, filter: isSource });
    expect(await produced.container()).toBe(EXIT.recorded);
    const parse = produced.objects.get(artefactKeys.partialParse(KEY.project, KEY.runId));
    const plan = planSchema.parse(produced.plan());
    expect(plan.vertices.map((vertex) => vertex.uniqueId)).toContain(SEED);
    made.objects.set(`runs/${KEY.project}/${KEY.runId}/plan.json`, plan);
    made.objects.set(artefactKeys.partialParse(KEY.project, KEY.runId), parse);
    expect(await made.container()).toBe(EXIT.recorded);
    const cold = (one: Bench) => one.lines.some((line) => line.includes('"name": "UnableToPartialParse"'));
    expect([cold(produced), cold(made)]).toEqual([true, false]);
    // dbt writes its parse only if it has parsed anything: another one would hold other times.
    const used = readFileSync(join(made.dir, "work", KEY.runId, "2/target/partial_parse.msgpack"));
    expect(used.equals(parse as Buffer)).toBe(true);
  } finally {
    produced.remove();
    made.remove();
  }
});
