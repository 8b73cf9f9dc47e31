import { execFile } from "node:child_process";
import { mkdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { LOG_VERTICES, writeSyntheticLog } from "./synthetic-log.ts";
import { fixed, mib, seconds, type Table } from "./table.ts";

const run = promisify(execFile);

/** What one process read. */
export interface Reading {
  readonly lines: number;
  readonly vertices: number;
  readonly tookMs: number;
  /** Of the whole process, Node's own start in it. */
  readonly cpuMs: number;
  readonly peakRssBytes: number;
}

export interface ReaderFigures {
  readonly bytes: number;
  /** The runner's line splitter alone. */
  readonly split: Reading;
  /** Splitter, readLine and the build log's reducer: all that the supervisor does with a line but printing it. */
  readonly read: Reading;
}

const PROCESS = join(import.meta.dirname, "reader-process.ts");

export async function measureReader(
  folder: string,
  bytes: number,
  say: (line: string) => void,
): Promise<ReaderFigures> {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, "synthetic-log.jsonl");
  try {
    say(`reader: writing a log of ${mib(bytes)} MiB …`);
    await writeSyntheticLog(path, bytes);
    say("reader: reading it …");
    const split = await readBy("split", path);
    const read = await readBy("read", path);
    return { bytes: statSync(path).size, split, read };
  } finally {
    rmSync(path, { force: true });
  }
}

async function readBy(mode: "split" | "read", path: string): Promise<Reading> {
  const { stdout } = await run(process.execPath, ["--disable-warning=ExperimentalWarning", PROCESS, mode, path]);
  return JSON.parse(stdout) as Reading;
}

export function readerTable({ bytes, split, read }: ReaderFigures): Table {
  const row = (name: string, { lines, vertices, tookMs, cpuMs, peakRssBytes }: Reading) => [
    name,
    String(lines),
    fixed(lines / tookMs, 0),
    fixed((bytes / 2 ** 20 / tookMs) * 1000, 0),
    seconds(tookMs, 2),
    seconds(cpuMs, 2),
    String(vertices),
    mib(peakRssBytes),
  ];
  return {
    title: `Reading a JSON log of ${mib(bytes)} MiB`,
    columns: ["reader", "lines", "lines/ms", "MiB/s", "seconds", "CPU", "vertices", "peak MiB"],
    rows: [row("line splitter", split), row("splitter, readLine, build log", read)],
    notes: [
      `A synthetic log of dbt 1.11's shape: ${LOG_VERTICES} vertices with start and end, the rest debug lines with SQL.`,
      "dbt itself prints some hundred lines a second; the runner asks it for the level info, a tenth of such a log.",
      "peak MiB: of a process that does nothing else; memory grows with vertices, not with lines.",
    ],
  };
}
