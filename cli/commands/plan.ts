import type { ProjectConfig, StepwatchConfig } from "#core/config.ts";
import type { BuildOptions } from "#core/dbt/argv.ts";
import { optionsOver } from "#core/dbt/options-over.ts";
import { stateSourceOf } from "#core/dbt/state-source.ts";
import { inGateOrder } from "#core/run/judging/vertex-view.ts";
import { makePlan } from "#core/run/planning/make-plan.ts";
import { hasConsumer, type Plan } from "#core/run/planning/plan.ts";
import { MOST_NODES, MOST_PLANNED } from "#core/run/planning/plan-bounds.ts";
import { costOf, type RunCost } from "#core/run/reporting/estimate.ts";
import { type Forecast, forecast, mostAtOnce } from "#core/run/reporting/forecast.ts";
import { type BuildFlags, buildOptionsOf } from "../build-options.ts";
import type { CommonOptions, Context } from "../context.ts";
import { exitCodes, UsageError } from "../failure.ts";
import { printJson, printLines, say } from "../output.ts";
import { configNameOf } from "../paths.ts";
import { planText } from "../view/plan-text.ts";
import { lastGreen, type PastGreen } from "../why-sources.ts";

export interface PlanFlags extends CommonOptions, BuildFlags {}

/** A bound that a run would meet, or not. */
export interface PlanLimit {
  readonly name: string;
  readonly needs: number;
  readonly has: number;
  readonly fits: boolean;
}

/** What a run would be like. */
export interface RunForecast extends Forecast {
  readonly threads: number;
  /** Whether somebody has set the threads, or the last green run shows them, or nobody knows. */
  readonly threadsFrom: "options" | "last green run" | "unknown";
  /** The run whose times these are. */
  readonly timesOf: string | null;
  /** With what comes before and after the build, as it was in that run. */
  readonly wallMs: number | null;
  readonly cost: RunCost | null;
  readonly limits: readonly PlanLimit[];
  readonly warnings: readonly string[];
}

/** What a container takes to start where no run says it. Milliseconds. */
const START_MS = 60_000;

/** Fargate's quota of vCPUs in an account that has never asked for more. */
const NEW_ACCOUNT_VCPUS = 6;

/**
 * `stepwatch plan <project>`: what a run would build, by dbt's own word on this machine; in which order and for how long,
 * by the times of the last green run; at what cost. Nothing is built and nothing is started.
 */
export async function planCommand(context: Context, name: string, flags: PlanFlags): Promise<number> {
  const config = context.loadConfig(flags.config);
  const project = projectOf(config, name, configNameOf(flags.config, context.cwd));
  const { target, threads } = project;
  const given = { ...(target === undefined ? {} : { target }), ...(threads === undefined ? {} : { threads }) };
  const options = optionsOver(optionsOver(given, project.build), buildOptionsOf(flags));
  refuseElsewhere(options);
  context.checkProject(project, options);
  const listed = await context.listProject(project, options);
  const plan = makePlan({
    ...{ project: name, runId: "plan", ...listed, source: "ls", dbtVersion: listed.manifest.dbtVersion ?? "" },
    ...{ fullRefresh: options.fullRefresh === true, beforeBuild: true },
    ...{ testsAfterAll: project.policy.testBehavior === "after_all", hooksOnce: project.policy.hooks === "once" },
  });
  const told = forecastRun(config, project, plan, options.threads ?? null, await pastOf(context, name, flags));
  if (flags.json) printJson(context, { contract: 1, project: name, ...told });
  else printLines(context, planText(name, told));
  return exitCodes.green;
}

function projectOf({ projects }: StepwatchConfig, name: string, file: string): ProjectConfig {
  const project = Object.hasOwn(projects, name) ? projects[name] : undefined;
  if (project !== undefined) return project;
  throw new UsageError(
    `There is no project ${name}; ${file} has ${Object.keys(projects).join(", ")}.`,
    "Name one of these, or the stepwatch.yaml that has it by --config.",
  );
}

/** dbt on this machine compares with files of this machine; a run's container fetches others. */
function refuseElsewhere({ state, deferState }: BuildOptions): void {
  const places = { "--state": state, "--defer-state": deferState };
  const elsewhere = Object.entries(places).find(([, at]) => at !== undefined && stateSourceOf(at).kind !== "folder");
  if (elsewhere === undefined) return;
  throw new UsageError(
    `${elsewhere.join(" ")}: a plan is made on this machine, where dbt compares with a folder alone.`,
    "Fetch its manifest.json into a folder, and name that.",
  );
}

/** Without a stack that answers there is no history: the order is known, and no time. */
async function pastOf(context: Context, project: string, flags: PlanFlags): Promise<PastGreen | null> {
  try {
    return await lastGreen(await context.openStack(flags), { project });
  } catch (error) {
    say(context, `Times of earlier runs are not known: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  }
}

/** The forecast with its cost and the bounds that it meets. Pure. */
export function forecastRun(
  config: Pick<StepwatchConfig, "watch" | "pollIntervalSeconds" | "vpc">,
  project: ProjectConfig,
  plan: Plan,
  given: number | null,
  past: PastGreen | null,
): RunForecast {
  const spans = past?.spans ?? [];
  const seen = mostAtOnce(spans);
  const threads = given ?? Math.max(1, seen);
  const times = new Map(spans.map(({ uniqueId, fromMs, toMs }) => [uniqueId, toMs - fromMs]));
  const told = forecast({ vertices: inGateOrder(plan.vertices) }, times, threads);
  const beside = besideBuildMs(past);
  const wallMs = told.buildMs === null ? null : told.buildMs + beside;
  return {
    ...told,
    ...{ threads, threadsFrom: given !== null ? "options" : seen > 0 ? "last green run" : "unknown" },
    ...{ timesOf: past?.runId ?? null, wallMs },
    cost: wallMs === null ? null : costOfPlan(config, project, plan, told, wallMs),
    limits: limitsOf(project, plan, wallMs),
    warnings: plan.warnings,
  };
}

/** From a run's start to its first vertex, and from its last to its end. */
function besideBuildMs(past: PastGreen | null): number {
  if (past?.wallMs == null || past.spans.length === 0) return START_MS;
  const first = Math.min(...past.spans.map(({ fromMs }) => fromMs));
  const last = past.spans.reduce((latest, { toMs }) => Math.max(latest, toMs), first);
  return Math.max(0, past.wallMs - (last - first));
}

function costOfPlan(
  { watch, pollIntervalSeconds, vpc }: Pick<StepwatchConfig, "watch" | "pollIntervalSeconds" | "vpc">,
  { producer }: ProjectConfig,
  plan: Plan,
  { vertices }: Forecast,
  wallMs: number,
): RunCost {
  const nodes = new Set(plan.vertices.filter(hasConsumer).map(({ uniqueId }) => uniqueId));
  const seconds = wallMs / 1_000;
  const polled = vertices
    .filter(({ uniqueId }) => nodes.has(uniqueId))
    .reduce((sum, { takesMs }) => sum + 1 + takesMs / 1_000 / pollIntervalSeconds, 0);
  const facts = {
    ...{ consumers: nodes.size, vertices: plan.vertices.length, buildSeconds: seconds, events: 0 },
    turns: watch === "poll" ? Math.ceil(seconds / pollIntervalSeconds) : 8 + Math.ceil(seconds / 60),
    consumerTurns: watch === "poll" ? polled : null,
    tasks: [
      {
        ...{ seconds, vcpu: producer.cpu / 1_024, gib: producer.memoryMiB / 1_024 },
        publicAddress: vpc.subnetIds === undefined || vpc.assignPublicIp === true,
      },
    ],
  };
  return costOf(facts, producer.capacity !== "on_demand");
}

function limitsOf({ producer, executionQueue, policy }: ProjectConfig, plan: Plan, wallMs: number | null): PlanLimit[] {
  const vcpus = Math.max(producer.cpu, executionQueue.cpu * executionQueue.maxTasks) / 1_024;
  const limit = (name: string, needs: number, has: number) => ({ name, needs, has, fits: needs <= has });
  return [
    limit("vertices of a plan", plan.vertices.length, MOST_PLANNED),
    limit("nodes of a plan", plan.vertices.filter(hasConsumer).length, MOST_NODES),
    limit("vCPUs of Fargate at once, of a new account", vcpus, NEW_ACCOUNT_VCPUS),
    ...(wallMs === null
      ? []
      : [limit("minutes of a run (policy.runTimeoutMinutes)", Math.ceil(wallMs / 60_000), policy.runTimeoutMinutes)]),
  ];
}
