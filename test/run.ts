import { join } from "node:path";
import { check, type Phase, vitest } from "./runner/phases.ts";
import { runPhases } from "./runner/run-phases.ts";
import { setUp } from "./runner/set-up.ts";

/**
 * The test runner behind `npm test`, `test:all`, `test:fast` and `check`. Runs its phases one after the other, tells
 * what each took and which tests failed, and closes with one plain line that `.ci/run` adds up.
 *
 * `npm test`: set-up, lint, types, fast tests, emulator tests, end-to-end tests. `--all`: what `npm test` leaves out.
 * `--fast`: no emulator. `--check`: lint and types. What else stands on the command line is passed to vitest as a filter.
 */
const root = join(import.meta.dirname, "..");
const options = process.argv.slice(2);
const filters = options.filter((option) => !option.startsWith("--"));
const chosen = (["--all", "--fast", "--check"] as const).find((option) => options.includes(option)) ?? "npm test";

const lint = check(root, "lint", "@biomejs/biome/bin/biome", ["check", "--max-diagnostics=200"]);
const types = check(root, "types", "typescript/bin/tsc", ["--noEmit"]);
const prepare: Phase = { name: "set-up", go: setUp };

const phases: Readonly<Record<typeof chosen, readonly Phase[]>> = {
  "npm test": [prepare, lint, types, ...["fast", "emulator", "e2e"].map((project) => vitest(root, project, filters))],
  "--all": [
    prepare,
    ...["linters", "engines", "slow"].map((project) => vitest(root, project, filters)),
    // One file: that a stack on an endpoint is the same one. The others cost what they cost in `npm test`.
    vitest(root, "endpoint", filters.length === 0 ? ["rounds.e2e"] : filters),
  ],
  "--fast": [lint, types, vitest(root, "fast", filters)],
  "--check": [lint, types],
};

process.exitCode = await runPhases(phases[chosen]);
