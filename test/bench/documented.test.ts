import { expect, it } from "vitest";
import { withTables } from "../../bench/documented.ts";

const table = { title: "Times", columns: ["what", "s"], rows: [["a build", "3"]], notes: [] };
const text =
  "before\n\n<!-- bench:a -->\n\nold\n\n<!-- /bench:a -->\n\nbetween\n\n<!-- bench:b -->\n\nkept\n\n<!-- /bench:b -->\n";

it("a run's tables take the place of the old ones between their marks, and of nothing else", () => {
  const written = withTables(text, "a", "2 cores, today", [table]);
  expect(written).toContain("<!-- bench:a -->\n\n2 cores, today\n\n```\nTimes");
  expect(written).toContain("a build  3\n```\n\n<!-- /bench:a -->\n\nbetween");
  expect(written).toContain("kept");
  expect(written).not.toContain("old");
  expect(withTables(written, "a", "2 cores, today", [table])).toBe(written);
});

it("tables without a place in the document are refused", () => {
  expect(() => withTables(text, "c", "", [table])).toThrow("no place for the tables of c");
});
