import { describe, expect, test } from "vitest";
import { aboutVertex, readable } from "../../cli/log-text.ts";

const own = (event: string, facts: object) =>
  JSON.stringify({ stepwatch: { event, at: "2026-01-31T06:00:09.120Z", ...facts } });

describe("a container's log for people", () => {
  test.each([
    ["facts", own("planned", { vertices: 51, source: "manifest" }), "planned (vertices 51, source manifest)"],
    ["a sentence", own("recorded", { sentence: "All good.", lost: 0 }), "recorded: All good. (lost 0)"],
    ["what is not known, empty, or asked for", own("x", { signal: null, warnings: [], run: "r", task: 1 }), "x"],
    ["times and words", own("dbt ended", { exitCode: 1, tookMs: 9652 }), "dbt ended (exit code 1, took 9.7 s)"],
    ["lists", own("starting dbt", { argv: ["build", "--threads", "4"] }), "starting dbt (argv build --threads 4)"],
  ])("the supervisor's own lines: %s", (_what, line, text) => {
    expect(readable(line, false)).toBe(`06:00:09  stepwatch: ${text}`);
  });

  test("a message of dbt's with several lines stays below its time", () => {
    const line = JSON.stringify({ info: { ts: "2026-01-31T06:00:09Z", msg: "Runtime Error\n  no such table" } });
    expect(readable(line, false)).toBe("06:00:09  Runtime Error\n            no such table");
  });

  test("anything else is shown as it is", () => {
    for (const line of ["Killed", "{", "{}", "null", '{"a": 1}', '{"stepwatch": 1}'])
      expect(readable(line, true)).toBe(line);
  });

  test("lines about a vertex are not those about one whose id begins with its own", () => {
    const about = aboutVertex("model.shop.orders");
    expect(about('{"unique_id": "model.shop.orders"}')).toBe(true);
    expect(about("model.shop.orders failed.")).toBe(true);
    expect(about('{"msg": "\\u001b[31mmodel.shop.orders\\u001b[0m"}')).toBe(true);
    expect(about('{"msg": "upstream:\\nmodel.shop.orders"}')).toBe(true);
    for (const other of [
      "model.shop.orders_daily",
      "model.shop.orders-eu",
      "model.shop.orders.v2",
      "submodel.shop.orders",
    ])
      expect(about(`{"unique_id": "${other}"}`), other).toBe(false);
  });
});
