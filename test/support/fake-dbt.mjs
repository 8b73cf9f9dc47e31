#!/usr/bin/env node
// A dbt that plays a script: FAKE_DBT names a JSON file
//   { version, build: [step], sigint: [step], ls: { prints, ids, exitCode, stderr, waitFor }, manifest, runResults, journal,
//     sources: what `source freshness` leaves }
// step: { line } | { text } | { base64 } | { stderr } | { sleepMs } | { manifest: true } | { runResults: true }
//       | { write: [path, text] } | { logFile: line } | { rotateLogFile: true } | { waitFor: name } | { kill: signal } | { exitCode }
// `waitFor` stands still until the test makes a file of that name beside the journal: no pause that is long enough by luck.
// Every start and every signal is noted as a line of JSON in the file `journal`.
import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";

const script = JSON.parse(readFileSync(process.env.FAKE_DBT, "utf8"));
const argv = process.argv.slice(2);
const folder = argv[argv.indexOf("--target-path") + 1];
const logFile = join(argv[argv.indexOf("--log-path") + 1], "dbt.log");
const note = (facts) =>
  appendFileSync(script.journal, `${JSON.stringify({ pid: process.pid, atMs: Date.now(), ...facts })}\n`);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const waitFor = async (name) => {
  while (!existsSync(join(dirname(script.journal), name))) await sleep(5);
};

function print(fd, bytes) {
  for (let rest = Buffer.from(bytes); rest.length > 0; ) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
    }
  }
}

async function play(steps, isCurrent) {
  for (const step of steps) {
    if (!isCurrent()) return;
    if (step.line)
      print(1, `${JSON.stringify({ ...step.line, info: { ...step.line.info, ts: new Date().toISOString() } })}\n`);
    if (step.text !== undefined) print(1, step.text);
    if (step.base64 !== undefined) print(1, Buffer.from(step.base64, "base64"));
    if (step.stderr !== undefined) print(2, step.stderr);
    if (step.manifest) writeFileSync(join(folder, "manifest.json"), JSON.stringify(script.manifest));
    if (step.runResults) writeFileSync(join(folder, "run_results.json"), JSON.stringify(script.runResults));
    if (step.write) mkdirSync(dirname(join(folder, step.write[0])), { recursive: true });
    if (step.write) writeFileSync(join(folder, step.write[0]), step.write[1]);
    if (step.logFile) appendFileSync(logFile, `${JSON.stringify(step.logFile)}\n`);
    if (step.rotateLogFile) renameSync(logFile, `${logFile}.1`);
    if (step.sleepMs !== undefined) await sleep(step.sleepMs);
    if (step.waitFor !== undefined) await waitFor(step.waitFor);
    if (step.kill) process.kill(process.pid, step.kill);
    if (step.kill) await sleep(5_000);
    if (step.exitCode !== undefined) process.exit(step.exitCode);
  }
  if (isCurrent()) process.exit(0);
}

/** An entry as dbt lists it: what its manifest says. */
function listed(id) {
  const sections = Object.values(script.manifest ?? {}).filter((section) => typeof section === "object");
  const node = sections.map((section) => section?.[id]).find((found) => found !== undefined) ?? {};
  const { fqn = [], resource_type = id.split(".")[0], original_file_path = "" } = node;
  return { unique_id: id, fqn, resource_type, original_file_path };
}

const told = Object.fromEntries(Object.entries(process.env).filter(([name]) => /^(STEPWATCH|DBT)_/.test(name)));
note({ started: argv[0], argv, cwd: process.cwd(), env: told });
if (argv[0] === "--version") {
  print(1, `Core:\n  - installed: ${script.version}\n`);
} else if (argv[0] === "compile" && argv.includes("--inline")) {
  print(1, `${script.compile ?? ""}\n`);
} else if (argv[0] === "source") {
  if (script.sources === undefined) print(1, "Encountered an error: no connection\n");
  else writeFileSync(join(folder, "sources.json"), JSON.stringify(script.sources));
  process.exit(script.sources === undefined ? 2 : 1);
} else if (argv[0] === "ls") {
  if (script.ls?.waitFor !== undefined) await waitFor(script.ls.waitFor);
  writeFileSync(join(folder, "manifest.json"), JSON.stringify(script.manifest));
  for (const text of script.ls?.prints ?? []) print(1, `${text}\n`);
  for (const id of script.ls?.ids ?? []) print(1, `${JSON.stringify(listed(id))}\n`);
  print(2, script.ls?.stderr ?? "");
  process.exit(script.ls?.exitCode ?? 0);
} else {
  let interrupted = false;
  process.on("SIGINT", () => {
    note({ signal: "SIGINT" });
    if (interrupted || !script.sigint) return;
    interrupted = true;
    play(script.sigint, () => true);
  });
  await play(script.build, () => !interrupted);
}
