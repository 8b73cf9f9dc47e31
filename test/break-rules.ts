import { join } from "node:path";
import { BROKEN_RULES, type BrokenRule, withoutText } from "./broken-rules/rules.ts";
import { type Outcome, ScratchCopy } from "./broken-rules/scratch-copy.ts";

/**
 * `npm run break-rules [word …]`: shows that the tests can fail. Breaks one rule of test/broken-rules/rules.ts after the
 * other in a copy of the sources and runs the tests that must go red, and where the rule says so the simulation, which
 * must find a violation. Ends with 1 if a broken rule survives, or if the unbroken sources are red. With words: only the
 * rules whose sentence or file has one of them.
 */
const SEEDS = 700;

const words = process.argv.slice(2);
const chosen = BROKEN_RULES.filter(
  ({ rule, file }) => words.length === 0 || words.some((word) => rule.includes(word) || file.includes(word)),
);
const copy = new ScratchCopy(join(import.meta.dirname, ".."));
let survivors = 0;
try {
  for (const sentence of withoutText(chosen, copy.read)) throw new Error(sentence);
  if (isGreen(chosen)) for (const rule of chosen) survivors += tell(rule) ? 0 : 1;
  else survivors = 1;
} finally {
  copy.remove();
}
process.stdout.write(`\n${chosen.length} rules broken, ${survivors} not noticed\n`);
process.exitCode = survivors > 0 || chosen.length === 0 ? 1 : 0;

/** Before anything is broken all is green: otherwise red would say nothing. */
function isGreen(rules: readonly BrokenRule[]): boolean {
  const outcomes = (["fast", "emulator"] as const).flatMap((project) => {
    const files = rules.filter((rule) => (rule.project ?? "fast") === project).flatMap((rule) => rule.tests);
    return files.length === 0 ? [] : [copy.test(project, [...new Set(files)])];
  });
  const red = [...outcomes, copy.simulate(SEEDS)].filter((outcome) => outcome.red);
  for (const { by } of red) process.stdout.write(`Red with all rules unbroken: ${by}\n`);
  return red.length === 0;
}

/** True: whatever must notice has noticed. */
function tell(rule: BrokenRule): boolean {
  const startedAtMs = Date.now();
  const tests = copy.with(rule, () => copy.test(rule.project ?? "fast", rule.tests));
  const simulation = rule.simulated ? copy.with(rule, () => copy.simulate(SEEDS)) : null;
  const seconds = ((Date.now() - startedAtMs) / 1000).toFixed(1).padStart(5);
  process.stdout.write(`\n${seconds} s  ${rule.rule} (${rule.file})\n`);
  process.stdout.write(line("tests", tests));
  if (simulation) process.stdout.write(line("simulation", simulation));
  return tests.red && simulation?.red !== false;
}

function line(what: string, { red, by }: Outcome): string {
  return `         ${what.padEnd(10)} ${red ? "red" : "NOT NOTICED"}: ${by.split("\n")[0]!.slice(0, 140)}\n`;
}
