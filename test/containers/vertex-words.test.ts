import { expect, test } from "vitest";
import type { Change, VertexReading } from "#core/dbt/build-log.ts";
import { waitOf } from "../../containers/dbt-runner/vertex-words.ts";

const wait = (what: Change["what"], changes: Partial<VertexReading>): number => {
  const vertex = { resourceType: "model", materialized: "table", batches: [], ...changes } as unknown as VertexReading;
  return waitOf({ uniqueId: "model.shop.a", what, vertex });
};
const batch = (name: string) => ({ name, status: "started" });

test("D12 G17: what a kill must not take away is written at once: an incremental's start, a microbatch's first batch", () => {
  expect(wait("started", { materialized: "incremental" })).toBe(0);
  expect(wait("batch", { batches: [batch("2024-03-01")] })).toBe(0);
});

test("E3: other words wait for the next one about the same vertex, an end never", () => {
  expect(wait("started", {})).toBeGreaterThan(0);
  expect(wait("started", { resourceType: "test" })).toBeGreaterThan(wait("started", {}));
  expect(wait("batch", { batches: [batch("2024-03-01"), batch("2024-03-02")] })).toBeGreaterThan(0);
  expect(wait("ended", {})).toBe(0);
});
