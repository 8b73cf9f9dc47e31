import type { Policy } from "#core/contracts/settings.ts";
import type { Plan, PlanVertex } from "#core/run/planning/plan.ts";
import { planOf, policyOf, vertex } from "./run-builders.ts";
import { type SimulatedVertex, selectedParents } from "./simulated-dbt.ts";
import type { Random } from "./simulated-random.ts";

/** A random dbt project, how its vertices behave, what is selected of it, and the run's policy. */
export interface SimulatedProject {
  readonly vertices: ReadonlyMap<string, SimulatedVertex>;
  readonly plan: Plan;
  readonly policy: Policy;
  readonly maxTasks: number;
  readonly threads: number;
  readonly failFast: boolean;
  readonly silentSkips: number;
  /** Its run is of a job with commands before and after the build. */
  readonly steps?: boolean | undefined;
}

export interface ProjectOptions {
  readonly mostNodes?: number;
  /** Vertices that kill their build. */
  readonly killers?: boolean;
  /** Vertices that dbt does not select although they are planned. */
  readonly unreported?: boolean;
  readonly failFast?: boolean;
  /** More ephemerals, of which dbt says nothing when they fail. */
  readonly quiet?: boolean;
  /** Whether the selection leaves something out; by chance if absent. */
  readonly gaps?: boolean;
  /** Some models let dbt build on their failure (`on_error: continue`). */
  readonly continues?: boolean;
  /** The project has an on-run-end hook. */
  readonly endHook?: boolean;
  /** Its run is of a job with commands before and after the build. */
  readonly steps?: boolean;
  readonly policy?: Record<string, unknown>;
}

/** A project whose plan is its whole graph; vertices that no behaviour is told of are good at once. */
export function projectOf(
  vertices: readonly PlanVertex[],
  behaviour: Readonly<Record<string, Partial<SimulatedVertex>>>,
  policy: Record<string, unknown> = {},
): SimulatedProject {
  const simulated = vertices.map((one): [string, SimulatedVertex] => {
    const base = {
      uniqueId: one.uniqueId,
      parents: one.gateParents,
      builds: one.builds,
      failures: 0,
      kills: 0,
      unreported: false,
    };
    return [one.uniqueId, { ...base, ...behaviour[one.uniqueId] }];
  });
  const rest = { maxTasks: 4, threads: 2, failFast: false, silentSkips: 0 };
  return { vertices: new Map(simulated), plan: planOf(vertices), policy: policyOf(policy), ...rest };
}

const NEVER = Number.POSITIVE_INFINITY;

/** Layers of nodes with tests over one or several of them, unit tests, tests on sources, and ephemerals between. */
export function randomProject(random: Random, options: ProjectOptions = {}): SimulatedProject {
  const draft = new Draft(random, options);
  const count = 1 + random.below(options.mostNodes ?? 10);
  for (let n = 0; n < count; n++) draft.addNode(n);
  for (let n = random.below(4); n > 0; n--) draft.addTest(n);
  if (random.chance(0.3)) draft.addSourceTest();
  const adapterType = random.chance(0.2) ? "duckdb" : "postgres";
  const failFast = options.failFast ?? random.chance(0.15);
  return {
    vertices: draft.vertices,
    plan: planOf(draft.planned(), { adapterType, ...(options.endHook ? { endHooks: true, endHookCount: 1 } : {}) }),
    policy: policyOf(randomPolicy(random, options.policy)),
    maxTasks: 1 + random.below(4),
    threads: 1 + random.below(4),
    failFast,
    silentSkips: random.pick([0, 0, 0.5]),
    steps: options.steps,
  };
}

function randomPolicy(random: Random, changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    retries: { node: random.below(3), test: random.below(3) },
    retryOn: random.pick(["all", "transient"]),
    retryDelaySeconds: random.pick([0, 1, 5]),
    holdSeconds: random.pick([0, 5, 20]),
    orphanGraceSeconds: random.pick([0, 10]),
    losses: 4,
    launchFailures: 20,
    onTestFailure: random.pick(["test", "test", "none"]),
    ...changes,
  };
}

class Draft {
  readonly vertices = new Map<string, SimulatedVertex>();
  readonly #shapes = new Map<string, Partial<PlanVertex>>();
  readonly #random: Random;
  readonly #options: ProjectOptions;

  constructor(random: Random, options: ProjectOptions) {
    this.#random = random;
    this.#options = options;
  }

  addNode(n: number): void {
    const random = this.#random;
    const nodes = this.#nodes();
    const parents = random.some(nodes, 3);
    const { quiet = false, continues = false } = this.#options;
    const builds = n === 0 || !random.chance(quiet ? 0.5 : 0.15);
    const id = builds ? `model_${n}` : `ephemeral_${n}`;
    if (builds && random.chance(0.12)) {
      this.#add(`unit_test.${n}`, parents, {}, { nodes: [id] });
      parents.push(`unit_test.${n}`);
    }
    const retries = random.chance(0.1) ? { overrides: { retries: random.below(3) } } : {};
    const silent =
      quiet && !builds ? { quiet, failures: random.pick([0, 0, 1, NEVER]), message: "Compilation Error in model" } : {};
    const goesOn = continues && builds && random.chance(0.4);
    this.#add(
      id,
      parents,
      { builds, ...silent, ...(goesOn ? { continues: true } : {}) },
      { builds, ...(builds ? {} : { materialized: "ephemeral" }), ...retries, onErrorContinue: goesOn },
    );
  }

  /** A test gates, as in dbt, the children of its parents that descend from all of them. */
  addTest(n: number): void {
    const built = this.#nodes().filter((id) => this.vertices.get(id)!.builds);
    const on = this.#random.some(built, 3);
    if (on.length === 0) return;
    const id = `test.${n}`;
    const gated = this.#nodes().filter((node) => {
      const { parents } = this.vertices.get(node)!;
      return on.some((parent) => parents.includes(parent)) && on.every((parent) => this.#ancestors(node).has(parent));
    });
    this.#add(id, on, {}, { nodes: on });
    for (const node of gated) this.#gate(node, id);
  }

  addSourceTest(): void {
    const roots = this.#nodes().filter((id) => this.vertices.get(id)!.parents.length === 0);
    this.#add("test.source", [], {}, {});
    for (const node of this.#random.some(roots, 2)) this.#gate(node, "test.source");
  }

  /** The plan of a selection with gaps: what lies between two selected vertices is an edge. */
  planned(): PlanVertex[] {
    const gaps = this.#options.gaps ?? this.#random.chance(0.25);
    const chosen = new Set([...this.vertices.keys()].filter(() => !gaps || this.#random.chance(0.75)));
    return [...chosen].sort().map((id) => {
      const { nodes = [], ...shape } = this.#shapes.get(id)!;
      return vertex(id, this.#gates(id, chosen), { ...shape, on: nodes.filter((node) => chosen.has(node)) });
    });
  }

  /** Selected parents; what dbt never builds lets through at once, as in core/run/planning/gate-graph. */
  #gates(id: string, chosen: ReadonlySet<string>): string[] {
    const direct = selectedParents(id, chosen, this.vertices);
    const through = direct.filter((parent) => !this.vertices.get(parent)!.builds);
    return [...new Set([...direct, ...through.flatMap((parent) => this.#gates(parent, chosen))])].sort();
  }

  #add(
    uniqueId: string,
    parents: readonly string[],
    changes: Partial<SimulatedVertex>,
    shape: Partial<PlanVertex>,
  ): void {
    const base = { uniqueId, parents: [...parents], builds: true, kills: 0, failures: 0, unreported: false };
    const silent = changes.builds === false ? { kills: 0, unreported: false } : {};
    this.vertices.set(uniqueId, { ...base, ...this.#behaviour(), ...silent, ...changes });
    this.#shapes.set(uniqueId, shape);
  }

  #behaviour(): Partial<SimulatedVertex> {
    const random = this.#random;
    const { killers = true, unreported = true } = this.#options;
    const cut = "Database Error in model\n  server closed the connection unexpectedly";
    const message = random.pick([
      "Compilation Error in model",
      cut,
      "Database Error in model",
      "Database Error in model",
    ]);
    if (random.chance(0.25)) return { failures: random.pick([1, 1, 2, 3, NEVER]), message };
    if (killers && random.chance(0.06)) return { kills: random.pick([1, 1, NEVER]) };
    return unreported && random.chance(0.03) ? { unreported: true } : {};
  }

  #gate(node: string, test: string): void {
    const known = this.vertices.get(node)!;
    this.vertices.set(node, { ...known, parents: [...known.parents, test] });
  }

  #nodes(): string[] {
    return [...this.vertices.keys()].filter((id) => id.startsWith("model_") || id.startsWith("ephemeral_"));
  }

  #ancestors(id: string): Set<string> {
    const found = new Set<string>();
    const open = [...this.vertices.get(id)!.parents];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (found.has(next)) continue;
      found.add(next);
      open.push(...this.vertices.get(next)!.parents);
    }
    return found;
  }
}
