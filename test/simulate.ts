import { parseArgs } from "node:util";
import { type Play, play, TROUBLES, type Trouble } from "./support/simulated-play.ts";

/**
 * `npm run simulate -- --seeds 20000 [--from n]`: plays many simulated runs (test/support/simulated-play.ts) and closes
 * with one line that counts seeds, calls of the functions and violations. Each seed has one kind of trouble, by its
 * number. A violation is told by its seed and its story; `--from <seed> --seeds 1` plays it again, `--first` ends with
 * the first.
 */
const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "2000" },
    from: { type: "string", default: "1" },
    first: { type: "boolean" },
  },
});
const seeds = wholeNumber("seeds", values.seeds);
const from = wholeNumber("from", values.from);

const startedAtMs = Date.now();
let calls = 0;
let violations = 0;
let last = from;
for (let seed = from; seed < from + seeds; seed++) {
  last = seed;
  const trouble = TROUBLES[seed % TROUBLES.length]!;
  const played = await play(seed, trouble);
  calls += played.world.calls.calls;
  if (played.violation !== null) {
    violations += 1;
    process.stdout.write(`${await story(seed, trouble, played)}\n`);
    if (values.first) break;
  }
  if (process.stdout.isTTY && seed % 100 === 0) process.stdout.write(`\r${seed - from} of ${seeds} seeds\r`);
}
const seconds = ((Date.now() - startedAtMs) / 1000).toFixed(1);
process.stdout.write(
  `${last - from + 1} seeds (${from} to ${last}), ${calls} calls, ${violations} violations, ${seconds} s\n`,
);
process.exitCode = violations > 0 ? 1 : 0;

function wholeNumber(option: string, text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  process.stderr.write(`--${option} ${text}: give a whole number from 1 to 999999999.\n`);
  process.exit(2);
}

/** What a person needs to follow a violation: the project, what was launched and why, and how each vertex ended. */
async function story(seed: number, { title }: Trouble, { world, project, violation }: Play): Promise<string> {
  const { tasks, vertices } = await world.rows("run-1");
  const rowOf = new Map(vertices.map((row) => [row.uniqueId, row]));
  const planned = project.plan.vertices.map(({ uniqueId, gateParents }) => {
    const { failures, kills } = project.vertices.get(uniqueId)!;
    const row = rowOf.get(uniqueId);
    const tried = row ? `tries ${row.tryTasks.join(" ")}; lost ${row.lostTasks.join(" ") || "-"}` : "no row";
    const words = `${row?.status ?? "-"}${row?.final ? ` (${row.final}: ${row.finalReason ?? ""})` : ""}`;
    return `  ${uniqueId} < ${gateParents.join(" ") || "-"}; fails ${failures}, kills ${kills}: ${words}; ${tried}`;
  });
  const launched = tasks.map((task) => `  task ${task.task} ${task.kind}, ${task.state}: ${task.reason}`);
  return [`Seed ${seed}: ${violation}`, `  ${title}`, ...planned, ...launched].join("\n");
}
