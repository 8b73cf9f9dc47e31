import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { JsonMembers } from "#core/dbt/json-members.ts";
import { ManifestReader, readManifest } from "#core/dbt/manifest.ts";
import { gatesFixture } from "../../support/gates-project.ts";

/** Bytes cut at some places, which may lie inside of a character. */
function piecesOf(text: string, cuts: readonly number[]): Uint8Array[] {
  const bytes = new TextEncoder().encode(text);
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((from, at) => bytes.subarray(from, places[at] ?? bytes.length));
}

function told(text: string, cuts: readonly number[]) {
  const objects: [string, unknown][] = [];
  const reader = new JsonMembers({
    whole: new Set(["whole"]),
    each: new Set(["each", 'an "odd" \\ näme']),
    onObject: (member, value) => objects.push([member, value]),
  });
  for (const piece of piecesOf(text, cuts)) reader.push(piece);
  return { objects, isWhole: reader.isWhole };
}

/** What JSON.parse makes of it, the objects among it. */
function expected(value: Record<string, unknown>): [string, unknown][] {
  const isObject = (one: unknown): one is object => typeof one === "object" && one !== null && !Array.isArray(one);
  return Object.entries(value).flatMap(([member, inside]): [string, unknown][] => {
    if (member === "whole") return isObject(inside) ? [[member, inside]] : [];
    if (member !== "each" && member !== 'an "odd" \\ näme') return [];
    if (!isObject(inside) && !Array.isArray(inside)) return [];
    return Object.values(inside).flatMap((one): [string, unknown][] => (isObject(one) ? [[member, one]] : []));
  });
}

const inner = fc.oneof(
  fc.jsonValue(),
  fc.array(fc.jsonValue()),
  fc.dictionary(fc.string({ unit: "binary" }), fc.jsonValue()),
);
const outer = fc.dictionary(
  fc.oneof(fc.constantFrom("whole", "each", 'an "odd" \\ näme', "other"), fc.string({ unit: "binary" })),
  inner,
);

describe("members of a large JSON object, read from pieces", () => {
  it("are those that JSON.parse gives, wherever the text is cut and however it is spaced", () => {
    fc.assert(
      fc.property(outer, fc.array(fc.nat()), fc.constantFrom(0, 1, "\t"), (value, cuts, space) => {
        const text = JSON.stringify(value, null, space);
        const plain = JSON.parse(text) as Record<string, unknown>;
        expect(told(text, cuts)).toEqual({ objects: expected(plain), isWhole: true });
      }),
    );
  });

  it("are not whole while any of the text is missing", () => {
    fc.assert(
      fc.property(outer, fc.nat(), (value, cut) => {
        const text = JSON.stringify(value);
        expect(told(text.slice(0, cut % text.length), []).isWhole).toBe(false);
      }),
    );
  });

  it("a manifest that comes in pieces is read as one that comes whole", () => {
    const text = gatesFixture("manifest-harbour.json");
    const reader = new ManifestReader();
    for (const piece of piecesOf(text, [1, 17, 4_000, 4_001, 65_536, 131_072])) reader.push(piece);
    expect(reader.end()).toEqual(readManifest(text));
  });
});
