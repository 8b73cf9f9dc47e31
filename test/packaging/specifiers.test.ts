import { expect, test } from "vitest";
import { ownImports, withPackagedImports } from "../../packaging/specifiers.ts";

test("a module of the package imports ours by a path to JavaScript, and other people's by name", () => {
  const source = [
    'import { z } from "zod";',
    'import "./side.ts";',
    'import type { Plan } from "#core/run/planning/plan.ts";',
    'export { a } from "../errors.ts";',
    'import { withLock } from "#local/lock-file.mjs";',
    'const { build } = await import("./bundle.ts");',
    'const entry = "functions/wake/handler.ts";',
  ].join("\n");
  const packaged = withPackagedImports(source, "infra/state-machines/asl");
  expect(packaged.split("\n")).toEqual([
    'import { z } from "zod";',
    'import "./side.js";',
    'import type { Plan } from "../../core/run/planning/plan.js";',
    'export { a } from "../errors.js";',
    'import { withLock } from "../../local/lock-file.mjs";',
    'const { build } = await import("./bundle.js");',
    'const entry = "functions/wake/handler.ts";',
  ]);
  expect(ownImports(packaged)).toHaveLength(5);
  expect(withPackagedImports('import { at } from "#core/at.ts";', "core/names")).toBe('import { at } from "./at.js";');
});
