import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ServiceUnavailable } from "#core/errors.ts";
import { artefactKeys } from "#core/names.ts";
import { EXIT } from "../../containers/dbt-runner/exit-codes.ts";
import { planOf, vertex } from "../support/run-builders.ts";
import { type Bench, type BenchOptions, benches, KEY, until } from "./bench.ts";
import { closing, concurrency, ended, manifestOf, started, version } from "./dbt-lines.ts";

const A = "model.shop.a";
const manifest = manifestOf([{ id: A }]);
const PARSE = artefactKeys.partialParse(KEY.project, KEY.runId);
const PLAN = `runs/${KEY.project}/${KEY.runId}/plan.json`;
const parsed = [
  version(),
  { write: ["partial_parse.msgpack", "of the producer"] as [string, string] },
  { manifest: true },
];
const built = [concurrency(1), started(A), ended(A), closing()];
const fallback: BenchOptions = { set: [A], script: { build: [version(), ...built], manifest } };

const newBench = benches();

/** What dbt finds in a folder of the task. */
const found = (it: Bench, folder: "target" | "plan-target") => {
  const path = join(it.dir, "work", KEY.runId, "2", folder, "partial_parse.msgpack");
  return existsSync(path) ? readFileSync(path, "utf8") : null;
};

async function ofFallback(options: Partial<BenchOptions> = {}, parse: string | null = "of the producer") {
  const it = await newBench({ ...fallback, ...options });
  it.objects.set(PLAN, planOf([vertex(A)]));
  if (parse !== null) it.objects.set(PARSE, Buffer.from(parse));
  mkdirSync(join(it.projectDir, "target"), { recursive: true });
  writeFileSync(join(it.projectDir, "target/partial_parse.msgpack"), "of the image");
  return it;
}

test("D13: the producer's parse is in the bucket as soon as dbt has named a vertex, long before the build ends", async () => {
  const build = [...parsed, concurrency(1), started(A), { waitFor: "seen" }, ended(A), closing(), { exitCode: 1 }];
  const it = await newBench({ script: { build, manifest } });
  const ends = it.container();
  await until(() => it.objects.has(PARSE), "the parse in the bucket");
  expect((await it.task()).end).toBeUndefined();
  it.letGo("seen");
  expect(await ends).toBe(EXIT.recorded);
  expect(String(it.objects.get(PARSE))).toBe("of the producer");
  expect(readFileSync(join(it.projectDir, "target/partial_parse.msgpack"), "utf8")).toBe("of the producer");
});

test("D13: a parse that can not be uploaded is a line of the log, and the build is as good as any", async () => {
  const onPut = (key: string) => {
    if (key === PARSE) throw new ServiceUnavailable("S3 is away (a test's fault).");
  };
  const it = await newBench({ script: { build: [...parsed, ...built], manifest }, onPut });
  expect(await it.container()).toBe(EXIT.recorded);
  expect((await it.task()).end).toMatchObject({ inOrder: true, exitCode: 0 });
  expect(it.said("the partial parse could not be handed on")).toHaveLength(1);
});

test("D13: a fallback starts from the producer's parse, not from its image's, and does not send it back", async () => {
  const puts: string[] = [];
  const it = await ofFallback({ onPut: (key) => puts.push(key) });
  expect(await it.container()).toBe(EXIT.recorded);
  expect([found(it, "target"), found(it, "plan-target")]).toEqual(["of the producer", "of the producer"]);
  expect(puts).not.toContain(PARSE);
});

test.each([
  ["there is none", {}, null],
  [
    "S3 is away",
    {
      onGet: () => {
        throw new ServiceUnavailable("S3 is away (a test's fault).");
      },
    },
    "of the producer",
  ],
  ["the run forbids it", { run: { input: { project: "shop", noPartialParse: true } } }, "of the producer"],
  ["dbt is 2, which keeps none", { script: { ...fallback.script, version: "2.0.0" } }, "of the producer"],
] as const)("D13: a fallback builds all the same with what its image has when %s", async (_, options, parse) => {
  const it = await ofFallback(options as Partial<BenchOptions>, parse);
  expect(await it.container()).toBe(EXIT.recorded);
  expect((await it.task()).end).toMatchObject({ inOrder: true, exitCode: 0 });
  expect(found(it, "target")).toBe("of the image");
});
