import { readFile } from "node:fs/promises";
import type { Policy } from "#core/contracts/settings.ts";
import { decisionSchema, type FreshnessDecision, type SourcesSeen } from "#core/run/planning/freshness-gate.ts";
import { type DbtCommand, startDbt } from "./dbt-process.ts";
import { type FreshnessDeps, FreshnessNotTaken, takeFreshness } from "./source-freshness.ts";

export interface GateDeps extends FreshnessDeps {
  readonly freshness: Policy["freshness"];
}

/**
 * Sees what the freshness gate decides by, before anything is built (behaviours H1, H2): dbt's own word of its sources,
 * and that of the project's program where it has one. Null: there is no gate.
 * @throws {@link FreshnessNotTaken} nothing may be built then: the gate would let through what it is to hold back
 */
export async function seeSources(deps: GateDeps): Promise<SourcesSeen | null> {
  const { gate, command } = deps.freshness;
  if (gate === "off") return null;
  const path = gate === "given" ? null : await takeFreshness(deps);
  const file: unknown = path === null ? null : JSON.parse(await readFile(path, "utf8"));
  return { file, decision: command === undefined ? null : await decided(command, path, deps) };
}

/** Most that the program may print, in characters: a thousand sources by their ids. */
const MOST_CHARACTERS = 1_000_000;

/** Runs the program where dbt runs and with dbt's environment, secrets among it. */
async function decided(command: readonly string[], sources: string | null, deps: GateDeps): Promise<FreshnessDecision> {
  const { dbt, output, stop } = deps;
  const [executable = "", ...argv] = command;
  const like: DbtCommand = dbt(argv);
  const env = { ...like.env, ...(sources !== null && { STEPWATCH_SOURCES: sources }) };
  let printed = "";
  const process = startDbt(
    { ...like, executable, env },
    {
      onLine: (line) => {
        if (printed.length < MOST_CHARACTERS) printed += `${line}\n`;
      },
      onErrorLine: (line) => output.line(line),
    },
  );
  const unlisten = stop.listen(() => process.signal("SIGKILL"));
  const exit = await process.exit;
  unlisten();
  output.say("freshness.command", { exitCode: exit.exitCode, signal: exit.signal, tookMs: exit.tookMs });
  const words = () =>
    output.masked([exit.notStarted, printed, exit.stderrTail].filter(Boolean).join("\n")).slice(0, 1_000);
  if (exit.exitCode !== 0)
    throw new FreshnessNotTaken(
      `freshness.command (${executable}) ended with ${exit.signal ?? `exit code ${exit.exitCode}`}, so that nobody knows which sources are stale: ${words() || "no message"}`,
    );
  const decision = decisionSchema.safeParse(jsonOf(printed));
  if (decision.success) return decision.data;
  throw new FreshnessNotTaken(
    `freshness.command (${executable}) has to print one JSON object, {"stale": [source], "fresh": [source]}, and printed: ${words() || "nothing"}`,
  );
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
