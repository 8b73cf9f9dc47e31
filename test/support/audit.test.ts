import { expect, test } from "vitest";
import { auditRows, wrongsOf } from "./audit.ts";

const row = (name: string, task: number, parents = "") => [name, task, `run/${task}`, parents];

test("the warehouse's word: each node once, on its parents' last builds, is right", () => {
  expect(wrongsOf(auditRows([row("a", 1), row("c", 1), row("b", 2, "a=run/1 c=run/1 ")]))).toEqual([]);
});

test("a node that was built twice is told, and a child that stands on the older of two builds", () => {
  expect(wrongsOf(auditRows([row("a", 1), row("b", 1, "a=run/1 "), row("a", 2)]))).toEqual([
    "a was built 2 times",
    "b stands on run/1 of a, not on run/2",
  ]);
});

test("a parent that another run has built says nothing of this one", () => {
  expect(wrongsOf(auditRows([row("b", 1, "a=earlier/7 ")]))).toEqual([]);
});
