/**
 * Reads a log to its end and says how long it took, as JSON on stdout; a process of its own, so that its peak memory
 * is the reader's alone:
 *
 *     node reader-process.ts split|read <file>
 */
import { createReadStream } from "node:fs";
import { applyEvent, newBuildLog } from "#core/dbt/build-log.ts";
import { readLine } from "#core/dbt/log-line.ts";
import { LineSplitter } from "../containers/dbt-runner/line-splitter.ts";
import type { Reading } from "./reader.ts";

const [, , mode, path = ""] = process.argv;
const log = newBuildLog();
let lines = 0;
const splitter = new LineSplitter((line) => {
  lines += 1;
  if (mode === "split") return;
  const event = readLine(line);
  if (event !== null) applyEvent(log, event);
});

const startedAtMs = performance.now();
for await (const chunk of createReadStream(path)) splitter.push(chunk as Buffer);
splitter.end();
const tookMs = performance.now() - startedAtMs;
const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
const reading: Reading = {
  lines,
  vertices: log.vertices.size,
  tookMs,
  cpuMs: (userCPUTime + systemCPUTime) / 1000,
  peakRssBytes: maxRSS * 1024,
};
process.stdout.write(JSON.stringify(reading));
