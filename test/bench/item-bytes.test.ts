import { expect, it } from "vitest";
import { itemBytes } from "../../bench/item-bytes.ts";

it.each([
  ["a text and its name", { name: { S: "grün" } }, 4 + 5],
  ["numbers, two digits a byte and one more", { n: { N: "1700000000000" } }, 1 + 8],
  ["a set of numbers", { tries: { NS: ["1", "12"] } }, 5 + 4],
  ["a flag and nothing", { a: { BOOL: true }, b: { NULL: true } }, 4],
  ["a map with a list in it", { m: { M: { l: { L: [{ S: "ab" }] } } } }, 1 + 3 + 1 + 1 + 3 + 1 + 2],
] as const)("a row's size as DynamoDB bills it: %s", (_what, item, bytes) => {
  expect(itemBytes(item as unknown as Parameters<typeof itemBytes>[0])).toBe(bytes);
});
