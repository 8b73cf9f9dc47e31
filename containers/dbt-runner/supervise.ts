import type { Artefacts } from "#clients/artefacts.ts";
import type { Ledger, RunKey } from "#clients/ledger.ts";
import type { RunnerEnvironment } from "#core/contracts/environment.ts";
import type { QuietNotice } from "#core/contracts/ledger.ts";
import { DbtFlagRefused } from "#core/dbt/argv.ts";
import { newBuildLog } from "#core/dbt/build-log.ts";
import { DISK_FULL_STEP } from "#core/dbt/cause.ts";
import { DbtCommandRefused } from "#core/dbt/commands.ts";
import { isUnsupportedDbt, readsDotEnv } from "#core/dbt/dbt-version.ts";
import { type EnvironmentOptions, optionsInEnvironment } from "#core/dbt/environment-options.ts";
import {
  maskerOf,
  type Secret,
  secretsOf,
  UNREADABLE_NEXT_STEP,
  type UnreadableSecret,
  unreadableSecret,
  unreadableSentence,
} from "#core/dbt/secrets.ts";
import { InputError, RetryableError, RowMissing } from "#core/errors.ts";
import { type AfterEnd, nothingMore } from "./after-end.ts";
import { runCommandTask } from "./command-task.ts";
import { findDbtVersion } from "./dbt-version.ts";
import { valuesInDotEnv } from "./dot-env.ts";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { lossOf } from "./full-refresh.ts";
import { unlessCutOff } from "./gated-build.ts";
import { givenState, StateMissing } from "./given-state.ts";
import { startHeartbeat } from "./heartbeat.ts";
import { ClockNotHeld } from "./held-clock.ts";
import { HooksNotHeld } from "./held-hooks.ts";
import { runHooksTask } from "./hooks-task.ts";
import { longestSilenceMs } from "./listen.ts";
import type { LogOutput } from "./log-output.ts";
import type { Moments } from "./moments.ts";
import type { OwnTask } from "./own-task.ts";
import { PartialParse, usesPartialParse } from "./partial-parse.ts";
import { patiently } from "./patience.ts";
import { projectNames } from "./project-names.ts";
import {
  type EndRecord,
  endWithoutDbt,
  FenceLost,
  recordEnd,
  recordEndWithoutDbt,
  StatusesUnwritten,
} from "./record-end.ts";
import { runPlanTask, runProducer, runSetBuild, type TaskContext } from "./run-task.ts";
import { FreshnessNotTaken } from "./source-freshness.ts";
import { StatusWriter } from "./status-writer.ts";
import { type StopSwitch, stopSchedule } from "./stop-switch.ts";
import { compiledKeyOf } from "./task-artefacts.ts";
import { optionsOfTask, readTaskBrief, type TaskBrief } from "./task-brief.ts";
import { makeTaskFolders, type TaskFolders } from "./task-folders.ts";
import { VertexJournal } from "./vertex-journal.ts";

/** What a container of dbt-runner reads and writes of the ledger. */
export type RunnerLedger = Pick<
  Ledger,
  "passFence" | "readRun" | "readTask" | "readLock" | "heartbeat" | "writeVertex" | "writeEnds" | "tellPlan" | "endTask"
>;

export interface SupervisorDeps {
  readonly environment: RunnerEnvironment;
  /** The container's whole environment, which dbt inherits. */
  readonly processEnv: Readonly<Record<string, string | undefined>>;
  readonly ownTask: OwnTask;
  readonly ledger: RunnerLedger;
  readonly artefacts: Pick<Artefacts, "getFile" | "getJson" | "putFile" | "putJson">;
  /** Another bucket, by its name, for states that lie elsewhere; unset: there is none but ours. */
  readonly bucketNamed?: (bucket: string) => Pick<Artefacts, "getFile">;
  readonly output: LogOutput;
  readonly stop: StopSwitch;
  readonly moments: Moments;
  readonly memoryKills?: () => Promise<number | null>;
  /** Makes the task's folders on the container's disk. */
  readonly makeFolders?: typeof makeTaskFolders;
}

/**
 * How long a ledger that can not be reached is tried before the run's deadline is known, and after it has passed
 * without a stop of ours, in milliseconds.
 */
const PATIENCE_MS = 5 * 60_000;

/** Supervises one task from fence to recorded end. Throws for defects alone. */
export async function supervise(deps: SupervisorDeps): Promise<ExitCode> {
  const startedAtMs = Date.now();
  let deadlineAtMs = startedAtMs + PATIENCE_MS;
  const untilMs = () => stopUntilMs(deps) ?? deadlineAtMs;
  deps.output.maskWith(maskerOf(secretsOfTask(deps)));
  try {
    if (!(await passFence(deps, startedAtMs, untilMs))) return EXIT.fenceLost;
    deps.moments.first("fencedAtMs");
    const record = endRecord(deps, untilMs);
    const brief = await readBrief(deps, record);
    if (brief === null) return EXIT.taskUnreadable;
    deps.moments.first("briefedAtMs");
    deadlineAtMs = brief.run.deadlineAtMs + PATIENCE_MS;
    await runUnderHeartbeat(deps, brief, record);
    return EXIT.recorded;
  } catch (error) {
    return exitCodeOf(error, deps);
  }
}

function exitCodeOf(error: unknown, { output, stop }: SupervisorDeps): ExitCode {
  const outOfTime = error instanceof StatusesUnwritten || error instanceof RetryableError;
  if (!outOfTime && !(error instanceof FenceLost) && !(error instanceof RowMissing)) throw error;
  output.say("not recorded", { error: error.name, sentence: error.message });
  if (error instanceof FenceLost) return EXIT.fenceLost;
  if (error instanceof RowMissing) return EXIT.taskUnreadable;
  return stop.request?.reason === "terminated" ? EXIT.terminated : EXIT.ledgerUnreachable;
}

function stopUntilMs({ stop, environment }: SupervisorDeps): number | null {
  // Nobody kills the container of a dbt that is interrupted because it is stuck.
  if (!stop.request || stop.request.reason === "stuck") return null;
  return stop.request.atMs + stopSchedule(environment.STEPWATCH_STOP_TIMEOUT_SECONDS).recordedByMs;
}

const keyOf = ({ environment }: SupervisorDeps): RunKey => ({
  project: environment.STEPWATCH_PROJECT,
  runId: environment.STEPWATCH_RUN_ID,
});

async function passFence(deps: SupervisorDeps, startedAtMs: number, untilMs: () => number): Promise<boolean> {
  const { ledger, ownTask, output, environment } = deps;
  const passed = await patiently(
    () => ledger.passFence(keyOf(deps), environment.STEPWATCH_TASK, { ...ownTask, startedAtMs }),
    untilMs,
  );
  output.say(passed ? "fence passed" : "fence refused", {
    run: environment.STEPWATCH_RUN_ID,
    task: environment.STEPWATCH_TASK,
    taskArn: ownTask.taskArn,
    ...(passed ? {} : { sentence: "Another container builds this task, or the task is over: dbt is not started." }),
  });
  return passed;
}

function endRecord(deps: SupervisorDeps, untilMs: () => number): EndRecord {
  return {
    ledger: deps.ledger,
    key: keyOf(deps),
    task: deps.environment.STEPWATCH_TASK,
    taskArn: deps.ownTask.taskArn,
    untilMs,
  };
}

/** Null: what the task is to build can not be read; the end says so, so that the run does not wait for it. */
async function readBrief(deps: SupervisorDeps, record: EndRecord): Promise<TaskBrief | null> {
  try {
    return await patiently(() => readTaskBrief(deps.ledger, deps.artefacts, record.key, record.task), record.untilMs);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    deps.output.say("the task can not be read", { sentence: error.message });
    await recordEnd(record, endWithoutDbt({ kind: "environment", sentence: error.message }), 0);
    return null;
  }
}

async function runUnderHeartbeat(deps: SupervisorDeps, brief: TaskBrief, record: EndRecord): Promise<void> {
  const { output, ledger, ownTask, environment, stop } = deps;
  const log = newBuildLog();
  const quiet: QuietNotice[] = [];
  const writer = new StatusWriter({
    write: (write) => ledger.writeVertex(record.key, record.task, write),
    writeEnds: (writes) => ledger.writeEnds(record.key, record.task, writes),
    hold: brief.run.settings.policy.backup === "end",
    onWritten: () => deps.moments.first("firstDurableAtMs"),
    onLost: (write, error) =>
      output.say("a status can not be written", { uniqueId: write.uniqueId, error: String(error) }),
  });
  stop.listen((request) => request.reason === "fence_lost" && writer.close());
  const heartbeat = startHeartbeat({
    ledger,
    key: record.key,
    task: environment.STEPWATCH_TASK,
    taskArn: ownTask.taskArn,
    run: brief.run,
    stop,
    facts: () => ({
      sequence: writer.counts.written,
      dbtVersion: log.dbtVersion ?? undefined,
      invocationId: log.invocationId ?? undefined,
      ...(quiet.length > 0 ? { quiet } : {}),
    }),
    onMissed: (error) => output.say("a heartbeat failed", { error: String(error) }),
  });
  let afterEnd = nothingMore;
  try {
    afterEnd = await runTask({ deps, brief, record, log, writer, quiet });
  } finally {
    writer.close();
    await heartbeat.stop();
  }
  await afterEnd();
}

type Parts = Pick<TaskContext, "brief" | "record" | "log" | "writer" | "quiet"> & { readonly deps: SupervisorDeps };

async function runTask({ deps, ...parts }: Parts): Promise<AfterEnd> {
  const { environment, processEnv } = deps;
  const dbtVersion = await findDbtVersion(environment.STEPWATCH_DBT_EXECUTABLE, processEnv);
  if (dbtVersion !== null && isUnsupportedDbt(dbtVersion))
    return recordEndWithoutDbt(parts.record, unsupported(dbtVersion));
  const secret = await refusedSecret(deps, dbtVersion);
  if (secret !== null) {
    deps.output.say("a secret is refused", { variable: secret.variable });
    const refused = {
      kind: "environment" as const,
      sentence: unreadableSentence(secret),
      nextStep: UNREADABLE_NEXT_STEP,
    };
    return recordEndWithoutDbt(parts.record, refused);
  }
  const found = optionsFound(deps, dbtVersion);
  const { run, task } = parts.brief;
  const brief = { ...parts.brief, ...optionsOfTask(run, task, found) };
  const loss = lossOf(brief, found);
  if (loss !== null) return recordEndWithoutDbt(parts.record, { kind: "flags", ...loss });
  try {
    return await runInFolders(deps, { ...parts, brief }, dbtVersion);
  } catch (error) {
    if (!isDiskFull(error)) throw error;
    // Told from memory: nothing that could be written to the disk is needed to say so.
    const sentence = `No space left in ${environment.STEPWATCH_WORK_DIR}, the container's work folder.`;
    const end = endWithoutDbt({ kind: "disk_full", sentence, nextStep: DISK_FULL_STEP });
    await parts.writer.flush(parts.record.untilMs);
    await recordEnd(parts.record, end, parts.writer.counts.written);
    return nothingMore;
  }
}

/** The codes of a disk, or of a quota on it, that takes nothing more. */
const DISK_FULL_CODES: ReadonlySet<unknown> = new Set(["ENOSPC", "EDQUOT"]);

const isDiskFull = (error: unknown): boolean =>
  error instanceof Error && DISK_FULL_CODES.has((error as NodeJS.ErrnoException).code);

async function runInFolders(
  deps: SupervisorDeps,
  parts: Omit<Parts, "deps">,
  dbtVersion: string | null,
): Promise<AfterEnd> {
  const { environment } = deps;
  const silenceMs = longestSilenceMs(deps.artefacts, environment.STEPWATCH_PROJECT);
  const folders = await (deps.makeFolders ?? makeTaskFolders)({
    workDir: environment.STEPWATCH_WORK_DIR,
    projectDir: environment.STEPWATCH_DBT_PROJECT_DIR,
    profilesDir: environment.STEPWATCH_DBT_PROFILES_DIR,
    runId: environment.STEPWATCH_RUN_ID,
    task: environment.STEPWATCH_TASK,
  });
  const { key } = parts.record;
  const used = usesPartialParse(dbtVersion, parts.brief.options);
  const parse = new PartialParse({ artefacts: deps.artefacts, key, folders, output: deps.output, used });
  // Nobody has parsed the project before the run's first task.
  if (environment.STEPWATCH_TASK > 1) await parse.fetch();
  const context = (brief: TaskBrief): TaskContext => ({
    ...deps,
    ...parts,
    brief,
    key,
    longestSilenceMs: silenceMs,
    dbtVersion,
    journal: new VertexJournal(parts.writer, compiledKeyOf({ key, task: environment.STEPWATCH_TASK })),
    folders,
    parse,
  });
  try {
    return await runKind(context(await withGivenState(deps, parts, folders)));
  } catch (error) {
    if (error instanceof StateMissing)
      return recordEndWithoutDbt(parts.record, { kind: "flags", sentence: error.message, nextStep: error.nextStep });
    if (error instanceof FreshnessNotTaken) {
      const cause = { kind: "environment" as const, sentence: error.message };
      return recordEndWithoutDbt(parts.record, unlessCutOff(cause, deps.stop));
    }
    if (error instanceof ClockNotHeld || error instanceof HooksNotHeld)
      return recordEndWithoutDbt(parts.record, { kind: "environment", sentence: error.message });
    if (!(error instanceof DbtFlagRefused) && !(error instanceof DbtCommandRefused)) throw error;
    const nextStep = "Take the refused argument out of the run's options.";
    return recordEndWithoutDbt(parts.record, { kind: "flags", sentence: error.message, nextStep });
  }
}

function runKind(context: TaskContext): Promise<AfterEnd> {
  const { task, hooks, set, command } = context.brief;
  if (task.kind === "plan") return runPlanTask(context);
  if (command) return runCommandTask(context, command);
  if (hooks) return runHooksTask(context, hooks);
  return set ? runSetBuild(context, set) : runProducer(context);
}

/** The brief with options that name the states where they lie in this container (behaviour H10). */
async function withGivenState(
  deps: SupervisorDeps,
  { brief, record }: Pick<Parts, "brief" | "record">,
  { givenStateDir, build }: TaskFolders,
): Promise<TaskBrief> {
  const { artefacts, output, bucketNamed = () => artefacts } = deps;
  const { key, task, untilMs } = record;
  const place = { folder: givenStateDir, projectDir: build.projectDir };
  const given = { key, task, resumed: brief.run.resumed, artefacts, bucketNamed, output, untilMs, ...place };
  const options = await givenState(brief.asked, given);
  const [asked, own, planned] = [brief.asked, brief.options, brief.planOptions].map(options);
  return { ...brief, asked: asked!, options: own!, planOptions: planned! };
}

/** The secrets of the environment, and of the `.env` that dbt 1.12 reads by itself. */
const secretsOfTask = ({ environment, processEnv }: SupervisorDeps): Secret[] =>
  secretsOf({ ...valuesInDotEnv(environment.STEPWATCH_DBT_PROJECT_DIR), ...processEnv });

/** What the environment, and the `.env` that dbt 1.12 reads by itself, say of a build's rows. */
function optionsFound({ environment, processEnv }: SupervisorDeps, dbtVersion: string | null): EnvironmentOptions {
  const reads = dbtVersion !== null && readsDotEnv(dbtVersion);
  const file = reads ? valuesInDotEnv(environment.STEPWATCH_DBT_PROJECT_DIR) : {};
  return optionsInEnvironment({ ...file, ...processEnv }, dbtVersion);
}

/** A secret that dbt would mask in ids and words of its own log (behaviour A22). */
async function refusedSecret(deps: SupervisorDeps, dbtVersion: string | null): Promise<UnreadableSecret | null> {
  const projectDir = deps.environment.STEPWATCH_DBT_PROJECT_DIR;
  const secrets = dbtVersion !== null && readsDotEnv(dbtVersion) ? secretsOfTask(deps) : secretsOf(deps.processEnv);
  return secrets.length === 0 ? null : unreadableSecret(secrets, await projectNames(projectDir));
}

const unsupported = (version: string) => ({
  kind: "unsupported_dbt" as const,
  sentence: `dbt ${version} is older than 1.8, the oldest that stepwatch reads; nothing was built.`,
  nextStep: "Install dbt 1.8 or later.",
});
