import type { BuildEnd } from "#core/contracts/ledger.ts";
import type { Random } from "./simulated-random.ts";

/** One vertex of the simulated project, with its dbt parents in the whole graph. */
export interface SimulatedVertex {
  readonly uniqueId: string;
  readonly parents: readonly string[];
  /** False: dbt passes it without a word (ephemeral models). */
  readonly builds: boolean;
  /** Tries that fail before one succeeds. */
  readonly failures: number;
  /** Starts that kill the whole build, before any of the failures. */
  readonly kills: number;
  /** dbt does not select it, whatever is asked. */
  readonly unreported: boolean;
  /** An ephemeral of which dbt 1 says nothing, not even that it failed, unless a built vertex hangs on it directly. */
  readonly quiet?: boolean;
  /** dbt builds on it although it failed (`on_error: continue`). */
  readonly continues?: boolean;
  readonly message?: string;
}

/** What stands in the warehouse, and what it was built on. */
interface Table {
  good: boolean;
  /** Order of its last good build among all builds of all vertices. */
  builtAt: number;
  /** Tries that ended, and builds that it killed. */
  finished: number;
  killed: number;
  inBuild: string | null;
  /** Its last word has not reached the ledger: nobody can know that it is good. */
  unheard: boolean;
  /** It was built on what was not good, or on what was built so (`on_error: continue`): it is built again once that is. */
  onFailure: boolean;
}

/** Everything that outlives a build: tables, and how often each vertex was tried. Refuses nothing, notes every wrong. */
export class SimulatedWarehouse {
  readonly tables = new Map<string, Table>();
  readonly violations: string[] = [];
  readonly #mayRebuild: boolean;
  /** Builds that are under way, by name. */
  readonly #building = new Map<string, "producer" | "queue">();
  /** The tables that each vertex reads which is being built. */
  readonly #reading = new Map<string, readonly string[]>();
  #clock = 0;

  /** `mayRebuild`: good vertices are built again on purpose (onTestFailure: node). */
  constructor(mayRebuild = false) {
    this.#mayRebuild = mayRebuild;
  }

  table(uniqueId: string): Table {
    const known = this.tables.get(uniqueId) ?? {
      good: false,
      builtAt: 0,
      finished: 0,
      killed: 0,
      inBuild: null,
      unheard: false,
      onFailure: false,
    };
    this.tables.set(uniqueId, known);
    return known;
  }

  /** A dbt begins to build: no more of the execution queue at once than its cap, and one alone on a single writer. */
  enter(build: string, size: "producer" | "queue", most: { readonly onQueue: number; readonly inAll: number }): void {
    this.#building.set(build, size);
    const onQueue = [...this.#building.values()].filter((one) => one === "queue").length;
    if (onQueue > most.onQueue) this.violations.push(`${onQueue} builds of the execution queue at once by ${build}`);
    if (this.#building.size > most.inAll) this.violations.push(`${this.#building.size} builds at once by ${build}`);
  }

  leave(build: string): void {
    this.#building.delete(build);
  }

  begin({ uniqueId, builds, parents }: SimulatedVertex, build: string): void {
    const table = this.table(uniqueId);
    const tables = parents.filter((id) => id.startsWith("model_"));
    for (const parent of tables)
      if (this.#reading.has(parent)) this.violations.push(`${uniqueId} reads ${parent} while that is being built`);
    for (const [reader, read] of this.#reading)
      if (read.includes(uniqueId)) this.violations.push(`${uniqueId} is built anew while ${reader} reads it`);
    this.#reading.set(uniqueId, tables);
    if (table.inBuild !== null) this.violations.push(`${uniqueId} is in builds ${table.inBuild} and ${build} at once`);
    if (table.good && builds && !table.unheard && !table.onFailure && !this.#mayRebuild)
      this.violations.push(`${uniqueId} was good and is built again by ${build}`);
    table.inBuild = build;
    table.unheard = false;
    table.good = false;
    table.onFailure = parents.some((id) => this.table(id).onFailure);
  }

  /** A person wants it built again: what stands there is not good until it is. A test of it may run again. */
  askFor(uniqueId: string): void {
    const table = this.table(uniqueId);
    if (uniqueId.startsWith("model_")) table.good = false;
    else table.unheard = true;
  }

  /** A person says that what stands there is right, or that it need not be. */
  vouchFor(uniqueId: string): void {
    this.table(uniqueId).good = true;
  }

  end(uniqueId: string, good: boolean): void {
    const table = this.table(uniqueId);
    this.#reading.delete(uniqueId);
    table.inBuild = null;
    table.good = good;
    if (good) table.builtAt = ++this.#clock;
  }
}

export type BuildEvent =
  | {
      readonly kind: "status";
      readonly uniqueId: string;
      readonly status: string;
      readonly evidence: boolean;
      readonly message?: string;
    }
  | { readonly kind: "killed" }
  | {
      readonly kind: "ended";
      readonly end: Pick<BuildEnd, "exitCode" | "inOrder" | "cause" | "failFast" | "unnamedSkips">;
    };

export interface SimulatedBuildOptions {
  readonly name: string;
  readonly vertices: ReadonlyMap<string, SimulatedVertex>;
  readonly selection: readonly string[];
  readonly warehouse: SimulatedWarehouse;
  readonly random: Random;
  readonly threads: number;
  readonly failFast?: boolean;
  /** Share of the skips of which dbt says nothing (a child of a failed ephemeral has no id in its line). */
  readonly silentSkips?: number;
}

/**
 * One `dbt build`: gates inside its selection as dbt does, with edges through what is not selected, and takes whatever
 * lies outside as it finds it. Each turn is one line of its log, or its end.
 */
export class SimulatedBuild {
  readonly #options: SimulatedBuildOptions;
  readonly #parents: Map<string, string[]>;
  readonly #waiting: Set<string>;
  readonly #running = new Set<string>();
  readonly #done = new Map<string, boolean>();
  /** Failed, and built on all the same. */
  readonly #builtOn = new Set<string>();
  #red: "none" | "node" | "test" = "none";
  #skips = 0;
  #unnamedSkips = 0;
  #over = false;

  constructor(options: SimulatedBuildOptions) {
    this.#options = options;
    const selected = options.selection.filter((id) => !options.vertices.get(id)!.unreported);
    this.#waiting = new Set(selected);
    this.#parents = new Map(selected.map((id) => [id, selectedParents(id, new Set(selected), options.vertices)]));
  }

  get over(): boolean {
    return this.#over;
  }

  /** It has taken a vertex in hand. */
  get begun(): boolean {
    return this.#waiting.size < this.#parents.size;
  }

  /** Whether dbt runs it at this moment, or will begin it unless something above it fails. */
  mayTouch(id: string): boolean {
    if (this.#over) return false;
    return this.#running.has(id) || (this.#waiting.has(id) && !this.#isDoomed(id));
  }

  #isDoomed(id: string): boolean {
    return this.#parents
      .get(id)!
      .some(
        (parent) =>
          (this.#done.get(parent) === false && !this.#builtOn.has(parent)) ||
          (this.#waiting.has(parent) && this.#isDoomed(parent)),
      );
  }

  /** The next line, or the end. Null: something happened without a line. */
  turn(): BuildEvent | null {
    const { random, threads } = this.#options;
    const ready = this.#stopped() ? [] : this.#ready();
    const canStart = ready.length > 0 && this.#running.size < threads;
    if (canStart && (this.#running.size === 0 || random.chance(0.5))) return this.#take(random.pick(ready));
    if (this.#running.size > 0) return this.#finish(random.pick([...this.#running]));
    return this.#close();
  }

  /** The process is gone. What it ran is in an unknown state. */
  kill(): void {
    this.#over = true;
    for (const id of this.#running) this.#options.warehouse.end(id, false);
    this.#running.clear();
  }

  #stopped(): boolean {
    return this.#options.failFast === true && this.#red !== "none";
  }

  #ready(): string[] {
    return [...this.#waiting].filter((id) => this.#parents.get(id)!.every((parent) => this.#done.has(parent)));
  }

  #take(id: string): BuildEvent | null {
    const { vertices, warehouse, random, name, silentSkips = 0 } = this.#options;
    this.#waiting.delete(id);
    const found = vertices.get(id)!;
    if (!this.#parents.get(id)!.every((parent) => this.#done.get(parent) || this.#builtOn.has(parent))) {
      this.#done.set(id, false);
      if (!found.builds) return null;
      this.#skips += 1;
      if (!random.chance(silentSkips)) return { kind: "status", uniqueId: id, status: "skipped", evidence: false };
      this.#unnamedSkips += 1;
      return null;
    }
    warehouse.begin(found, name);
    if (this.#parents.get(id)!.some((parent) => this.#builtOn.has(parent) || warehouse.table(parent).onFailure))
      warehouse.table(id).onFailure = true;
    this.#running.add(id);
    return found.builds ? { kind: "status", uniqueId: id, status: "started", evidence: true } : this.#finish(id);
  }

  #finish(id: string): BuildEvent | null {
    const found = this.#options.vertices.get(id)!;
    const table = this.#options.warehouse.table(id);
    if (table.killed < found.kills) {
      table.killed += 1;
      this.kill();
      return { kind: "killed" };
    }
    table.finished += 1;
    const good = table.finished > found.failures && this.#compilesAbove(id);
    this.#running.delete(id);
    this.#done.set(id, good);
    if (!good && found.continues) this.#builtOn.add(id);
    this.#options.warehouse.end(id, good);
    if (!found.builds && (good || (found.quiet === true && !this.#hangsOn(id)))) return null;
    const isTest = id.startsWith("test.") || id.startsWith("unit_test.");
    if (!good && this.#red !== "node") this.#red = isTest ? "test" : "node";
    const finds = isTest && !/closed the connection/.test(found.message ?? "");
    const word = good ? (isTest ? "pass" : "success") : finds ? "fail" : "error";
    const message = good ? {} : { message: found.message ?? "Database Error: the test said so" };
    return { kind: "status", uniqueId: id, status: word, evidence: true, ...message };
  }

  /** Ephemerals that the build does not have are compiled anew with each vertex that reads them, and fail it. */
  #compilesAbove(id: string): boolean {
    const { vertices, warehouse } = this.#options;
    const above = vertices.get(id)!.parents.filter((parent) => {
      const { builds, quiet } = vertices.get(parent)!;
      return !builds && quiet === true && !this.#parents.has(parent) && !warehouse.table(parent).good;
    });
    return above.every((parent) => {
      const table = warehouse.table(parent);
      table.finished += 1;
      table.good = table.finished > vertices.get(parent)!.failures && this.#compilesAbove(parent);
      return table.good;
    });
  }

  /** Whether the build has a vertex that dbt builds directly on it. */
  #hangsOn(id: string): boolean {
    const { vertices } = this.#options;
    return [...this.#parents.keys()].some((child) => {
      const { builds, parents } = vertices.get(child)!;
      return builds && parents.includes(id);
    });
  }

  #close(): BuildEvent {
    this.#over = true;
    const empty = this.#parents.size === 0;
    const explained = this.#red !== "none" || this.#skips > 0;
    const exitCode = [...this.#done.values()].includes(false) ? 1 : 0;
    const whole = exitCode === 1 && !explained ? ("unexplained_exit" as const) : this.#red;
    const kind = empty ? ("empty_selection" as const) : whole;
    const end = {
      exitCode,
      inOrder: kind !== "unexplained_exit",
      failFast: this.#stopped(),
      unnamedSkips: this.#unnamedSkips,
      cause: { kind, sentence: `It ended: ${kind}.`, lines: [] },
    };
    return { kind: "ended", end };
  }
}

/** dbt's subset graph: the nearest selected ancestors, through everything that is not selected. */
export function selectedParents(
  id: string,
  selected: ReadonlySet<string>,
  vertices: ReadonlyMap<string, Pick<SimulatedVertex, "parents">>,
): string[] {
  const found = new Set<string>();
  const seen = new Set<string>();
  const open = [...vertices.get(id)!.parents];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (seen.has(next)) continue;
    seen.add(next);
    if (selected.has(next)) found.add(next);
    else open.push(...vertices.get(next)!.parents);
  }
  return [...found];
}
