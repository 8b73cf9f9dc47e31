import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv } from "ajv";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { jsonSchemas } from "../../cli/json-schemas.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const kept = (file: string) => readFileSync(join(ROOT, file), "utf8");

test("the schemas of the package are those of the contracts: npm run schemas writes them", () => {
  for (const [file, text] of Object.entries(jsonSchemas()))
    expect(kept(file) === text, `${file} is out of date`).toBe(true);
});

test("stepwatch.yaml is completed and checked by its schema in an editor", () => {
  const holds = new Ajv({ strict: false, formats: { email: true, uri: true } }).compile(
    JSON.parse(kept("schemas/stepwatch.schema.json")),
  );
  expect(holds(parse(readFileSync(join(ROOT, "stepwatch.yaml"), "utf8")))).toBe(true);
  expect(holds({ projects: { shop: { projectDir: ".", policy: { retries: { node: 3 } } } } })).toBe(true);
  expect(holds({ projects: { shop: { projectDirectory: "." } } })).toBe(false);
  expect(holds({ projects: { shop: { projectDir: ".", producer: { capacity: "cheap" } } } })).toBe(false);
});
