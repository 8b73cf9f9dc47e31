import { expect, test } from "vitest";
import { sampleArgv, sampledRows } from "#core/dbt/failing-rows.ts";

const folders = { projectDir: "p", profilesDir: "p", targetDir: "t", logDir: "l" };

test("C11: one dbt process reads the first rows of all of them, limited as the adapter limits, and builds nothing", () => {
  const tests = [
    { uniqueId: "test.shop.a", relation: '"shop"."audit"."a"' },
    { uniqueId: "test.shop.b", relation: "`shop`.`audit`.`{{ b }}`" },
  ];
  const argv = sampleArgv(folders, { target: "prod", vars: { day: "x" } }, tests, 5);
  expect(argv.slice(0, 1)).toEqual(["compile"]);
  expect(argv.join(" ")).toContain("--target prod");
  const jinja = argv.at(-1)!;
  expect(jinja).toContain('["test.shop.a", "\\"shop\\".\\"audit\\".\\"a\\""]');
  expect(jinja).toContain("get_show_sql(");
  // A brace in a name opens no block of Jinja.
  expect(jinja).toContain("\\u007b\\u007b b \\u007d\\u007d");
});

test("C11: rows are read out of a line whatever stands before them; any other line tells nothing", () => {
  const told = { id: "test.shop.a", columns: ["id", "name"], rows: [["1", null]] };
  const read = { uniqueId: "test.shop.a", sample: { columns: ["id", "name"], rows: [["1", null]] } };
  expect(sampledRows(`\u001b[0m09:16:56  stepwatch-rows ${JSON.stringify(told)}`)).toEqual(read);
  for (const line of ["", "stepwatch-rows {", 'stepwatch-rows {"id": 1}', "other {}"])
    expect(sampledRows(line)).toBeNull();
});
