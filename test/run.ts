import { join } from "node:path";
import { type Counts, closingLine, NO_TESTS, oneCheck, sum } from "./runner/counts.ts";
import { check, type Phase, vitest } from "./runner/phases.ts";
import { setUp } from "./runner/set-up.ts";

/**
 * The test runner behind `npm test`, `test:all`, `test:fast` and `check`. Runs its phases one after the other, tells
 * what each took, and closes with one plain line that `.ci/run` adds up.
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
  "--all": [prepare, vitest(root, "slow", filters)],
  "--fast": [lint, types, vitest(root, "fast", filters)],
  "--check": [lint, types],
};

process.exitCode = await runPhases(phases[chosen]);

async function runPhases(wanted: readonly Phase[]): Promise<number> {
  const results: { name: string; counts: Counts; milliseconds: number }[] = [];
  for (const phase of wanted) {
    process.stdout.write(`\n== ${phase.name}\n`);
    const startedAtMs = Date.now();
    const counts = await phase.go().catch(failedPhase);
    results.push({ name: phase.name, counts, milliseconds: Date.now() - startedAtMs });
  }
  process.stdout.write("\n");
  for (const { name, counts, milliseconds } of results) {
    process.stdout.write(
      `${name.padEnd(16)} ${(milliseconds / 1000).toFixed(1).padStart(7)} s  ${closingLine(counts)}\n`,
    );
  }
  const total = sum(results.map((result) => result.counts));
  process.stdout.write(`\n${closingLine(total)}\n`);
  return total.failed > 0 ? 1 : 0;
}

/** A phase that could not be run at all is one failure, and the others are still run. */
function failedPhase(error: unknown): Counts {
  process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`);
  return sum([NO_TESTS, oneCheck(false)]);
}
