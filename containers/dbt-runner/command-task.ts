import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import type { Cause } from "#core/contracts/cause.ts";
import type { BuildEnd } from "#core/contracts/ledger.ts";
import { buildEnded } from "#core/dbt/build-end.ts";
import { commandArgv, type DbtCommandLine, readDbtCommand } from "#core/dbt/commands.ts";
import { saidLine } from "#core/dbt/said-line.ts";
import { type AfterEnd, uploadsAfterEnd } from "./after-end.ts";
import type { FinishedBuild } from "./build.ts";
import { noLaterThan } from "./patience.ts";
import { endWithoutDbt, recordEnd } from "./record-end.ts";
import { dbtUnlessStopped, finishDeps, type TaskContext } from "./run-task.ts";
import { uploadCommandFiles, uploadLog } from "./task-artefacts.ts";
import { VertexJournal } from "./vertex-journal.ts";

/** Longest time that what people wait for holds up the end of a command, in milliseconds. */
const BEFORE_END_MS = 120_000;

/** Lines of its output by which the end of a command is told. */
const TAIL_LINES = 20;

/**
 * Another command of dbt's (behaviour H7). Its verdict is dbt's exit status, and it owns no vertex. What it says is kept
 * as text beside dbt's files, before its end is recorded: whoever waits for the end reads it then.
 */
export async function runCommandTask(task: TaskContext, words: readonly string[]): Promise<AfterEnd> {
  const context = { ...task, journal: new VertexJournal({ put: () => undefined }) };
  const { folders, record, moments, output, parse, brief } = context;
  const command = readDbtCommand(words);
  const text = createWriteStream(join(folders.stateDir, "output.txt"));
  const tail: string[] = [];
  const onText = (line: string) => {
    const said = command.facts.isAnswer ? line : saidLine(line);
    text.write(`${said}\n`);
    if (said.trim() !== "" && tail.push(said) > TAIL_LINES) tail.shift();
  };
  const argv = commandArgv(folders.build, brief.asked, command);
  const build = await dbtUnlessStopped(context, argv, (event) => parse.watch(event), {}, onText);
  text.end();
  await finished(text);
  const { artefacts, ...deps } = finishDeps(context);
  await noLaterThan(uploadCommandFiles(artefacts), Date.now() + BEFORE_END_MS);
  const end = { ...endOfCommand(command, build, tail, context), moments: moments.told, runner: moments.usage };
  await recordEnd(record, end, 0);
  output.say("recorded", { cause: end.cause.kind, sentence: end.cause.sentence });
  return uploadsAfterEnd({ ...deps, artefacts }, async () => {
    await parse.settled();
    await uploadLog(artefacts);
  });
}

function endOfCommand(
  command: DbtCommandLine,
  build: FinishedBuild,
  tail: readonly string[],
  { stop }: Pick<TaskContext, "stop">,
): BuildEnd {
  const { exitCode, signal, signalledByUs } = build.end;
  const isOver = exitCode !== null && signal === null && !signalledByUs && build.end.outOfMemory !== true;
  const cause = isOver && exitCode === 0 ? wellDone(command) : causeOf(command, build, tail, stop.request);
  return {
    ...endWithoutDbt(cause, isOver),
    cause,
    exitCode,
    signal,
    dbtMs: build.tookMs,
    ...(build.log.dbtVersion === null ? {} : { dbtVersion: build.log.dbtVersion }),
  };
}

const wellDone = ({ name }: DbtCommandLine): Cause => ({
  kind: "none",
  sentence: `dbt ${name} ended well.`,
  lines: [],
});

/** Our own reasons first; then dbt's, by its events or, of a command that speaks plain text, by its last lines. */
function causeOf(
  { name }: DbtCommandLine,
  build: FinishedBuild,
  tail: readonly string[],
  stop: TaskContext["stop"]["request"],
): Cause {
  if (build.notStarted !== null)
    return {
      kind: "environment",
      sentence: `dbt could not be started: ${build.notStarted}.`,
      nextStep: "Check STEPWATCH_DBT_EXECUTABLE and that the image has dbt installed.",
      lines: [],
    };
  const stderrTail = [...tail, build.end.stderrTail].filter(Boolean).join("\n");
  const { cause } = buildEnded(build.log, { ...build.end, stderrTail });
  const lines = cause.lines.length > 0 ? cause.lines : [...tail];
  if (stop !== null && build.end.signalledByUs) {
    const kind = stop.reason === "timeout" || stop.reason === "stopped" ? stop.reason : "terminated";
    return { ...cause, kind: stop.reason === "stuck" ? "killed" : kind, sentence: stop.sentence, lines };
  }
  if (cause.kind !== "unexplained_exit" && cause.kind !== "none") return { ...cause, lines };
  const said = tail.slice(-6).join(" ").replace(/\s+/g, " ").slice(0, 400);
  const sentence = `dbt ${name} ended with exit code ${build.end.exitCode}: ${said || "it said nothing."}`;
  return { kind: "unexplained_exit", sentence, nextStep: "Read what it said: npx stepwatch logs <run>.", lines };
}
