import type { Artefacts } from "#clients/artefacts.ts";
import type { Ledger, RunKey } from "#clients/ledger.ts";
import type { Policy } from "#core/contracts/settings.ts";
import { type BuildOptions, lsArgv } from "#core/dbt/argv.ts";
import type { BuildLog } from "#core/dbt/build-log.ts";
import { agreesWithManifest, type ListedVertex, readListLine } from "#core/dbt/list-line.ts";
import type { LogEvent } from "#core/dbt/log-events.ts";
import { type Manifest, ManifestUnreadable } from "#core/dbt/manifest.ts";
import { InputError } from "#core/errors.ts";
import { artefactKeys } from "#core/names.ts";
import { type SourcesSeen, staleSources } from "#core/run/planning/freshness-gate.ts";
import { leftOutBy } from "#core/run/planning/left-out.ts";
import { agreesWithCount, buildableIds, makePlan, type PlanSource } from "#core/run/planning/make-plan.ts";
import { factsKeyOf, factsOf } from "#core/run/planning/node-facts.ts";
import { hasConsumer, type Plan } from "#core/run/planning/plan.ts";
import { type DbtCommand, startDbt } from "./dbt-process.ts";
import type { LogOutput } from "./log-output.ts";
import { readManifestFile } from "./manifest-file.ts";
import type { Moments } from "./moments.ts";
import { patiently } from "./patience.ts";
import type { PlanSourceKind } from "./plan-source.ts";
import type { StopSwitch } from "./stop-switch.ts";
import type { TaskFolders } from "./task-folders.ts";

export interface PlanDeps {
  readonly key: RunKey;
  readonly task: number;
  /** Of the container's own ECS task, by which it passed the fence. */
  readonly taskArn: string;
  readonly ledger: Pick<Ledger, "tellPlan">;
  readonly artefacts: Pick<Artefacts, "putJson">;
  readonly folders: TaskFolders;
  readonly options: BuildOptions;
  /** What the freshness gate decides by; null without one. */
  readonly sources: { readonly seen: SourcesSeen; readonly freshness: Policy["freshness"] } | null;
  /** Something narrows what the run builds. */
  readonly narrowed: boolean;
  readonly testsAfterAll: boolean;
  readonly hooksOnce: boolean;
  readonly manyWriters: boolean;
  /** False for a plan task: its run has built already, and what is wrong in the project is told and ignored. */
  readonly buildFollows: boolean;
  readonly dbtVersion: string | null;
  /** Command of dbt with these arguments. */
  readonly dbt: (argv: readonly string[]) => DbtCommand;
  readonly output: LogOutput;
  readonly stop: StopSwitch;
  /** Until when a refused call of ledger or bucket is repeated. */
  readonly untilMs: () => number;
  readonly moments: Moments;
}

/** The plan could not be made; the sentence says why. The build goes on without it, and the run can not be green. */
class PlanImpossible extends Error {
  override readonly name = "PlanImpossible";
}

export type PlanOutcome =
  | { readonly plan: Plan; readonly problem: null }
  | { readonly plan: null; readonly problem: string };

/** Makes the run's plan once, from the source chosen for this run, beside the build where that is possible. */
export class ProducerPlan {
  readonly #deps: PlanDeps;
  readonly #source: PlanSourceKind;
  #making: Promise<PlanOutcome> | null = null;
  #count: number | null = null;

  constructor(source: PlanSourceKind, deps: PlanDeps) {
    this.#source = source;
    this.#deps = deps;
  }

  /**
   * Before dbt is started. Resolves when the build may start.
   * @returns why it may not: settings in the dbt project that do not hold; null for any other plan (behaviour H5)
   */
  async begin(): Promise<InputError | null> {
    if (this.#source === "manifest") return null;
    const listing = this.#byLs();
    this.#making = settled(listing);
    if (this.#source !== "ls_first") return null;
    return listing.then(
      () => null,
      (error: unknown) => (error instanceof InputError ? error : null),
    );
  }

  /** Each event of the build: the first that names its size or a vertex finds the manifest complete on the disk. */
  watch(event: LogEvent): void {
    if (this.#making !== null || (event.kind !== "concurrency" && event.kind !== "started" && event.kind !== "ended"))
      return;
    this.#count = event.kind === "concurrency" ? event.nodeCount : event.total;
    if (this.#count !== null) this.#making = settled(this.#fromBuild(this.#count));
  }

  /** When dbt is reaped: waits for the plan, or makes it now from what dbt left behind. Never rejects. */
  async outcome(log: BuildLog): Promise<PlanOutcome> {
    this.#making ??= settled(this.#afterBuild(log));
    return this.#making;
  }

  async #byLs(): Promise<Plan> {
    const listed = await listSelected(this.#deps);
    const manifest = await manifestIn(this.#deps.folders.plan.targetDir);
    const selectedIds = listed.filter((entry) => agreesWithManifest(entry, manifest)).map((entry) => entry.uniqueId);
    return this.#publish(this.#plan(manifest, selectedIds, "ls", this.#gated(manifest, selectedIds)), manifest);
  }

  /** @throws {InputError} */
  #gated(manifest: Manifest, selectedIds: readonly string[]): Pick<PlanSource, "leftOut" | "notices"> {
    const { sources } = this.#deps;
    if (sources === null) return {};
    const sourceIds = [...manifest.nodes.values()].flatMap((node) =>
      node.resourceType === "source" ? [node.uniqueId] : [],
    );
    const { stale, warnings } = staleSources(sources.freshness, sources.seen, sourceIds);
    return { leftOut: leftOutBy(manifest, selectedIds, stale), notices: warnings };
  }

  async #fromBuild(nodeCount: number): Promise<Plan> {
    const manifest = await manifestIn(this.#deps.folders.build.targetDir).catch((error) => {
      if (error instanceof ManifestUnreadable) return null;
      throw error;
    });
    const plan = manifest && this.#plan(manifest, buildableIds(manifest), "manifest");
    if (manifest && plan && agreesWithCount(plan, nodeCount)) return this.#publish(plan, manifest);
    this.#deps.output.say("the manifest alone is not the plan: dbt is asked", {
      planned: plan?.vertices.length ?? null,
      nodeCount,
    });
    return this.#byLs();
  }

  /** dbt ended before it named a vertex (no connection, a failed hook, an empty project): no count to check against. */
  async #afterBuild(log: BuildLog): Promise<Plan> {
    if (log.nodeCount !== null) return this.#fromBuild(log.nodeCount);
    const manifest = await manifestIn(this.#deps.folders.build.targetDir);
    return this.#publish(this.#plan(manifest, buildableIds(manifest), "manifest"), manifest);
  }

  #plan(
    manifest: Manifest,
    selectedIds: readonly string[],
    source: Plan["source"],
    gated: Pick<PlanSource, "leftOut" | "notices"> = {},
  ): Plan {
    const { key, dbtVersion, testsAfterAll, hooksOnce, manyWriters, options, narrowed } = this.#deps;
    const windowIsGiven = givesWindow(options);
    return makePlan({
      ...key,
      ...gated,
      manifest,
      selectedIds,
      source,
      narrowed,
      testsAfterAll,
      hooksOnce,
      manyWriters,
      windowIsGiven,
      fullRefresh: options.fullRefresh === true,
      beforeBuild: this.#source === "ls_first" && this.#deps.buildFollows,
      dbtVersion: dbtVersion ?? "unknown",
    });
  }

  async #publish(plan: Plan, manifest: Manifest): Promise<Plan> {
    const { key, task, taskArn, ledger, artefacts, output, untilMs, moments } = this.#deps;
    const planKey = artefactKeys.plan(key.project, key.runId, task);
    // Before the plan is told: the first event may come a moment after that.
    await Promise.all([
      patiently(() => artefacts.putJson(planKey, plan), untilMs),
      this.#keepFacts(factsKeyOf(planKey), plan, manifest),
    ]);
    const plannedNodes = plan.vertices.filter(hasConsumer).length;
    const told = await patiently(() => ledger.tellPlan(key, task, taskArn, planKey), untilMs);
    moments.first("plannedAtMs");
    output.say("planned", {
      vertices: plan.vertices.length,
      nodes: plannedNodes,
      source: plan.source,
      told,
      warnings: plan.warnings,
    });
    return plan;
  }

  /** What events say of the nodes. Nothing is decided by it, so that nothing waits for it twice or fails with it. */
  async #keepFacts(key: string, plan: Plan, manifest: Manifest): Promise<void> {
    const { artefacts, output } = this.#deps;
    try {
      await artefacts.putJson(key, factsOf(plan, manifest));
    } catch (error) {
      output.say("owners, tags and columns were not kept: events go without them", { error: String(error) });
    }
  }
}

/** Whether each build of a microbatch model covers the same batches by itself: see core/run/deciding/event-window. */
const givesWindow = ({ eventTimeStart, sample }: BuildOptions): boolean =>
  eventTimeStart !== undefined || sample !== undefined;

/** A plan that can not be made is told at the end of the build; until then nothing waits for it. */
function settled(making: Promise<Plan>): Promise<PlanOutcome> {
  return making.then(
    (plan) => ({ plan, problem: null }),
    (error: unknown) => ({ plan: null, problem: error instanceof Error ? error.message : String(error) }),
  );
}

async function manifestIn(targetDir: string): Promise<Manifest> {
  try {
    return await readManifestFile(targetDir);
  } catch (error) {
    if (error instanceof ManifestUnreadable) throw error;
    throw new PlanImpossible("dbt ended before it wrote its manifest.", { cause: error });
  }
}

/** `dbt ls` with the build's own selection: what dbt itself selects. A stop of the run ends it. */
async function listSelected(deps: PlanDeps): Promise<ListedVertex[]> {
  const listed: ListedVertex[] = [];
  const other: string[] = [];
  const process = startDbt(deps.dbt(lsArgv(deps.folders.plan, deps.options)), {
    onLine: (line) => {
      const entry = readListLine(line);
      if (entry !== null) listed.push(entry);
      else if (line.trim() !== "" && other.push(line.slice(0, 500)) > 20) other.shift();
    },
    onErrorLine: (line) => deps.output.line(line),
  });
  const silence = deps.stop.listen(() => process.signal("SIGKILL"));
  const exit = await process.exit;
  silence();
  if (exit.exitCode === 0) return listed;
  const words = deps.output.masked([exit.notStarted, ...other, exit.stderrTail].filter(Boolean).join("\n"));
  throw new PlanImpossible(
    `dbt ls ended with ${exit.signal ?? `exit code ${exit.exitCode}`}: ${words.slice(0, 2_000) || "no message"}`,
  );
}
