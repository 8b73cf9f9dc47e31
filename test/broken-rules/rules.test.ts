import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { BROKEN_RULES, withoutText } from "./rules.ts";

const root = join(import.meta.dirname, "../..");

test("each rule that `npm run break-rules` breaks stands in its source, once", () => {
  expect(withoutText(BROKEN_RULES, (file) => readFileSync(join(root, file), "utf8"))).toEqual([]);
});

test("each of them names tests that are there, and changes something", () => {
  for (const { rule, tests, text, broken } of BROKEN_RULES) {
    const gone = tests.filter((path) => !existsSync(join(root, path)));
    expect(gone, rule).toEqual([]);
    expect(broken, rule).not.toBe(text);
  }
  expect(new Set(BROKEN_RULES.map(({ rule }) => rule)).size).toBe(BROKEN_RULES.length);
});
