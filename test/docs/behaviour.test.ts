import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..", "..");
const DOCUMENT = "docs/behaviour.md";
const read = (path: string): string => readFileSync(join(root, path), "utf8");

/** Chapter and number of a row; a range such as `B5–B13` names its ends. */
const ID = /(?<![\w#/.-])[A-H][1-9]\d?(?![\w/-])/g;

const rows = [...read(DOCUMENT).matchAll(/^\| ([A-H]\d+) \|/gm)].map(([, id = ""]) => id);

const sources = [
  "core",
  "clients",
  "functions",
  "containers",
  "infra",
  "cli",
  "local",
  "bench",
  "test",
  "docs",
].flatMap((folder) => globSync(`${folder}/**/*.{ts,md}`, { cwd: root }));

/** Ids of a title's head: `C2, C3: …`, `D12 G17: …`, `B5–B13: …`. */
const heads = (text: string): string[] =>
  [...text.matchAll(/["'`]((?:[A-H]\d+(?:, | and | |–))*[A-H]\d+):/g)].flatMap(([, head = ""]) => head.match(ID) ?? []);

test("each row stands once", () => {
  expect(rows.toSorted()).toEqual([...new Set(rows)].sort());
});

test("every id of a row that code, tests or documents name stands in docs/behaviour.md", () => {
  const known = new Set(rows);
  // Of code its comments and titles; elsewhere such a word may be anything (a type parameter, a hash).
  const named = sources.flatMap((path) =>
    read(path)
      .split("\n")
      .filter((line) => path.endsWith(".md") || /^\s*(?:\/\/|\/?\*)|\/\*\*/.test(line))
      .flatMap((line) => line.match(ID) ?? [])
      .concat(heads(read(path)))
      .filter((id) => !known.has(id))
      .map((id) => `${path}: ${id}`),
  );
  expect(named).toEqual([]);
});

test("every row is held by a test that begins with its id", () => {
  const held = new Set(sources.filter((path) => path.startsWith("test/")).flatMap((path) => heads(read(path))));
  expect(rows.filter((id) => !held.has(id))).toEqual([]);
});
