import type { Cause, DbtCauseKind } from "#core/contracts/cause.ts";
import { counted } from "#core/counted.ts";
import { type BuildLog, cancelsTasks } from "./build-log.ts";
import { type FatalKind, fatalKind, saysConnectionLost } from "./fatal-kind.ts";
import { withoutNoise } from "./message-text.ts";
import { TEST_TYPES } from "./resource-types.ts";
import type { VertexReading } from "./vertex-reading.ts";

/** Why dbt ended as it did; of its own causes each has a next step. */
export interface DbtCause extends Cause {
  kind: DbtCauseKind;
  nextStep: string;
}

/** How the dbt process ended, as its supervisor saw it. */
export interface ProcessEnd {
  /** null when a signal ended it, or when nobody saw the end (a recorded log). */
  exitCode: number | null;
  signal: string | null;
  signalledByUs: boolean;
  /** The cgroup counted an out-of-memory kill during the build. */
  outOfMemory?: boolean;
  /** Tail of stderr: dbt refuses bad flags there, before it logs anything. */
  stderrTail?: string;
  /** Whether the build was given a selection; undefined where nobody knows. */
  selects?: boolean;
}

/** What to do where the container's disk is full; a second build there would end the same way. */
export const DISK_FULL_STEP =
  "Give the container a larger work folder: on AWS the task's ephemeral storage, on a laptop free space on its disk.";

/** What to do next, by cause. */
const NEXT_STEP: Readonly<Record<Exclude<DbtCauseKind, "unsupported_dbt">, string>> = {
  none: "Nothing.",
  node: "Read the message of the first failed node; its descendants follow when it is repaired.",
  test: "Look at the rows the test found; the tested tables are built.",
  hook: "Repair the project's on-run hook; the vertices stand as they ended.",
  parse: "Repair the project: `dbt parse` shows the same error.",
  connection: "Check that the warehouse is reachable and free; the next launch may find it so.",
  profile:
    "Check profiles.yml, the profile and the target named in stepwatch.yaml, and that `dbt.packages` there has the target's adapter.",
  flags: "Take the refused argument out of the run's options.",
  empty_selection: "Check the selection for a typo; `dbt ls` with the same arguments lists what it finds.",
  environment: "Check the variables of dbt: `environment` and `secrets` of the project in stepwatch.yaml.",
  disk_full: DISK_FULL_STEP,
  killed: "Look at the task's stop reason; the unfinished vertices can be built again.",
  out_of_memory: "Give the task more memory or the build fewer threads.",
  terminated: "Start a new run when it should go on.",
  unexplained_exit: "Read the end of dbt's log.",
};

/** … where nothing was selected that could have a typo. */
const NOTHING_THERE =
  "Check that the project has models (model-paths in dbt_project.yml) and that they are enabled: `dbt ls` lists them.";

const FATAL_CAUSE: Readonly<Record<FatalKind, Kind>> = {
  parse: "parse",
  connection: "connection",
  hook: "hook",
  profile: "profile",
  flags: "flags",
  memory: "out_of_memory",
  selection: "empty_selection",
  environment: "environment",
  disk: "disk_full",
  unknown: "unexplained_exit",
};

/** Why the build ended as it did: from the outside (signals, memory) to the inside (hooks, nodes, tests). */
export function causeOf(log: BuildLog, end: ProcessEnd): DbtCause {
  const [kind, sentence] =
    outsideCause(log, end) ?? fatalCause(log, end) ?? lostConnection(log) ?? vertexCause(log) ?? quietCause(log, end);
  const stderr = withoutNoise(end.stderrTail ?? "").trim();
  const lines = log.lastLines.length > 0 || !stderr ? log.lastLines : stderr.split("\n").slice(-10);
  const hasNothing = kind === "empty_selection" && end.selects === false;
  return {
    kind,
    sentence,
    nextStep: hasNothing ? NOTHING_THERE : NEXT_STEP[kind],
    lines: kind === "none" ? [] : [...lines],
  };
}

type Kind = keyof typeof NEXT_STEP;
type Told = readonly [Kind, string] | null;

/**
 * Whether a signal ended the build from inside dbt: dbt 1 says so; dbt 2 cancels all, which it does by fail-fast too,
 * but then a vertex has failed.
 */
export function wasInterrupted(log: BuildLog): boolean {
  const byFailFast = log.failFast && hasFailed(log);
  // dbt 1 says so too where the server went away under its threads; then it tells of the connection at its end.
  const byKeyboard = log.keyboardInterrupt && log.fatal?.kind !== "connection";
  return byKeyboard || ((cancelsTasks(log) || log.allCancelled) && !byFailFast);
}

function outsideCause(log: BuildLog, end: ProcessEnd): Told {
  if (end.outOfMemory === true) return ["out_of_memory", "dbt was killed because the container ran out of memory."];
  if (end.signalledByUs) return ["terminated", "stepwatch stopped dbt."];
  const interrupted = wasInterrupted(log);
  if (end.signal === "unknown" && !interrupted) return ["killed", "The log ends in the middle of the build."];
  const killed =
    (end.signal === "unknown" ? null : end.signal) ??
    { 137: "SIGKILL", 143: "SIGTERM", 139: "SIGSEGV" }[end.exitCode ?? 0];
  if (killed !== undefined) return ["killed", `dbt was ended by ${killed}, which stepwatch did not send.`];
  return interrupted ? ["killed", "dbt was interrupted by a signal that stepwatch did not send."] : null;
}

/** dbt gave up as a whole. Where a vertex or hook failed first, that is the reason and the crash its consequence. */
function fatalCause(log: BuildLog, end: ProcessEnd): Told {
  const startHook = log.hookFailures.find((hook) => hook.phase === "start");
  if (startHook !== undefined) return hookCause(log);
  if (end.exitCode === 0) return null;
  if (log.hookFailures.length === 0 && log.hookTexts.length > 0 && !hasFailed(log) && log.fatal === null) {
    return ["hook", `A hook of the run failed: ${firstLines(log.hookTexts[0]?.message ?? "")}`];
  }
  const stderr = end.stderrTail ?? "";
  const text = log.fatal?.text ?? (log.dbtVersion === null ? stderr : "");
  if (text.trim() === "" || (hasFailed(log) && (log.fatal?.kind ?? fatalKind(text)) !== "memory")) return null;
  const kind = FATAL_CAUSE[log.fatal?.kind ?? fatalKind(text)];
  const line = firstLines(text);
  return [
    kind,
    kind === "unexplained_exit" ? `dbt gave up: ${line}` : `${FATAL_SENTENCE[kind] ?? "dbt gave up"}: ${line}`,
  ];
}

const FATAL_SENTENCE: Partial<Record<Kind, string>> = {
  parse: "dbt could not parse the project",
  connection: "dbt could not reach or open the warehouse",
  hook: "dbt failed at a hook",
  profile: "dbt could not use the profile",
  flags: "dbt refused its arguments",
  out_of_memory: "dbt ran out of memory",
  empty_selection: "The selection found nothing to build",
  environment: "dbt misses a variable of its environment",
  disk_full: "dbt found no space left on its disk",
};

/** The server went away while vertices were built: each of them says so, and dbt too where it gave up. */
function lostConnection(log: BuildLog): Told {
  const failed = [...log.vertices.values()].filter((vertex) => vertex.class === "failed" || isSaidFailed(log, vertex));
  if (failed.length === 0 || !failed.every((vertex) => saysConnectionLost(vertex.message ?? ""))) return null;
  const text = log.fatal?.kind === "connection" ? log.fatal.text : (failed[0]?.message ?? "");
  return ["connection", `dbt lost the warehouse while it built ${nodesAndTests(failed)}: ${firstLines(text)}`];
}

/** `2 nodes and 1 test`. */
function nodesAndTests(vertices: readonly VertexReading[]): string {
  const tests = vertices.filter((vertex) => TEST_TYPES.has(vertex.resourceType)).length;
  const nodes = vertices.length - tests;
  return [...(nodes > 0 ? [counted(nodes, "node")] : []), ...(tests > 0 ? [counted(tests, "test")] : [])].join(" and ");
}

function vertexCause(log: BuildLog): Told {
  const red = [...log.vertices.values()]
    .filter((vertex) => vertex.class === "failed" || vertex.class === "interrupted" || isSaidFailed(log, vertex))
    .sort((a, b) => (a.endedAtMs ?? Infinity) - (b.endedAtMs ?? Infinity));
  // dbt 2's fail-fast prints an error for what it cancelled: a consequence, named only where there is nothing else.
  const ownFault = red.filter((vertex) => vertex.status !== "cancelled");
  const told = ownFault.length > 0 ? ownFault : red;
  const nodes = told.filter((vertex) => !TEST_TYPES.has(vertex.resourceType));
  if (told.length > 0)
    return [
      nodes.length > 0 ? "node" : "test",
      `${nodesAndTests(told)} failed, ${(nodes[0] ?? told[0])?.uniqueId} first.`,
    ];
  return log.hookFailures.length > 0 ? hookCause(log) : ephemeralCause(log);
}

/** dbt 1 names no ephemeral model at its default log level that could not be compiled, only what it skipped for it. */
function ephemeralCause(log: BuildLog): Told {
  const names = log.skippedWithoutId.map(({ schema, relation }) => `${schema}.${relation}`);
  if (names.length === 0) return null;
  const [first, ...others] = names;
  const skipped = others.length === 0 ? first : `${first} and ${counted(others.length, "other")}`;
  return ["node", `dbt skipped ${skipped}: an ephemeral model above could not be compiled.`];
}

function hookCause(log: BuildLog): Told {
  const hook = log.hookFailures[0];
  // 1.12 crashes over an exposure after such a failure: that text would lead astray.
  const text = hook?.message ?? (/has no attribute/.test(log.fatal?.text ?? "") ? null : log.fatal?.text) ?? null;
  return ["hook", `The hook ${hook?.name} failed${text === null ? "." : `: ${firstLines(text)}`}`];
}

function quietCause(log: BuildLog, end: ProcessEnd): readonly [Kind, string] {
  if (log.masked) {
    return [
      "environment",
      "dbt masked the value of a DBT_ENV_SECRET_ variable in ids or words of its own log, which can not be read there.",
    ];
  }
  // With warnings as errors the exit code is not 0 then.
  if (log.emptySelection) {
    const nothing =
      end.selects === false ? "The project has nothing to build." : "The selection found nothing to build.";
    return ["empty_selection", nothing];
  }
  if (end.exitCode !== null && end.exitCode !== 0) {
    return ["unexplained_exit", `dbt ended with exit code ${end.exitCode} although no vertex failed.`];
  }
  if (log.success === false) return ["unexplained_exit", "dbt says that it failed, although no vertex did."];
  if (!log.sawLastSummary)
    return ["unexplained_exit", "dbt ended without its closing line, though it reports success."];
  return ["none", "Everything that dbt ran is good."];
}

function hasFailed(log: BuildLog): boolean {
  return [...log.vertices.values()].some((vertex) => vertex.class === "failed" || isSaidFailed(log, vertex));
}

/** dbt 2, stopped by fail-fast, prints a vertex's error and at times no end of it. */
function isSaidFailed(log: BuildLog, vertex: VertexReading): boolean {
  const record = log.records.get(vertex.uniqueId);
  return (
    vertex.class === null && ((record?.saidFailed ?? null) !== null || (record?.saidFailedInDbt2 ?? null) !== null)
  );
}

function firstLines(text: string): string {
  const lines = withoutNoise(text)
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  // Of a traceback only the last line says what is wrong.
  const told = lines.some((line) => line.startsWith("Traceback (")) ? [lines[0], lines.at(-1)] : lines.slice(0, 3);
  return told.join(" ").slice(0, 400);
}
