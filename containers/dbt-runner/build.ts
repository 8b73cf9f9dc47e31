import { applyEvent, type BuildLog, markSignalled, newBuildLog } from "#core/dbt/build-log.ts";
import type { ProcessEnd } from "#core/dbt/cause.ts";
import { isUnsupportedDbt } from "#core/dbt/dbt-version.ts";
import type { LogEvent } from "#core/dbt/log-events.ts";
import { MAX_LINE_CHARACTERS, readLine } from "#core/dbt/log-line.ts";
import { type DbtCommand, type DbtProcess, startDbt } from "./dbt-process.ts";
import { ErrorTail } from "./error-tail.ts";
import type { LogOutput } from "./log-output.ts";
import { countMemoryKills, wasMemoryKill } from "./memory-kills.ts";
import type { Moments } from "./moments.ts";
import { type StopRequest, type StopSwitch, stopSchedule } from "./stop-switch.ts";
import type { VertexJournal } from "./vertex-journal.ts";

export interface BuildDeps {
  readonly output: LogOutput;
  readonly journal: VertexJournal;
  readonly stop: StopSwitch;
  readonly stopTimeoutSeconds: number;
  /** Whether dbt was given a selection. */
  readonly selects?: boolean;
  /** Told of each line, of either output. */
  readonly onLine?: () => void;
  /** Each line of standard output, as it may be kept. */
  readonly onText?: ((line: string) => void) | undefined;
  readonly moments: Moments;
  /** Each event of dbt, after it was taken in. */
  readonly onEvent: (event: LogEvent) => void;
  /** dbt's own log file, where it tells why a vertex failed before its end; null: standard output is all. */
  readonly errorLog?: string | null;
  /** Out-of-memory kills of the container so far; null where nobody counts. */
  readonly memoryKills?: () => Promise<number | null>;
}

export interface FinishedBuild {
  readonly log: BuildLog;
  readonly end: ProcessEnd;
  readonly tookMs: number;
  /** Why the operating system could not start dbt. */
  readonly notStarted: string | null;
  /** The longest silence that dbt has broken; of a build that was ended, nobody knows. Milliseconds. */
  readonly longestQuietMs?: number | undefined;
}

/** Runs one dbt to its end, with `log` as what it has said. Never rejects for anything that dbt does. */
export async function runBuild(command: DbtCommand, log: BuildLog, deps: BuildDeps): Promise<FinishedBuild> {
  const countKills = deps.memoryKills ?? countMemoryKills;
  const killsBefore = await countKills();
  let killedByUs = false;
  const dbt = startDbt(command, {
    onLine: (line, droppedBytes) => {
      deps.onLine?.();
      readOutput(line, droppedBytes, log, deps);
    },
    onErrorLine: (line) => {
      deps.onLine?.();
      deps.output.line(line);
    },
  });
  const stopListening = obeyStops(dbt, log, deps, () => {
    killedByUs = true;
  });
  const errors = deps.errorLog ? new ErrorTail(deps.errorLog, (line) => readError(line, log, deps)) : null;
  const exit = await dbt.exit;
  deps.moments.last("dbtEndedAtMs");
  await errors?.end();
  stopListening();
  const outOfMemory = wasMemoryKill(killsBefore, await countKills(), { ...exit, killedByUs });
  const end = {
    exitCode: exit.exitCode,
    signal: exit.signal,
    signalledByUs: log.signalledAtMs !== null,
    outOfMemory,
    stderrTail: deps.output.masked(exit.stderrTail),
    ...(deps.selects === undefined ? {} : { selects: deps.selects }),
  };
  deps.output.say("dbt ended", { exitCode: exit.exitCode, signal: exit.signal, outOfMemory, tookMs: exit.tookMs });
  return { log, end, tookMs: exit.tookMs, notStarted: exit.notStarted };
}

/** A build that is told to end before dbt is started. */
export function buildThatNeverStarted(): FinishedBuild {
  return {
    log: newBuildLog(),
    end: { exitCode: null, signal: null, signalledByUs: true, outOfMemory: false, stderrTail: "" },
    tookMs: 0,
    notStarted: null,
  };
}

function readOutput(printed: string, droppedBytes: number, log: BuildLog, deps: BuildDeps): void {
  const line = deps.output.masked(printed);
  deps.output.line(line);
  deps.onText?.(line);
  if (droppedBytes > 0) deps.output.say("a line was too long to be kept", { droppedBytes });
  if (droppedBytes > 0 || line.length > MAX_LINE_CHARACTERS) return;
  const event = readLine(line);
  if (event === null) return;
  noteMoment(event, deps.moments);
  deps.journal.record(applyEvent(log, event));
  if (event.kind === "version" && log.dbtVersion !== null && isUnsupportedDbt(log.dbtVersion)) {
    deps.stop.ask("unsupported_dbt", `dbt ${log.dbtVersion} is older than 1.8.`);
  }
  deps.onEvent(event);
}

function noteMoment({ kind }: LogEvent, moments: Moments): void {
  moments.first("dbtSpokeAtMs");
  if (kind === "concurrency") moments.first("dbtReadyAtMs");
  if (kind === "started" || kind === "ended") moments.first("firstVertexAtMs");
  if (kind === "ended") moments.last("lastVertexAtMs");
}

/** A line of dbt's log file. It is printed nowhere: standard output has the same words later. */
function readError(written: string, log: BuildLog, deps: BuildDeps): void {
  const event = readLine(deps.output.masked(written));
  if (event?.kind === "message") deps.journal.record(applyEvent(log, event));
}

/** Ends dbt as the reason asks: at once where nothing of it may count, otherwise in three steps within the stop timeout. */
function obeyStops(dbt: DbtProcess, log: BuildLog, deps: BuildDeps, onKill: () => void): () => void {
  const timers: NodeJS.Timeout[] = [];
  const kill = () => {
    onKill();
    dbt.signal("SIGKILL");
  };
  const unlisten = deps.stop.listen((request: StopRequest) => {
    deps.output.say("stopping dbt", { reason: request.reason, sentence: request.sentence });
    deps.journal.record(markSignalled(log, request.atMs));
    if (request.reason === "fence_lost" || request.reason === "unsupported_dbt") return kill();
    const schedule = stopSchedule(deps.stopTimeoutSeconds);
    if (!request.dbtWasTold) dbt.signal("SIGINT");
    timers.push(
      setTimeout(() => dbt.signal("SIGTERM"), schedule.terminateAfterMs),
      setTimeout(kill, schedule.killAfterMs),
    );
  });
  return () => {
    unlisten();
    for (const timer of timers) clearTimeout(timer);
  };
}
