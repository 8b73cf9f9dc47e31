import { mkdirSync, mkdtempSync, realpathSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { folderWith, modulesWith, ownProgram, ownStateDir } from "#local/own-files.ts";
import { configPathOf } from "../../cli/paths.ts";

const CHECKOUT = dirname(dirname(import.meta.dirname));

test("in a checkout, state and programs are its own wherever a command is given", () => {
  expect(ownStateDir("/somewhere")).toBe(join(CHECKOUT, ".stepwatch"));
  expect(ownProgram("emulator/supervisor")).toBe(join(CHECKOUT, "local", "emulator", "supervisor.ts"));
  expect(modulesWith("zod")).toBe(join(CHECKOUT, "node_modules"));
  expect(modulesWith("no-such-package")).toBeNull();
});

test("stepwatch.yaml is found from a folder below it, and the nearest counts", () => {
  const top = realpathSync(mkdtempSync(join(tmpdir(), "stepwatch-")));
  const models = join(top, "shop", "models");
  mkdirSync(models, { recursive: true });
  expect(folderWith("stepwatch.yaml", models)).toBeNull();
  writeFileSync(join(top, "stepwatch.yaml"), "");
  expect(configPathOf(undefined, models)).toBe(join(top, "stepwatch.yaml"));
  writeFileSync(join(top, "shop", "stepwatch.yaml"), "");
  expect(configPathOf(undefined, models)).toBe(join(top, "shop", "stepwatch.yaml"));
  expect(configPathOf("other.yaml", models)).toBe(join(models, "other.yaml"));
});
