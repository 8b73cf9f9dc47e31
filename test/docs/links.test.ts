import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, test } from "vitest";
import { configSchema } from "#core/config.ts";
import { policySchema } from "#core/contracts/settings.ts";

const root = join(import.meta.dirname, "..", "..");
const documents = ["README.md", ...globSync("docs/**/*.md", { cwd: root })].sort();

const read = (path: string): string => readFileSync(join(root, path), "utf8");

interface Link {
  readonly text: string;
  /** Relative to the project's root. */
  readonly path: string;
  readonly anchor: string | undefined;
}

/** Relative links of a document; code is no link. */
function linksOf(document: string): Link[] {
  const prose = read(document).replace(/^```[\s\S]*?^```/gm, "");
  const found = [...prose.matchAll(/!?\[((?:`[^`]*`|[^\]])*)\]\(([^)\s]+)\)/g)];
  return found
    .map(([, text = "", target = ""]) => ({ text: text.replaceAll("`", ""), target }))
    .filter(({ target }) => !/^[a-z]+:/.test(target))
    .map(({ text, target }) => {
      const [path = "", anchor] = target.split("#");
      return { text, path: path === "" ? document : relative(root, join(root, dirname(document), path)), anchor };
    });
}

/** Anchors of a Markdown file, as GitHub makes them from its headings. */
function anchorsOf(document: string): Set<string> {
  const headings = [...read(document).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = ""]) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, "")
        .trim()
        .replaceAll(" ", "-"),
    ),
  );
}

const links = documents.flatMap((document) => linksOf(document).map((link) => ({ document, ...link })));

test("every relative link of README.md and docs/ leads somewhere", () => {
  const broken = links.filter(
    ({ path, anchor }) =>
      !existsSync(join(root, path)) || (anchor !== undefined && path.endsWith(".md") && !anchorsOf(path).has(anchor)),
  );
  expect(broken).toEqual([]);
});

test("every test that a document quotes exists under its title", () => {
  const quoted = links.filter(({ path }) => path.startsWith("test/") && path.endsWith(".ts"));
  const gone = quoted.filter(({ text, path }) => existsSync(join(root, path)) && !read(path).includes(text));
  expect(quoted).not.toEqual([]);
  expect(gone).toEqual([]);
});

test("every npm script that a document names exists", () => {
  const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
  const named = documents.flatMap((document) => [...read(document).matchAll(/\bnpm run ([\w:-]+)/g)]);
  expect(named.map(([, name = ""]) => name).filter((name) => !Object.hasOwn(scripts, name))).toEqual([]);
});

describe("the configuration reference of README.md", () => {
  /** First and second cell of each table row: names, and their defaults as text. */
  const rows = [...read("README.md").matchAll(/^\|([^|\n]+)\|([^|\n]*)\|/gm)].map(([, names = "", defaults = ""]) => ({
    names: [...names.matchAll(/`([\w.<>]+)`/g)].map(([, name = ""]) => name.replace(/^\./, "")),
    defaults: defaults
      .replaceAll("`", "")
      .split(",")
      .map((text) => text.trim()),
  }));
  const documented = new Map(
    rows.flatMap(({ names, defaults }) => names.map((name, at) => [name, defaults[at] ?? defaults[0] ?? ""] as const)),
  );

  test("names every policy with its default", () => {
    const { retries, freshness, ...flat } = policySchema.parse({});
    const within = (name: string, fields: object) =>
      Object.fromEntries(Object.entries(fields).map(([field, value]) => [`${name}.${field}`, value]));
    const wanted = { ...within("retries", retries), ...within("freshness", freshness), ...flat };
    for (const [name, value] of Object.entries(wanted))
      expect(`${name}: ${documented.get(name)}`).toBe(
        `${name}: ${Array.isArray(value) ? JSON.stringify(value) : value}`,
      );
  });

  test("names every field of stepwatch.yaml", () => {
    const fields = [...Object.keys(configSchema.shape), ...Object.keys(configSchema.shape.projects.valueType.shape)];
    const known = [...documented.keys()].flatMap((name) => name.split("."));
    expect(fields.filter((field) => !known.includes(field))).toEqual([]);
  });
});
