import { mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { GOALS } from "../goals.ts";
import { fixed, mib, seconds, type Table } from "../table.ts";
import { type AlonePlace, alone, runAlone } from "./alone.ts";
import { type PlayedBuild, writePlayedBuild } from "./played-build.ts";

/** The builds that the goals speak of, one of no vertex to speak of, and one with fifty times the lines. */
export const PLAYED_BUILDS: readonly PlayedBuild[] = [
  { name: "1 model", nodes: 1, tests: 0, otherLines: 0, seconds: 5 },
  { name: "185 models", nodes: 185, tests: 0, otherLines: 40, seconds: 30 },
  { name: "116 models, 1,600 tests", nodes: 116, tests: 1600, otherLines: 200, seconds: 40 },
  { name: "116 models, 1,600 tests, 60,000 lines", nodes: 116, tests: 1600, otherLines: 57_000, seconds: 40 },
];

export interface RunnerFigures {
  readonly build: PlayedBuild;
  readonly cpuMs: number;
  readonly peakRssBytes: number;
  /** Process start → the fence, → dbt is started. */
  readonly toFenceMs: number;
  readonly toDbtMs: number;
  /** dbt is started, and names its threads at once → the plan is told. */
  readonly toPlanMs: number;
  /** dbt reaped → its end recorded. */
  readonly toEndMs: number;
  readonly calls: Readonly<Record<string, number>>;
}

/** Runs the bundled runner over a played dbt and an AWS that answers at once: what is measured is the runner alone. */
export const measureRunner = (builds: readonly PlayedBuild[], say: (line: string) => void): Promise<RunnerFigures[]> =>
  alone(async (place) => {
    const figures: RunnerFigures[] = [];
    for (const build of builds) {
      say(`runner: ${build.name} in ${build.seconds} s …`);
      figures.push(await measureOne(build, place));
    }
    return figures;
  });

async function measureOne(build: PlayedBuild, place: AlonePlace): Promise<RunnerFigures> {
  const folder = mkdtempSync(join(place.folder, "played-"));
  const script = writePlayedBuild(folder, build);
  const projectDir = join(folder, "project");
  mkdirSync(projectDir);
  const executable = join(import.meta.dirname, "played-dbt.mjs");
  const ran = await runAlone({ executable, projectDir, environment: { PLAYED: script } }, place);
  if (ran.exitCode !== 0) throw new Error(`The runner ended with ${ran.exitCode}.`);
  const played = readFileSync(join(folder, "usage"), "utf8").split("\n").filter(Boolean).map(Number);
  const { saidAtMs: at, startedAtMs, peakRssBytes, calls } = ran;
  return {
    build,
    cpuMs: ran.cpuMs - played.reduce((sum, ms) => sum + ms, 0),
    peakRssBytes,
    toFenceMs: at("fence passed") - startedAtMs,
    toDbtMs: at("starting dbt") - startedAtMs,
    toPlanMs: at("planned") - at("starting dbt"),
    toEndMs: at("recorded") - at("dbt ended"),
    calls,
  };
}

const verticesOf = ({ nodes, tests }: PlayedBuild) => nodes + tests;

/** CPU of a vertex: what a build costs beyond the one of a single model, which is the runner's start. */
export function runnerTable(figures: readonly RunnerFigures[]): Table {
  const start = figures[0]?.cpuMs ?? 0;
  return {
    title: "The runner alone, over a played dbt and an AWS that answers at once",
    columns: [
      "build",
      "CPU s",
      "ms/vertex",
      "goal",
      "peak MiB",
      "goal",
      "to fence",
      "to dbt",
      "plan",
      "to end",
      "writes",
      "calls",
    ],
    rows: figures.map(({ build, cpuMs, peakRssBytes, toFenceMs, toDbtMs, toPlanMs, toEndMs, calls }, at) => {
      const count = Object.values(calls).reduce((sum, one) => sum + one, 0);
      const writes = (calls.UpdateItem ?? 0) + (calls.BatchWriteItem ?? 0) + (calls.PutItem ?? 0);
      return [
        build.name,
        seconds(cpuMs, 2),
        at === 0 ? "-" : fixed((cpuMs - start) / verticesOf(build), 2),
        `≤ ${GOALS.runnerMsPerVertex}`,
        mib(peakRssBytes),
        `≤ ${mib(GOALS.runnerRssBytes)}`,
        ...[toFenceMs, toDbtMs, toPlanMs, toEndMs].map((ms) => seconds(ms, 2)),
        String(writes),
        String(count),
      ];
    }),
    notes: [
      "CPU s: of the container without dbt, Node's start and the loading of the bundle in it; the first row is little else.",
      "ms/vertex: what is beyond the first row, by vertex. to fence, to dbt: since the process was spawned (seconds).",
      "plan: dbt is started → the plan is told, from a manifest of 4 kB a vertex; the played dbt's own start is in it.",
      "to end: dbt reaped → its end recorded. writes: calls that write to the ledger. calls: all to ledger and bucket.",
    ],
  };
}
