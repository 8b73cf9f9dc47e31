import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { unzip } from "#local/emulator/zip.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { zipArchive } from "./zip-archive.ts";

function folder(): string {
  return temporaryFolder("zip");
}

test("any files come out as they went in, deflated or stored", () => {
  const name = fc.stringMatching(/^[a-z]{1,8}\.(mjs|json)$/);
  const files = fc.dictionary(name, fc.string({ unit: "grapheme", maxLength: 300 }), { maxKeys: 5 });
  fc.assert(
    fc.property(files, fc.constantFrom("deflated" as const, "stored" as const), (content, method) => {
      const target = folder();
      unzip(zipArchive(content, method), target);
      const read = readdirSync(target).map((file) => [file, readFileSync(join(target, file), "utf8")]);
      expect(Object.fromEntries(read)).toEqual({ ...content });
    }),
    { numRuns: 30 },
  );
});

test("folders are made", () => {
  const target = folder();
  unzip(zipArchive({ "node_modules/": "", "node_modules/a/index.js": "x" }), target);
  expect(readFileSync(join(target, "node_modules/a/index.js"), "utf8")).toBe("x");
});

test("a file that would lie outside is refused, and so is what is no zip", () => {
  expect(() => unzip(zipArchive({ "../../evil.mjs": "x" }), folder())).toThrow("outside of its folder");
  expect(() => unzip(Buffer.from("not a zip at all, but long enough"), folder())).toThrow("not a zip archive");
});
