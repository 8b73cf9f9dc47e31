import { describe, expect, it } from "vitest";
import { adapterResponseOf, readAdapterResponses } from "#core/dbt/adapter-response.ts";

const BIGQUERY = {
  _message: "CREATE TABLE (1.2k rows, 3.4 MiB processed)",
  code: "CREATE TABLE",
  rows_affected: 1200,
  bytes_processed: 3_565_158,
  bytes_billed: 10_485_760,
  location: "EU",
  project_id: "shop-prod",
  job_id: "0d6b2f54-2a7c-4a4e-9d6c-1f0f3a5d2b11",
  slot_ms: 8_412,
};

describe("adapter_response", () => {
  it.each([
    [BIGQUERY, BIGQUERY],
    [
      { query_id: "01b2", rows_affected: 3, nested: { a: 1 }, list: [1], none: null, empty: "" },
      { query_id: "01b2", rows_affected: 3 },
    ],
    [{}, null],
    [null, null],
    ["OK", null],
  ])("%j is kept as its numbers and words", (said, kept) => {
    expect(adapterResponseOf(said)).toEqual(kept);
  });

  it("is bounded, and what a query is looked up by stays", () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`field_${n}`, "x".repeat(40)]));
    const kept = adapterResponseOf({ ...many, slot_ms: 5, query_id: "01b2" })!;
    expect(kept).toMatchObject({ slot_ms: 5, query_id: "01b2" });
    expect(JSON.stringify(kept).length).toBeLessThanOrEqual(500);
  });

  it("is read from run_results.json by unique_id; from anything else there is none", () => {
    const results = [
      { unique_id: "model.shop.orders", adapter_response: BIGQUERY },
      { unique_id: "model.shop.failed", adapter_response: {} },
    ];
    const read = readAdapterResponses(JSON.stringify({ metadata: {}, results }));
    expect([...read]).toEqual([["model.shop.orders", BIGQUERY]]);
    for (const text of ["", "not JSON", '{"results": [', "[]"]) expect(readAdapterResponses(text).size).toBe(0);
  });
});
