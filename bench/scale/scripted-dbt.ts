/**
 * A dbt that says what a generated project's build would, in real time: started by the runner in dbt's place, as
 * `dbt.executable` of stepwatch.yaml. `scale.json` in the project's folder has the vertices, their gates and how long each
 * takes; a fallback or recovery build prints what its synthetic state selects.
 */
import { mkdirSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { concurrencyLine, endLine, messageLine, skipLine, startLine, statsLine, versionLine } from "./dbt-lines.ts";
import type { ScaleScript } from "./scale-folder.ts";
import { type ScriptedWord, scriptedBuild } from "./scripted-build.ts";

const argv = process.argv.slice(2);
const argument = (flag: string): string | undefined => (argv.includes(flag) ? argv[argv.indexOf(flag) + 1] : undefined);

/** Words that are printed late by so much are printed together. Milliseconds. */
const TICK_MS = 5;

if (argv[0] === "--version") print("Core:\n  - installed: 1.11.16\n");
else process.exitCode = await build();

async function build(): Promise<number> {
  const folder = argument("--project-dir") ?? process.cwd();
  const { vertices, plan, threads, speed, manifest } = JSON.parse(
    readFileSync(join(folder, "scale.json"), "utf8"),
  ) as ScaleScript;
  const target = argument("--target-path") ?? join(folder, "target");
  mkdirSync(target, { recursive: true });
  writeFileSync(join(target, "manifest.json"), JSON.stringify(manifest));
  const selection = selectionOf(argument("--state")) ?? new Set(vertices.map(({ uniqueId }) => uniqueId));
  const scripted = scriptedBuild({ vertices }, plan, selection, threads);
  const total = selection.size;
  let stopped = false;
  process.on("SIGINT", () => {
    stopped = true;
  });
  print([versionLine(), concurrencyLine(threads, total)].join(""));
  const beganAtMs = Date.now();
  const failed: ScriptedWord[] = [];
  for (const word of scripted.words) {
    const dueMs = beganAtMs + word.atMs / speed - Date.now();
    if (dueMs > TICK_MS) await pause(dueMs);
    if (stopped) return 1;
    print(lineOf(word, total));
    if (word.message !== null) failed.push(word);
  }
  // As dbt 1: why a vertex failed is said at the end of the build alone.
  for (const { uniqueId, message } of failed) print(messageLine(uniqueId, message ?? ""));
  print(statsLine(scripted.words));
  writeFileSync(join(target, "run_results.json"), JSON.stringify(resultsOf(scripted.words)));
  return scripted.red ? 1 : 0;
}

function lineOf(word: ScriptedWord, total: number): string {
  if (word.status === "started") return startLine(word.uniqueId, total);
  return word.status === "skipped" ? skipLine(word.uniqueId, total) : endLine(word.uniqueId, word.status, total);
}

/** What `result:error` finds in a run_results.json of the runner's own. */
function selectionOf(stateDir: string | undefined): Set<string> | null {
  if (stateDir === undefined) return null;
  const { results } = JSON.parse(readFileSync(join(stateDir, "run_results.json"), "utf8")) as {
    results: { unique_id: string; status: string }[];
  };
  return new Set(results.filter(({ status }) => status === "error").map(({ unique_id }) => unique_id));
}

function resultsOf(words: readonly ScriptedWord[]): object {
  const ends = words.filter(({ status }) => status !== "started");
  const results = ends.map(({ uniqueId, status, message }) => ({
    unique_id: uniqueId,
    status,
    timing: [],
    thread_id: "Thread-1",
    execution_time: 1.25,
    adapter_response: {},
    message,
    failures: status === "fail" ? 3 : null,
  }));
  return { metadata: { dbt_version: "1.11.16" }, results, elapsed_time: 1, args: {} };
}

function print(text: string): void {
  for (let rest = Buffer.from(text); rest.length > 0; ) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    }
  }
}
