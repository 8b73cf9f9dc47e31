import { closingLine, failureLines, NO_TESTS, oneCheck, sum } from "./counts.ts";
import type { Phase, PhaseResult } from "./phases.ts";

/** Runs phases one after the other; answers the exit code of all of them. */
export async function runPhases(wanted: readonly Phase[]): Promise<number> {
  const results: (PhaseResult & { name: string; milliseconds: number })[] = [];
  for (const phase of wanted) {
    process.stdout.write(`\n== ${phase.name}\n`);
    const startedAtMs = Date.now();
    const result = await phase.go().catch(failedPhase);
    results.push({ name: phase.name, ...result, milliseconds: Date.now() - startedAtMs });
  }
  process.stdout.write("\n");
  for (const { name, counts, milliseconds } of results) {
    process.stdout.write(
      `${name.padEnd(16)} ${(milliseconds / 1000).toFixed(1).padStart(7)} s  ${closingLine(counts)}\n`,
    );
  }
  const notRun = results.flatMap(({ name, notRun: names = [] }) => names.map((test) => `NOT RUN ${name}: ${test}`));
  if (notRun.length > 0) process.stdout.write(`\n${notRun.join("\n")}\n`);
  const failed = results.flatMap(({ name, failures = [] }) => failureLines(name, failures));
  if (failed.length > 0) process.stdout.write(`\n${failed.join("\n")}\n`);
  const total = sum(results.map((result) => result.counts));
  process.stdout.write(`\n${closingLine(total)}\n`);
  return total.failed > 0 ? 1 : 0;
}

/** A phase that could not be run at all is one failure, and the others are still run. */
function failedPhase(error: unknown): PhaseResult {
  process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`);
  return { counts: sum([NO_TESTS, oneCheck(false)]) };
}
