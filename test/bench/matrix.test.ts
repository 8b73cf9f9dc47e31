import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { cellsOf, joined, type MatrixCell } from "../../bench/matrix.ts";
import type { Overhead } from "../../bench/overhead.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const machine = { cores: 2, processor: "x", memoryGib: 8, node: "v24.0.0", at: "2026-11-29T10:00:00.000Z" };
const cell = (models: number, watch: "wake" | "poll", ratio: number): MatrixCell => {
  return { models, threads: 8, shared: 0, watch, runs: [{ ratio } as Overhead] };
};

test("pieces of the matrix are one table: each cell once, with the runs of all pieces", () => {
  const cells = joined([cell(185, "poll", 1.2), cell(185, "wake", 1.1), cell(50, "wake", 1.3), cell(185, "wake", 1)]);
  expect(cells.map(({ models, watch, runs }) => [models, watch, runs.map(({ ratio }) => ratio)])).toEqual([
    [50, "wake", [1.3]],
    [185, "wake", [1.1, 1]],
    [185, "poll", [1.2]],
  ]);
});

test("a piece that another machine measured is refused", () => {
  const path = join(temporaryFolder("matrix"), "piece.json");
  writeFileSync(path, JSON.stringify({ machine, matrix: [cell(50, "wake", 1)] }));
  expect(cellsOf(path, { ...machine, at: "2026-11-29T11:00:00.000Z" })).toHaveLength(1);
  expect(() => cellsOf(path, { ...machine, cores: 8 })).toThrow("was measured on another machine");
});
