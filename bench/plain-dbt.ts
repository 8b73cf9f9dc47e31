import { spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { cpuOf, memoryOf, type Usage } from "./process-usage.ts";
import { type BenchProject, exitCodeOf } from "./projects.ts";

export interface PlainBuild extends Usage {
  readonly wallMs: number;
  /** Its process → its first vertex; undefined where it names none. */
  readonly toFirstVertexMs: number | undefined;
  /** Its last status → its exit. */
  readonly afterLastVertexMs: number | undefined;
}

/** `12:00:00  1 of 50 START …`, and `… 50 of 50 OK …` (or PASS, WARN, ERROR, FAIL, SKIP). */
const OF_A_VERTEX = /\d+ of \d+ ([A-Z]+)/g;

export interface DbtPlace {
  /** Path of dbt. */
  readonly executable: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** Leaves a partial parse in the project's target folder, from which both dbt and stepwatch's tasks start. */
export async function warmParse(project: BenchProject, place: DbtPlace): Promise<void> {
  await dbt("parse", project, place);
}

/** `dbt build` as a person would run it in the project's folder, its output in a file. */
export const plainBuild = (project: BenchProject, place: DbtPlace): Promise<PlainBuild> => dbt("build", project, place);

async function dbt(command: "parse" | "build", project: BenchProject, place: DbtPlace): Promise<PlainBuild> {
  const { projectDir } = project;
  const log = join(projectDir, `plain-${command}.log`);
  const before = cpuOf("self");
  const startedAtMs = performance.now();
  const threads = project.threads === undefined ? [] : ["--threads", String(project.threads)];
  const places = ["--project-dir", projectDir, "--profiles-dir", projectDir];
  const selected = command === "build" && project.select ? ["--select", ...project.select] : [];
  const child = spawn(place.executable, [command, ...places, ...threads, ...selected], {
    cwd: projectDir,
    env: { ...process.env, ...place.environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = createWriteStream(log);
  child.stdout.pipe(output, { end: false });
  child.stderr.pipe(output, { end: false });
  let toFirstVertexMs: number | undefined;
  let lastAtMs = Number.NaN;
  child.stdout.on("data", (chunk: Buffer) => {
    for (const [, word] of chunk.toString("utf8").matchAll(OF_A_VERTEX)) {
      toFirstVertexMs ??= performance.now() - startedAtMs;
      if (word !== "START") lastAtMs = performance.now();
    }
  });
  let peakRssBytes = 0;
  const timer = setInterval(() => {
    peakRssBytes = Math.max(peakRssBytes, memoryOf(child.pid ?? 0, "VmHWM") ?? 0);
  }, 100);
  const [exitCode] = (await once(child, "close")) as [number | null];
  const wallMs = performance.now() - startedAtMs;
  const afterLastVertexMs = Number.isNaN(lastAtMs) ? undefined : performance.now() - lastAtMs;
  clearInterval(timer);
  output.end();
  const asExpected = command === "build" ? exitCodeOf(project) : 0;
  if (exitCode !== asExpected)
    throw new Error(`dbt ${command} of ${project.name} ended with exit code ${exitCode}: see ${log}.`);
  const cpuMs = (cpuOf("self")?.childrenMs ?? 0) - (before?.childrenMs ?? 0);
  return { wallMs, cpuMs, peakRssBytes, toFirstVertexMs, afterLastVertexMs };
}
