#!/usr/bin/env node
// A dbt that prints the lines of a file evenly over so many seconds: PLAYED names a JSON file, see played-build.ts. Its
// own CPU time is added to a file at its end, so that it can be taken out of what the container used.
import { appendFileSync, copyFileSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";

const { folder, linesFile, seconds, usageFile } = JSON.parse(readFileSync(process.env.PLAYED, "utf8"));
const argv = process.argv.slice(2);
process.on("exit", () => {
  const { userCPUTime, systemCPUTime } = process.resourceUsage();
  appendFileSync(usageFile, `${(userCPUTime + systemCPUTime) / 1000}\n`);
});
if (argv[0] === "--version") {
  print("Core:\n  - installed: 1.11.16\n");
} else {
  const target = argv[argv.indexOf("--target-path") + 1];
  copyFileSync(join(folder, "manifest.json"), join(target, "manifest.json"));
  const lines = readFileSync(linesFile, "utf8").split("\n").slice(0, -1);
  const startedAtMs = Date.now();
  for (let at = 0; at < lines.length; ) {
    const due = Math.ceil((lines.length * (Date.now() - startedAtMs + 10)) / (seconds * 1000));
    if (due > at) print(`${lines.slice(at, due).join("\n")}\n`);
    at = Math.max(at, due);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  copyFileSync(join(folder, "run_results.json"), join(target, "run_results.json"));
}

function print(text) {
  for (let rest = Buffer.from(text); rest.length > 0; ) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
    }
  }
}
