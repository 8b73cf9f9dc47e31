import { setTimeout as wait } from "node:timers/promises";
import type { StepwatchConfig } from "#core/config.ts";
import { parseRunInput } from "#core/contracts/run-input.ts";
import type { BuildOptions } from "#core/dbt/argv.ts";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import { MINISTACK_REQUIREMENTS } from "#local/emulator/ministack.ts";
import { checkPorts } from "#local/emulator/ports.ts";
import type { Endpoints } from "#local/endpoints.ts";
import { ensureVenv } from "#local/python.ts";
import { loadConfig } from "../infra/load-config.ts";
import type { DeployedStack } from "./context.ts";
import { deployLocal, installDbt, type LocalDeploy, synthesise } from "./deploy-local.ts";
import { embeddedTarget, startEmbedded } from "./embedded.ts";
import { InfrastructureError, UsageError } from "./failure.ts";
import type { FollowEnd } from "./follow.ts";
import { lockEntries } from "./lock-holder.ts";
import { checkDisk, checkProject } from "./preflight.ts";
import { connect, personOf } from "./real-context.ts";
import { resourcesOf } from "./resources.ts";
import { endedBadly, exitCodeOf, lookFurther, nextOf } from "./run-end.ts";
import { summaryOf } from "./run-lookup.ts";
import { followStarted, type StartedRun, startRun } from "./run-start.ts";
import { PhaseBoard, type PhaseName } from "./view/phases.ts";
import { lineView, tableFrame } from "./view/run-view.ts";
import { type Paint, type Terminal, widthOf } from "./view/style.ts";
import { statusText, verdictText } from "./view/summary-text.ts";
import { waitingNotice } from "./waiting-notice.ts";

export interface Start {
  readonly configPath: string;
  /** The first project of stepwatch.yaml if unset. */
  readonly project: string | undefined;
  readonly input: BuildOptions;
  readonly stateDir: string;
  readonly terminal: Terminal;
  readonly paint: Paint;
  readonly environment: Record<string, string | undefined>;
  readonly signal: AbortSignal;
}

/**
 * Installs, starts, deploys, runs and shows. Answers the run's exit code; whatever goes wrong is thrown, an interrupt
 * too, after the run has been told to stop.
 */
export async function startEverything(start: Start): Promise<number> {
  checkPorts(process.env);
  const config = loadConfig(start.configPath);
  const project = projectOf(config, start);
  const board = new PhaseBoard({ terminal: start.terminal, paint: start.paint, now: () => Date.now() });
  const stopping = () => {
    board.close();
    start.terminal.write("\nStopping: ending the run and the embedded AWS …\n");
  };
  start.signal.addEventListener("abort", stopping, { once: true });
  try {
    const stack = await prepare(start, config, board);
    const end = await build(start, project, stack, board);
    board.close();
    return report(start, end);
  } finally {
    board.close();
  }
}

function projectOf(config: StepwatchConfig, start: Start): string {
  const names = Object.keys(config.projects);
  const name = start.project ?? names[0]!;
  const project = config.projects[name];
  if (project === undefined)
    throw new UsageError(
      `There is no project ${name} in ${start.configPath}, which has ${names.join(", ")}.`,
      "npm start -- --help",
    );
  checkProject(project, { ...start.input, packages: "installed later" });
  checkDisk(start.stateDir);
  return name;
}

/** Both Python environments and the template are made side by side: each of them waits for something else. */
async function prepare(start: Start, config: StepwatchConfig, board: PhaseBoard): Promise<DeployedStack> {
  const { configPath, stateDir, environment, signal } = start;
  const deploy = (phase: PhaseName): LocalDeploy => ({
    config,
    configPath,
    stateDir,
    environment,
    signal,
    onProgress: (line) => board.note(phase, line),
  });
  board.begin("installing");
  const packages = installEmulator(board);
  const dbtInstalled = installDbt(deploy("installing"));
  const installed = Promise.all([dbtInstalled, packages]).then(() => board.end("installing", ""));
  const emulator = packages.then(() => startEmulator(start, board));
  const ready = Promise.all([installed, emulator]).then(() => board.begin("deploying"));
  try {
    const [dbt, endpoints, synthesis] = await unlessInterrupted(
      signal,
      Promise.all([dbtInstalled, emulator, synthesise(deploy("deploying")), ready]),
    );
    const { deployment, changed } = await deployLocal(
      deploy("deploying"),
      embeddedTarget(endpoints, environment),
      synthesis,
      dbt,
    );
    board.end("deploying", changed ? deployment.stackName : "nothing has changed");
    return connect(resourcesOf(deployment.stackName, deployment.outputs), "embedded");
  } catch (error) {
    // An emulator that is starting has left no record yet: it could not be found to be ended.
    if (signal.aborted) await Promise.allSettled([emulator]);
    throw error;
  }
}

async function installEmulator(board: PhaseBoard): Promise<void> {
  const onProgress = (line: string) => board.note("installing", line);
  await ensureVenv(MINISTACK_REQUIREMENTS, { label: "the environment of the AWS emulator", onProgress });
}

async function startEmulator({ stateDir, signal }: Start, board: PhaseBoard): Promise<Endpoints> {
  signal.throwIfAborted();
  board.begin("starting");
  const endpoints = await startEmbedded(stateDir);
  board.end("starting", endpoints.awsEndpointUrl);
  return endpoints;
}

async function build(start: Start, project: string, stack: DeployedStack, board: PhaseBoard): Promise<FollowEnd> {
  start.signal.throwIfAborted();
  board.begin("planning");
  const clock = {
    now: () => Date.now(),
    sleep: (ms: number) => wait(ms, undefined, { signal: start.signal }),
    interrupted: start.signal,
  };
  const started = await startRun(clock, stack, parseRunInput({ project, ...start.input }));
  const show = showing(start, board);
  let phase: PhaseName = "planning";
  const notice = (line: string) => board.note(phase, line);
  const entries = lockEntries({ loadConfig: () => loadConfig(start.configPath) }, project, {});
  const waiting = waitingNotice(clock, stack, started, entries, notice);
  const end = await followStarted(clock, stack, started, notice, (snapshot) => {
    if (snapshot.run === null) waiting();
    // dbt may have built something before its plan is known.
    if (snapshot.plan !== null || snapshot.vertices.length > 0) phase = "building";
    if (phase === "building") board.follow("planning", "building", `run ${started.runId}`);
    if (snapshot.run !== null) show(summaryOf({ ...snapshot, run: snapshot.run }, Date.now()));
  });
  if (end === null) return stopRun(stack, started);
  board.end("planning");
  board.end("building");
  if (end.kind === "over" && end.execution.status !== "SUCCEEDED") throw endedBadly(started, end);
  return end;
}

/** Below the phases on a terminal, one line for each change on a pipe. */
function showing(start: Start, board: PhaseBoard): (summary: RunSummary) => void {
  const options = { terminal: start.terminal, paint: start.paint, now: () => Date.now() };
  const lines = lineView(options);
  if (start.terminal.isTTY !== true) return (summary) => lines.show(summary);
  return (summary) => board.showBelow(() => tableFrame(summary, options));
}

/** First the flag, which every container and function reads, then the execution: nothing new is launched in between. */
async function stopRun(stack: DeployedStack, started: StartedRun): Promise<never> {
  const reason = "Ctrl-C at npm start";
  const by = personOf(process.env);
  await Promise.allSettled([
    stack.ledger.requestStop({ ...started, round: 1 }, { atMs: Date.now(), reason, by }),
    stack.executions.stop(started.executionArn, reason),
  ]);
  throw new InfrastructureError("The run was interrupted.");
}

function report({ terminal, paint }: Start, end: FollowEnd): number {
  if (end.kind === "over") return 0;
  const summary = summaryOf(end.snapshot, Date.now());
  const text =
    terminal.isTTY === true
      ? verdictText(summary, paint)
      : statusText(summary, { width: widthOf(terminal, 160), height: Number.MAX_SAFE_INTEGER }, paint, Date.now());
  const lines = [
    "",
    ...text,
    "",
    ...lookFurther(summary.runId),
    "  npx stepwatch local down        (the embedded AWS stays up until then)",
    ...nextOf(summary.state, summary.runId),
  ];
  terminal.write(lines.map((line) => `${line}\n`).join(""));
  return exitCodeOf(summary.state);
}

/** A wait that Ctrl-C ends. What goes on in the background ends with this process, or with the embedded AWS. */
async function unlessInterrupted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  let stop: () => void = () => {};
  const interrupted = new Promise<never>((_, reject) => {
    stop = () => reject(new InfrastructureError("Interrupted."));
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([work, interrupted]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
