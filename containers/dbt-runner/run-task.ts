import type { Artefacts } from "#clients/artefacts.ts";
import type { Ledger, RunKey } from "#clients/ledger.ts";
import type { Cause } from "#core/contracts/cause.ts";
import type { RunnerEnvironment } from "#core/contracts/environment.ts";
import type { QuietNotice } from "#core/contracts/ledger.ts";
import { type BuildOptions, buildArgv, recoveryOptions, testArgv } from "#core/dbt/argv.ts";
import type { BuildLog } from "#core/dbt/build-log.ts";
import { shownWords } from "#core/dbt/command-words.ts";
import { isDbt2 } from "#core/dbt/dbt-version.ts";
import { variableOf } from "#core/dbt/environment-options.ts";
import { compareReported, SELECTION_VARIABLES } from "#core/dbt/exact-selection.ts";
import { TEST_TYPES } from "#core/dbt/resource-types.ts";
import { nameSkips } from "#core/dbt/skipped-without-id.ts";
import { selectsBySources } from "#core/dbt/state-selection.ts";
import type { InputError } from "#core/errors.ts";
import type { SourcesSeen } from "#core/run/planning/freshness-gate.ts";
import { dateEnvironment } from "#core/run/planning/run-dates.ts";
import type { AfterEnd } from "./after-end.ts";
import { buildThatNeverStarted, type FinishedBuild, runBuild } from "./build.ts";
import type { DbtCommand } from "./dbt-process.ts";
import { namesInDotEnv } from "./dot-env.ts";
import { endOrphans, unlessStopped } from "./end-orphans.ts";
import { type FinishDeps, finishBuild } from "./finish.ts";
import { seeSources } from "./freshness-gate.ts";
import { exactly, letThrough, recordGateEnd, WHOLE } from "./gated-build.ts";
import { heldClock } from "./held-clock.ts";
import { type HeldHooks, heldHooks, hooksOfProducer, hooksOfSet } from "./held-hooks.ts";
import { listen } from "./listen.ts";
import type { LogOutput } from "./log-output.ts";
import type { Moments } from "./moments.ts";
import type { PartialParse } from "./partial-parse.ts";
import { noLaterThan } from "./patience.ts";
import { choosePlanSource, isNarrowed, type PlanSourceKind } from "./plan-source.ts";
import { ProducerPlan } from "./producer-plan.ts";
import { type EndRecord, endWithoutDbt, FenceLost, recordEnd, recordEndWithoutDbt } from "./record-end.ts";
import { errorLogOf, toRecoverBeside } from "./recover-beside.ts";
import { sampleFailures } from "./sample-failures.ts";
import { type FreshnessDeps, takeFreshness } from "./source-freshness.ts";
import type { StatusWriter } from "./status-writer.ts";
import type { StopSwitch } from "./stop-switch.ts";
import { type BuildSet, type TaskBrief, takesManyWriters, testsAfterAll } from "./task-brief.ts";
import type { TaskFolders } from "./task-folders.ts";
import type { VertexJournal } from "./vertex-journal.ts";

/** Everything a task works on, once it has passed the fence and knows what to do. */
export interface TaskContext {
  readonly environment: RunnerEnvironment;
  readonly processEnv: Readonly<Record<string, string | undefined>>;
  readonly key: RunKey;
  readonly brief: TaskBrief;
  readonly ledger: Pick<Ledger, "tellPlan" | "readTask">;
  readonly artefacts: Pick<Artefacts, "getFile" | "getJson" | "putFile" | "putJson">;
  readonly folders: TaskFolders;
  readonly parse: PartialParse;
  readonly dbtVersion: string | null;
  readonly log: BuildLog;
  /** Of the project's builds before; asked for while everything else is made ready. */
  readonly longestSilenceMs: Promise<number>;
  /** Long silences of dbt, which the next heartbeat tells. */
  readonly quiet: QuietNotice[];
  readonly writer: StatusWriter;
  readonly journal: VertexJournal;
  readonly record: EndRecord;
  readonly output: LogOutput;
  readonly stop: StopSwitch;
  readonly moments: Moments;
  readonly memoryKills?: (() => Promise<number | null>) | undefined;
}

/** The producer: the user's own selection, and the plan beside it. */
export async function runProducer(context: TaskContext): Promise<AfterEnd> {
  const { brief, dbtVersion } = context;
  const sources = await sourcesSeen(context);
  const { projectDir } = context.folders.build;
  const source =
    sources === null
      ? await choosePlanSource({ options: brief.options, env: context.processEnv, projectDir, dbtVersion })
      : "ls_first";
  const plan = await newPlan(context, source, sources);
  const hooks = await hooksOfBuild(context, hooksOfProducer(!testsAfterAll(brief.run)));
  const refusal = await plan.begin();
  if (refusal !== null) return recordEndWithoutDbt(context.record, settingsRefused(refusal));
  const selected = sources === null ? WHOLE : await letThrough(context, await plan.outcome(context.log));
  if ("kind" in selected) return recordGateEnd(context, selected);
  const given = toRecoverBeside(brief.run.settings.policy, selected.options ?? brief.options, dbtVersion);
  const argv = buildArgv(context.folders.build, given, selected.args);
  const build = await dbtUnlessStopped(
    selected.args === undefined ? context : { ...context, processEnv: withoutSelection(context, dbtVersion) },
    argv,
    (event) => {
      plan.watch(event);
      context.parse.watch(event);
    },
    hooks,
  );
  const { plan: made, problem } = await plan.outcome(build.log);
  context.journal.record(nameSkips(build.log, made?.vertices ?? []));
  return finishBuild(finishDeps(context), build, { planProblem: problem, claimed: null });
}

/** A fallback or a recovery build: exactly the claimed vertices, whatever the user's selection was. */
export async function runSetBuild(context: TaskContext, set: BuildSet): Promise<AfterEnd> {
  const version = context.dbtVersion ?? set.dbtVersion;
  const selection = await exactly(context, version, set.vertices, recoveryOptions(context.brief.options));
  const options = { ...withFewThreads(selection.options, set.vertices.length), ...windowOf(set, selection.options) };
  // `dbt build` never runs a unit test whose model is not selected too, and exits 0; `dbt test` does (1.x).
  const command = set.vertices.every((vertex) => TEST_TYPES.has(vertex.resourceType)) ? testArgv : buildArgv;
  const beside = toRecoverBeside(context.brief.run.settings.policy, options, context.dbtVersion ?? set.dbtVersion);
  const argv = command(context.folders.build, beside, selection.args);
  const refusal = await orphansForbid(context, set);
  if (refusal !== null) return recordEndWithoutDbt(context.record, refusal);
  const hooks = await hooksOfBuild(context, hooksOfSet(set.startHooks === true));
  const clock = await heldClock(
    { ...set, fullRefresh: options.fullRefresh },
    context.folders.clockDir,
    context.dbtVersion ?? set.dbtVersion,
    (args, more) => dbtCommand(context, args, { ...hooks, ...more }),
  );
  const env = { ...hooks, ...clock };
  const build = await dbtUnlessStopped(context, argv, (event) => context.parse.watch(event), env);
  const claimed = set.vertices.map((vertex) => vertex.uniqueId);
  const { missing, unexpected } = compareReported(claimed, build.log.vertices.keys());
  if (missing.length + unexpected.length > 0)
    context.output.say("reported is not claimed", {
      missing: missing.slice(0, 50),
      unexpected: unexpected.slice(0, 50),
    });
  const named = set.vertices.map(({ uniqueId, fqn }) => ({ uniqueId, name: fqn.at(-1) ?? "" }));
  context.journal.record(nameSkips(build.log, named));
  return finishBuild(finishDeps(context), build, { planProblem: null, claimed });
}

/** With `hooks: once` the environment by which a build runs no hook that is not its own; empty with `each`. */
const hooksOfBuild = async (context: TaskContext, hooks: HeldHooks): Promise<Readonly<Record<string, string>>> =>
  context.brief.run.settings.policy.hooks === "each"
    ? {}
    : await heldHooks(hooks, context.folders.hooksDir, context.dbtVersion, (args, more) =>
        dbtCommand(context, args, more),
      );

const settingsRefused = ({ message }: InputError): Omit<Cause, "lines"> => ({
  kind: "parse",
  sentence: message,
  nextStep: message.includes("freshness")
    ? "Name sources as the dbt project has them; nothing was built."
    : "Correct meta.stepwatch in the dbt project; nothing was built.",
});

/** Longest time that the end of a plan task waits for its partial parse to be handed on, in milliseconds. */
const PARSE_UPLOAD_MS = 30_000;

/** The plan alone, for a run whose producer ended before it was known. */
export async function runPlanTask(context: TaskContext): Promise<AfterEnd> {
  const plan = await newPlan(context, "ls_first", await sourcesSeen(context));
  await plan.begin();
  const { problem } = await plan.outcome(context.log);
  if (problem === null) context.parse.handOn(context.folders.plan.targetDir);
  const cause =
    problem === null
      ? { kind: "none" as const, sentence: "The plan was made." }
      : { kind: "environment" as const, sentence: `The plan could not be made: ${problem}` };
  await recordEnd(context.record, endWithoutDbt(cause, problem === null), 0);
  return async () => void (await noLaterThan(context.parse.settled(), Date.now() + PARSE_UPLOAD_MS));
}

/** What the freshness gate decides by; null without one. A selection by sources needs dbt's word of them as well. */
async function sourcesSeen(context: TaskContext): Promise<SourcesSeen | null> {
  const { freshness } = context.brief.run.settings.policy;
  const isTaken = freshness.gate === "warn" || freshness.gate === "error";
  if (!isTaken) await laySources(context);
  return seeSources({ ...freshnessDeps(context), freshness });
}

/** Lays what the run's first task has seen of the sources where a selection by them looks for it. */
export async function laySources(context: TaskContext): Promise<void> {
  if (selectsBySources(context.brief.planOptions)) await takeFreshness(freshnessDeps(context));
}

function freshnessDeps(context: TaskContext): FreshnessDeps {
  const { key, ledger, artefacts, folders, output, stop, record, brief } = context;
  const { task, untilMs } = record;
  const dbt: FreshnessDeps["dbt"] = (argv, more) => dbtCommand(context, argv, more);
  // Those of the project are its builds' own, with `hooks: once`.
  const hooks = () => hooksOfBuild(context, hooksOfSet(false));
  return { key, task, ledger, artefacts, folders, options: brief.planOptions, dbt, hooks, output, stop, untilMs };
}

async function newPlan(context: TaskContext, source: PlanSourceKind, seen: SourcesSeen | null): Promise<ProducerPlan> {
  const { key, ledger, artefacts, folders, dbtVersion, output, stop, record, brief } = context;
  const { projectDir } = folders.build;
  return new ProducerPlan(source, {
    key,
    task: context.environment.STEPWATCH_TASK,
    taskArn: record.taskArn,
    ledger,
    artefacts,
    folders,
    options: context.brief.planOptions,
    sources: seen === null ? null : { seen, freshness: brief.run.settings.policy.freshness },
    // Tests that the policy leaves to another build, or to none, narrow nothing.
    narrowed: await isNarrowed({ options: brief.asked, env: context.processEnv, projectDir }),
    testsAfterAll: testsAfterAll(context.brief.run),
    hooksOnce: brief.run.settings.policy.hooks === "once",
    manyWriters: takesManyWriters(brief.run),
    buildFollows: brief.task.kind === "producer",
    dbtVersion,
    dbt: (argv) => dbtCommand(context, argv),
    output,
    stop,
    untilMs: record.untilMs,
    moments: context.moments,
  });
}

/**
 * Ends what an earlier build has left running (behaviour D12). Where nobody can tell whether it is gone, the build waits
 * as long as a warehouse is given to drop it; the answer is why the set may not be built even so (G31).
 */
async function orphansForbid(context: TaskContext, set: BuildSet): Promise<Omit<Cause, "lines"> | null> {
  const { orphans, adapterType } = set;
  if (orphans === undefined || context.stop.request) return null;
  const { folders, output, stop, brief } = context;
  const { options } = brief;
  const dbt = (argv: readonly string[]) => dbtCommand(context, argv);
  if (await endOrphans(orphans, { folders, options, adapterType, dbt, output, stop })) return null;
  const left = new Set(orphans.uniqueIds);
  const inDoubt = set.vertices.find((vertex) => vertex.orphan === "must_be_gone" && left.has(vertex.uniqueId));
  if (inDoubt === undefined) {
    await unlessStopped(brief.run.settings.policy.orphanGraceSeconds * 1000, stop);
    return null;
  }
  const sentence = `Outcome unknown: nobody can tell whether the query of ${inDoubt.uniqueId} still runs that a killed build has left; nothing was built.`;
  const nextStep = "See that the warehouse is reachable and has no query of it, then look at the table.";
  return { kind: "environment", sentence, nextStep };
}

/** Runs dbt to its end, unless the task has been told to end before. */
export async function dbtUnlessStopped(
  context: TaskContext,
  argv: readonly string[],
  onEvent: Parameters<typeof runBuild>[2]["onEvent"],
  env: Readonly<Record<string, string>> = {},
  onText?: (line: string) => void,
): Promise<FinishedBuild> {
  if (context.stop.request) return buildThatNeverStarted();
  const { output, journal, stop, environment, memoryKills, brief, moments } = context;
  output.say("starting dbt", { argv: shownWords(argv), dbtVersion: context.dbtVersion });
  const silence = await listen(context);
  moments.first("dbtStartedAtMs");
  const build = await runBuild(dbtCommand(context, argv, env), context.log, {
    output,
    journal,
    stop,
    onLine: silence.onLine,
    onText,
    moments,
    stopTimeoutSeconds: environment.STEPWATCH_STOP_TIMEOUT_SECONDS,
    onEvent,
    selects: context.brief.set !== null || selects(context.brief.options),
    errorLog: errorLogOf(brief.run.settings.policy, context.folders.build),
    ...(memoryKills ? { memoryKills } : {}),
  });
  const longestQuietMs = silence.ended(build);
  if (stop.request?.reason === "fence_lost") throw new FenceLost(stop.request.sentence);
  return { ...build, longestQuietMs };
}

/** Whether these options leave anything of a project out. */
const selects = ({ select, exclude, selector, resourceTypes, excludeResourceTypes }: BuildOptions): boolean =>
  [select, exclude, selector, resourceTypes, excludeResourceTypes].some(
    (given) => given !== undefined && given.length > 0,
  );

/**
 * The window is planned only where the run's own options give none (core/run/planning/plan, batchSize). In a full refresh
 * it would be all that is left of a model that allows one.
 */
function windowOf(
  { eventWindow, vertices }: BuildSet,
  options: BuildOptions,
): Pick<BuildOptions, "eventTimeStart" | "eventTimeEnd"> {
  const isAllowed = options.fullRefresh !== true || vertices.some(({ keepsRows }) => keepsRows);
  return eventWindow && isAllowed ? { eventTimeStart: eventWindow.start, eventTimeEnd: eventWindow.end } : {};
}

/** A set of three needs no eight connections. Where nobody set a number, one vertex still needs one thread alone. */
function withFewThreads<O extends { threads?: number | undefined }>(options: O, vertices: number): O {
  if (options.threads === undefined) return vertices === 1 ? { ...options, threads: 1 } : options;
  return { ...options, threads: Math.min(options.threads, vertices) };
}

/**
 * dbt with the container's own environment, and what hooks and models may want to know of the run (behaviour G18). A
 * build of an exact set goes without the variables by which a container's environment selects.
 */
export function dbtCommand(
  context: TaskContext,
  argv: readonly string[],
  more: Readonly<Record<string, string>> = {},
): DbtCommand {
  const { environment, brief, folders } = context;
  return {
    executable: environment.STEPWATCH_DBT_EXECUTABLE,
    argv,
    cwd: folders.build.projectDir,
    env: {
      ...(brief.set ? withoutSelection(context, brief.set.dbtVersion) : context.processEnv),
      STEPWATCH_RUN_ID: environment.STEPWATCH_RUN_ID,
      STEPWATCH_TASK: String(environment.STEPWATCH_TASK),
      STEPWATCH_BUILD_KIND: brief.task.kind,
      STEPWATCH_STARTED_AT: new Date(brief.run.startedAtMs).toISOString(),
      ...dateEnvironment(brief.run),
      ...more,
    },
  };
}

/** dbt 1.12 takes from `.env` what is not set; dbt 2 reads none, and refuses an empty value. */
export function withoutSelection(
  { processEnv, folders, dbtVersion }: TaskContext,
  setVersion: string | null,
): TaskContext["processEnv"] {
  // dbt 1.11 reads each of its variables under a second name as well.
  const isSelecting = (name: string) => SELECTION_VARIABLES.includes(name.replace("DBT_ENGINE_", "DBT_"));
  const known = dbtVersion ?? setVersion ?? "";
  const refilled = isDbt2(known) ? [] : namesInDotEnv(folders.build.projectDir).filter(isSelecting);
  return {
    ...Object.fromEntries(Object.entries(processEnv).filter(([name]) => !isSelecting(name))),
    ...Object.fromEntries(refilled.map((name) => [name, ""])),
    ...deferStateOf(processEnv, known),
  };
}

/**
 * What the environment's own state is for beside selecting: to be deferred to (DBT_DEFER), which dbt 1 would look for in
 * the folder by which we select.
 */
function deferStateOf(processEnv: TaskContext["processEnv"], dbtVersion: string): Record<string, string> {
  const has = (name: string) => variableOf(processEnv, name, dbtVersion || null);
  const state = has("STATE");
  return isDbt2(dbtVersion) || !state || has("DEFER_STATE") ? {} : { DBT_DEFER_STATE: state };
}

/** What the end of this task's build needs. */
export function finishDeps(context: TaskContext): FinishDeps {
  const { record, artefacts, key, environment, folders, output, journal, writer, stop, brief, moments } = context;
  return {
    record,
    moments,
    artefacts: { artefacts, key, task: environment.STEPWATCH_TASK, folders, output },
    journal,
    writer,
    stop,
    parse: context.parse,
    resultsAreRead: brief.run.settings.policy.hooks === "once",
    failFastAsked: brief.task.kind === "producer" && brief.options.failFast === true,
    sample: (log) =>
      sampleFailures(log, {
        key,
        task: environment.STEPWATCH_TASK,
        rows: brief.run.settings.policy.failureRows,
        artefacts,
        folders,
        options: brief.options,
        dbt: (argv) => dbtCommand(context, argv),
        output,
        stop,
      }),
  };
}
