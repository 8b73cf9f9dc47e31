import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Artefacts } from "#clients/artefacts.ts";
import type { Ledger, RunKey } from "#clients/ledger.ts";
import type { Cause } from "#core/contracts/cause.ts";
import type { RunnerEnvironment } from "#core/contracts/environment.ts";
import { type BuildOptions, buildArgv, recoveryOptions, testArgv } from "#core/dbt/argv.ts";
import type { BuildLog } from "#core/dbt/build-log.ts";
import { isDbt2 } from "#core/dbt/dbt-version.ts";
import { compareReported, exactSelection, SELECTION_VARIABLES } from "#core/dbt/exact-selection.ts";
import { TEST_TYPES } from "#core/dbt/resource-types.ts";
import { nameSkips } from "#core/dbt/skipped-without-id.ts";
import { buildThatNeverStarted, type FinishedBuild, runBuild } from "./build.ts";
import type { DbtCommand } from "./dbt-process.ts";
import { namesInDotEnv } from "./dot-env.ts";
import { endOrphans, unlessStopped } from "./end-orphans.ts";
import { type FinishDeps, finishBuild } from "./finish.ts";
import { heldClock } from "./held-clock.ts";
import type { LogOutput } from "./log-output.ts";
import type { PartialParse } from "./partial-parse.ts";
import { noLaterThan } from "./patience.ts";
import { choosePlanSource, type PlanSourceKind } from "./plan-source.ts";
import { ProducerPlan } from "./producer-plan.ts";
import { type EndRecord, endWithoutDbt, FenceLost, recordEnd } from "./record-end.ts";
import type { StatusWriter } from "./status-writer.ts";
import type { StopSwitch } from "./stop-switch.ts";
import { type BuildSet, type TaskBrief, testsAfterAll } from "./task-brief.ts";
import type { TaskFolders } from "./task-folders.ts";
import type { VertexJournal } from "./vertex-journal.ts";

/** Everything a task works on, once it has passed the fence and knows what to do. */
export interface TaskContext {
  readonly environment: RunnerEnvironment;
  readonly processEnv: Readonly<Record<string, string | undefined>>;
  readonly key: RunKey;
  readonly brief: TaskBrief;
  readonly ledger: Pick<Ledger, "setPlan">;
  readonly artefacts: Pick<Artefacts, "putFile" | "putJson">;
  readonly folders: TaskFolders;
  readonly parse: PartialParse;
  readonly dbtVersion: string | null;
  readonly log: BuildLog;
  readonly writer: StatusWriter;
  readonly journal: VertexJournal;
  readonly record: EndRecord;
  readonly output: LogOutput;
  readonly stop: StopSwitch;
  readonly memoryKills?: (() => Promise<number | null>) | undefined;
}

/** The producer: the user's own selection, and the plan beside it. */
export async function runProducer(context: TaskContext): Promise<void> {
  const { brief, dbtVersion } = context;
  const source = await choosePlanSource({
    options: brief.options,
    env: context.processEnv,
    projectDir: context.folders.build.projectDir,
    dbtVersion,
  });
  const plan = newPlan(context, source);
  const argv = buildArgv(context.folders.build, brief.options);
  await plan.begin();
  const build = await dbtUnlessStopped(context, argv, (event) => {
    plan.watch(event);
    context.parse.watch(event);
  });
  const { plan: made, problem } = await plan.outcome(build.log);
  context.journal.record(nameSkips(build.log, made?.vertices ?? []));
  await finishBuild(finishDeps(context), build, { planProblem: problem, claimed: null });
}

/** A fallback or a recovery build: exactly the claimed vertices, whatever the user's selection was. */
export async function runSetBuild(context: TaskContext, set: BuildSet): Promise<void> {
  const selection = exactSelection({
    dbtVersion: context.dbtVersion ?? set.dbtVersion,
    vertices: set.vertices,
    stateDir: context.folders.stateDir,
    options: recoveryOptions(context.brief.options),
  });
  for (const file of selection.files) {
    await mkdir(dirname(file.path), { recursive: true });
    await writeFile(file.path, file.content);
  }
  const options = { ...withFewThreads(selection.options, set.vertices.length), ...windowOf(set) };
  // `dbt build` never runs a unit test whose model is not selected too, and exits 0; `dbt test` does (1.x).
  const command = set.vertices.every((vertex) => TEST_TYPES.has(vertex.resourceType)) ? testArgv : buildArgv;
  const argv = command(context.folders.build, options, selection.args);
  const refusal = await orphansForbid(context, set);
  if (refusal !== null) return recordEnd(context.record, endWithoutDbt(refusal), 0);
  const env = await heldClock(set, context.folders.clockDir, context.dbtVersion ?? set.dbtVersion, (args, more) =>
    dbtCommand(context, args, more),
  );
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
  await finishBuild(finishDeps(context), build, { planProblem: null, claimed });
}

/** Longest time that the end of a plan task waits for its partial parse to be handed on, in milliseconds. */
const PARSE_UPLOAD_MS = 30_000;

/** The plan alone, for a run whose producer ended before it was known. */
export async function runPlanTask(context: TaskContext): Promise<void> {
  const plan = newPlan(context, "ls_first");
  await plan.begin();
  const { problem } = await plan.outcome(context.log);
  if (problem === null) context.parse.handOn(context.folders.plan.targetDir);
  await noLaterThan(context.parse.settled(), Date.now() + PARSE_UPLOAD_MS);
  const cause =
    problem === null
      ? { kind: "none" as const, sentence: "The plan was made." }
      : { kind: "environment" as const, sentence: `The plan could not be made: ${problem}` };
  await recordEnd(context.record, endWithoutDbt(cause, problem === null), 0);
}

function newPlan(context: TaskContext, source: PlanSourceKind): ProducerPlan {
  const { key, ledger, artefacts, folders, dbtVersion, output, stop, record } = context;
  return new ProducerPlan(source, {
    key,
    task: context.environment.STEPWATCH_TASK,
    ledger,
    artefacts,
    folders,
    options: context.brief.planOptions,
    testsAfterAll: testsAfterAll(context.brief.run),
    dbtVersion,
    dbt: (argv) => dbtCommand(context, argv),
    output,
    stop,
    untilMs: record.untilMs,
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

async function dbtUnlessStopped(
  context: TaskContext,
  argv: readonly string[],
  onEvent: Parameters<typeof runBuild>[2]["onEvent"],
  env: Readonly<Record<string, string>> = {},
): Promise<FinishedBuild> {
  if (context.stop.request) return buildThatNeverStarted();
  const { output, journal, stop, environment, memoryKills } = context;
  output.say("starting dbt", { argv: withoutValueOf("--vars", argv), dbtVersion: context.dbtVersion });
  const build = await runBuild(dbtCommand(context, argv, env), context.log, {
    output,
    journal,
    stop,
    stopTimeoutSeconds: environment.STEPWATCH_STOP_TIMEOUT_SECONDS,
    onEvent,
    selects: context.brief.set !== null || selects(context.brief.options),
    ...(memoryKills ? { memoryKills } : {}),
  });
  if (stop.request?.reason === "fence_lost") throw new FenceLost(stop.request.sentence);
  return build;
}

/** Whether these options leave anything of a project out. */
const selects = ({ select, exclude, selector, resourceTypes, excludeResourceTypes }: BuildOptions): boolean =>
  [select, exclude, selector, resourceTypes, excludeResourceTypes].some(
    (given) => given !== undefined && given.length > 0,
  );

/** Variables may hold what is nobody's business in a log group; the run's row has them. */
function withoutValueOf(flag: string, argv: readonly string[]): string[] {
  return argv.map((argument, at) => (argv[at - 1] === flag ? "…" : argument));
}

/** The window is planned only where the run's own options give none (core/run/plan, batchSize). */
const windowOf = ({ eventWindow }: BuildSet): Pick<BuildOptions, "eventTimeStart" | "eventTimeEnd"> =>
  eventWindow ? { eventTimeStart: eventWindow.start, eventTimeEnd: eventWindow.end } : {};

/** A set of three needs no eight connections. Where nobody set a number, one vertex still needs one thread alone. */
function withFewThreads<O extends { threads?: number | undefined }>(options: O, vertices: number): O {
  if (options.threads === undefined) return vertices === 1 ? { ...options, threads: 1 } : options;
  return { ...options, threads: Math.min(options.threads, vertices) };
}

/**
 * dbt with the container's own environment, and what hooks and models may want to know of the run (behaviour G18). A
 * build of an exact set goes without the variables by which a container's environment selects.
 */
function dbtCommand(
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
      ...more,
    },
  };
}

/** dbt 1.12 takes from `.env` what is not set; dbt 2 reads none, and refuses an empty value. */
function withoutSelection(
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
  };
}

function finishDeps(context: TaskContext): FinishDeps {
  const { record, artefacts, key, environment, folders, output, journal, writer, stop, brief } = context;
  return {
    record,
    artefacts: { artefacts, key, task: environment.STEPWATCH_TASK, folders, output },
    journal,
    writer,
    stop,
    parse: context.parse,
    failFastAsked: brief.task.kind === "producer" && brief.options.failFast === true,
  };
}
