import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Bundles, bundle } from "../../infra/bundle.ts";
import { FUNCTION_NAMES } from "../../infra/deployed-names.ts";

const ROOT = dirname(dirname(import.meta.dirname));
const ENVIRONMENT = {
  STEPWATCH_TABLE: "table",
  STEPWATCH_LINEAGE: JSON.stringify({ url: "https://lineage.example.com", namespace: "n", warehouses: {} }),
  STEPWATCH_ALERTS: JSON.stringify({ on: ["failed"], repeatHours: 24 }),
  STEPWATCH_BUCKET: "bucket",
  STEPWATCH_CONSUMER_MACHINE_ARN: "arn:aws:states:us-east-1:000000000000:stateMachine:stepwatch-consumer",
  AWS_REGION: "us-east-1",
};

let outdir: string;
let bundles: Bundles;
beforeAll(async () => {
  outdir = mkdtempSync(join(tmpdir(), "stepwatch-bundle-"));
  bundles = await bundle(ROOT, outdir);
});
afterAll(() => rmSync(outdir, { recursive: true, force: true }));

describe("a bundle", () => {
  test.each(FUNCTION_NAMES)("of %s is one file that loads alone and has a handler", (name) => {
    const file = join(bundles.functionFolder(name), "index.mjs");
    const program = `const { handler } = await import(${JSON.stringify(pathToFileURL(file).href)}); process.stdout.write(typeof handler);`;
    const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "--eval", program], {
      cwd: outdir,
      env: ENVIRONMENT,
      encoding: "utf8",
    });
    expect({ stdout, stderr }).toEqual({ stdout: "function", stderr: "" });
    expect(statSync(file).size).toBeLessThan(5_000_000);
  });

  test("of the runner starts alone, and says what its environment lacks", () => {
    const { stdout, stderr, status } = spawnSync(process.execPath, [bundles.runnerFile], {
      cwd: outdir,
      env: {},
      encoding: "utf8",
    });
    expect(status).toBe(64);
    expect(stdout + stderr).toContain("STEPWATCH_TABLE");
  });
});

test("bundled again, what is right stays the same file, and what is not is replaced by another: never half of one is read", async () => {
  const [right, wrong] = [bundles.runnerFile, join(bundles.functionFolder("wake"), "index.mjs")];
  const content = readFileSync(wrong, "utf8");
  writeFileSync(wrong, "half of");
  const inodes = () => [right, wrong].map((file) => statSync(file).ino);
  const before = inodes();
  await bundle(ROOT, outdir);
  expect(readFileSync(wrong, "utf8")).toBe(content);
  expect(inodes().map((inode, index) => inode === before[index])).toEqual([true, false]);
  expect(readdirSync(bundles.functionFolder("wake"))).toEqual(["index.mjs"]);
});

test("an entry point that is not there is named", async () => {
  await expect(bundle(outdir, outdir)).rejects.toThrow("functions/start-run/handler.ts does not exist.");
});
