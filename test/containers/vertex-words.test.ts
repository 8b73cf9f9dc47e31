import { expect, test } from "vitest";
import type { Change } from "#core/dbt/build-log.ts";
import type { VertexReading } from "#core/dbt/vertex-reading.ts";
import { vertexWrite } from "#core/dbt/vertex-write.ts";
import { afterWord, waitOf, worthWriting } from "../../containers/dbt-runner/vertex-words.ts";

const wait = (what: Change["what"], changes: Partial<VertexReading>): number => {
  const vertex = { resourceType: "model", materialized: "table", batches: [], ...changes } as unknown as VertexReading;
  return waitOf({ uniqueId: "model.shop.a", what, vertex });
};
const batch = (name: string) => ({ name, status: "started" });

test("D12 G17: what a kill must not take away is written at once: an incremental's start, a microbatch's first batch", () => {
  expect(wait("started", { materialized: "incremental" })).toBe(0);
  expect(wait("batch", { batches: [batch("2024-03-01")] })).toBe(0);
});

test("E3, G15: a row keeps 500 batches, whatever a model has: the ends of its window, and each that is not good", () => {
  const batches = Array.from({ length: 8_760 }, (_, n) => ({
    name: new Date(Date.UTC(2023, 0, 1, n)).toISOString(),
    status: n % 100 === 50 ? "error" : "success",
  }));
  const reading = { uniqueId: "model.shop.a", status: "partial success", class: "failed", batches };
  const kept = vertexWrite(reading as unknown as VertexReading).batches!;
  expect(kept).toHaveLength(500);
  expect([kept[0], kept.at(-1)]).toEqual([batches[0], batches.at(-1)]);
  expect(kept.filter(({ status }) => status === "error")).toEqual(batches.filter(({ status }) => status === "error"));
  expect(kept.map(({ name }) => name)).toEqual(kept.map(({ name }) => name).toSorted());
  expect(vertexWrite({ ...reading, batches: batches.slice(0, 500) } as unknown as VertexReading).batches).toHaveLength(
    500,
  );
});

test("C11, A5: what a word leaves out is taken back; a warning's text and a table that is gone are worth a write", () => {
  const word = (changes: object) => ({ uniqueId: "test.shop.t", status: "warn", evidence: true, ...changes });
  expect(afterWord(word({ relation: "db.t", failures: 1 }), word({ failures: 1 }))).toEqual(
    word({ failures: 1, relation: null }),
  );
  expect(afterWord(word({ relation: null }), word({}))).toEqual(word({}));
  expect(afterWord(undefined, word({}))).toEqual(word({}));
  expect(worthWriting(word({}), word({ message: "Got 1 result" }))).toBe(true);
  expect(worthWriting(word({ relation: "db.t" }), word({}))).toBe(true);
  expect(worthWriting(word({ status: "pass" }), word({ status: "pass", message: "OK" }))).toBe(false);
});

test("E3: other words wait for the next one about the same vertex, an end never", () => {
  expect(wait("started", {})).toBeGreaterThan(0);
  expect(wait("started", { resourceType: "test" })).toBeGreaterThan(wait("started", {}));
  expect(wait("batch", { batches: [batch("2024-03-01"), batch("2024-03-02")] })).toBeGreaterThan(0);
  expect(wait("ended", {})).toBe(0);
});

test("F9: a vertex that its build left open and that counts as failed has a last word in the ledger", () => {
  const reading = { uniqueId: "model.shop.a", status: "started", class: "failed", batches: [] };
  expect(vertexWrite(reading as unknown as VertexReading).status).toBe("error");
  expect(vertexWrite({ ...reading, class: null } as unknown as VertexReading).status).toBe("started");
});
