import type { z } from "zod";
import type { Artefacts } from "#clients/artefacts.ts";
import type { Ledger, RunKey } from "#clients/ledger.ts";
import type { RunRow, TaskRow } from "#core/contracts/ledger.ts";
import { type HooksBrief, taskSetSchema } from "#core/contracts/task-set.ts";
import type { BuildOptions } from "#core/dbt/argv.ts";
import type { OrphanSearch } from "#core/dbt/orphans.ts";
import { testTypes } from "#core/dbt/resource-types.ts";
import { InputError, RowMissing } from "#core/errors.ts";
import type { EventWindow } from "#core/run/deciding/event-window.ts";
import { type PlanVertex, planSchema } from "#core/run/planning/plan.ts";
import { optionsOfRun } from "#core/run/planning/run-dates.ts";
import { inOurWords } from "#core/zod-sentences.ts";

/** Everything that tells this task what to do, read once, after the fence. */
export interface TaskBrief {
  readonly run: RunRow;
  readonly task: TaskRow;
  /** What a person asked for: the project's settings under the run input. */
  readonly asked: BuildOptions;
  /** The same as far as the policy leaves it to the producer. */
  readonly options: BuildOptions;
  /** What the plan is made with: as `options`, with the tests that run after all nodes. */
  readonly planOptions: BuildOptions;
  /** The exact vertices to build, as the plan knows them; null for the producer and for a plan task. */
  readonly set: BuildSet | null;
  /** Of a task that runs hooks alone; null for any other. */
  readonly hooks: HooksBrief | null;
  /** Of a command: its words; null for any other. */
  readonly command: readonly string[] | null;
}

export interface BuildSet {
  readonly vertices: readonly PlanVertex[];
  readonly dbtVersion: string;
  readonly adapterType: string | null;
  /** The event-time window that a microbatch model is to be built with again (behaviour G17). */
  readonly eventWindow?: EventWindow | undefined;
  /** The moment at which microbatch models without such a window are to choose theirs (behaviour G27). */
  readonly asOfMs?: number | undefined;
  /** With `hooks: once`: the project's on-run-start hooks are to run all the same. */
  readonly startHooks?: boolean | undefined;
  /** Queries of an earlier build that may still run (behaviour D12). */
  readonly orphans?: OrphanSearch | undefined;
}

/** Claims are the decision maker's. */
const buildSetSchema = taskSetSchema.omit({ claims: true });

type Rows = Pick<Ledger, "readRun" | "readTask">;

/** Reads rows, set and plan. Throws {@link RowMissing} or {@link InputError} naming what is missing or unreadable. */
export async function readTaskBrief(
  ledger: Rows,
  artefacts: Pick<Artefacts, "getJson">,
  key: RunKey,
  taskNumber: number,
): Promise<TaskBrief> {
  const [run, task] = await Promise.all([ledger.readRun(key), ledger.readTask(key, taskNumber)]);
  if (!run || !task) {
    throw new RowMissing(
      `The ledger has no ${run ? `task ${taskNumber} of run` : "run"} ${key.runId} of project ${key.project}: its rows have expired, or STEPWATCH_TABLE names another table.`,
    );
  }
  const builds = task.kind === "fallback" || task.kind === "recovery";
  return {
    run,
    task,
    asked: optionsOfRun(run),
    ...optionsOfTask(run, task),
    set: builds ? await readSet(artefacts, run, task) : null,
    hooks: task.kind === "hooks" ? await readHooks(artefacts, task) : null,
    command: task.kind === "command" ? await readCommand(artefacts, task) : null,
  };
}

/** The options of a task's build and of its plan. @param found what dbt would find of them in its environment */
export function optionsOfTask(
  run: RunRow,
  task: TaskRow,
  found: Pick<BuildOptions, "fullRefresh" | "sample"> = {},
): Pick<TaskBrief, "options" | "planOptions"> {
  const fullRefresh = task.fullRefresh === true || found.fullRefresh === true;
  const given = optionsOfRun(run, { ...found, fullRefresh });
  const options = withoutTests(run, given);
  return { options, planOptions: testsAfterAll(run) ? given : options };
}

/** Known of the target and profile that the deploy has read; a run that names another one is told by its adapter alone. */
export const takesManyWriters = ({ settings, input }: RunRow): boolean =>
  settings.manyWriters === true && input.target === undefined && input.profile === undefined;

/** Whether the plan has tests that the producer does not run (behaviour C7). */
export const testsAfterAll = (run: RunRow): boolean => run.settings.policy.testBehavior === "after_all";

/** Tests are left out where they are not the producer's to run (behaviour C7, C8). */
function withoutTests(run: RunRow, options: BuildOptions): BuildOptions {
  const { testBehavior } = run.settings.policy;
  if (testBehavior !== "none" && testBehavior !== "after_all") return options;
  return {
    ...options,
    excludeResourceTypes: [...new Set([...(options.excludeResourceTypes ?? []), ...testTypes])],
  };
}

async function readSet(artefacts: Pick<Artefacts, "getJson">, run: RunRow, task: TaskRow): Promise<BuildSet> {
  if (!task.setKey || !run.planKey) {
    const what = task.setKey ? `run ${run.runId} has no plan` : `task ${task.task} has no set`;
    throw new InputError(`A ${task.kind} build needs a set of vertices and the run's plan`, [
      `${what}: this is a defect of check-run.`,
    ]);
  }
  const [set, planned] = await Promise.all([artefacts.getJson(task.setKey), artefacts.getJson(run.planKey)]);
  const plan = read(planSchema, planned, run.planKey);
  const vertexOf = new Map(plan.vertices.map((vertex) => [vertex.uniqueId, vertex]));
  const { uniqueIds, eventWindow, asOfMs, orphans, startHooks } = read(buildSetSchema, set, task.setKey);
  const vertices = uniqueIds.map((id) => {
    const vertex = vertexOf.get(id);
    if (vertex) return vertex;
    throw new InputError(`The set of task ${task.task} does not fit the plan`, [`${id}: the plan does not have it.`]);
  });
  return {
    vertices,
    dbtVersion: plan.dbtVersion,
    adapterType: plan.adapterType,
    eventWindow,
    asOfMs,
    orphans,
    startHooks,
  };
}

async function readHooks(artefacts: Pick<Artefacts, "getJson">, { setKey = "", task }: TaskRow): Promise<HooksBrief> {
  const { hooks } = read(taskSetSchema, await artefacts.getJson(setKey), setKey);
  if (hooks) return hooks;
  throw new InputError(`Task ${task} does not know which hooks to run`, [`${setKey}: this is a defect of check-run.`]);
}

async function readCommand(
  artefacts: Pick<Artefacts, "getJson">,
  { setKey = "", task }: TaskRow,
): Promise<readonly string[]> {
  const { command } = read(taskSetSchema, await artefacts.getJson(setKey), setKey);
  if (command) return command;
  throw new InputError(`Task ${task} does not know which command to run`, [
    `${setKey}: this is a defect of check-run.`,
  ]);
}

function read<S extends z.ZodType>(schema: S, value: unknown, key: string): z.infer<S> {
  const parsed = schema.safeParse(value, { error: inOurWords });
  if (parsed.success) return parsed.data;
  const why =
    value === null
      ? "there is no such object"
      : parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; ");
  throw new InputError("An object of the artefact bucket can not be read", [`${key}: ${why}`]);
}
