import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import type { Machine } from "./machine.ts";
import type { MatrixOptions } from "./options.ts";
import { type Bench, measureOverhead, type Overhead } from "./overhead.ts";
import { type BenchProject, layeredFor, type Watch } from "./projects.ts";

/** One cell of the matrix with all of its repetitions. */
export interface MatrixCell {
  readonly models: number;
  readonly threads: number;
  readonly shared: number;
  readonly watch: Watch | undefined;
  readonly runs: readonly Overhead[];
}

export const matrixProjects = (folder: string, { models, threads, shared }: MatrixOptions): BenchProject[] =>
  models.flatMap((count) => threads.flatMap((of) => shared.map((share) => layeredFor(folder, count, of, share))));

/** Cells by what they are of, in the order of the matrix, with the runs of all pieces. */
export function joined(cells: readonly MatrixCell[]): MatrixCell[] {
  const runs = new Map<string, MatrixCell>();
  for (const cell of cells) {
    const { models, threads, shared, watch } = cell;
    const key = JSON.stringify([models, threads, shared, watch]);
    runs.set(key, { ...cell, runs: [...(runs.get(key)?.runs ?? []), ...cell.runs] });
  }
  const order = (one: MatrixCell) => [one.watch === "poll" ? 1 : 0, one.models, one.threads, one.shared];
  return [...runs.values()].sort((a, b) => {
    const other = order(b);
    return (
      order(a)
        .map((value, at) => value - other[at]!)
        .find((difference) => difference !== 0) ?? 0
    );
  });
}

/**
 * The cells of an earlier piece.
 * @throws Error where that was measured on another machine
 */
export function cellsOf(path: string, machine: Machine): MatrixCell[] {
  const of = JSON.parse(readFileSync(path, "utf8")) as { machine: Machine; matrix: MatrixCell[] };
  const place = ({ at: _, ...rest }: Machine) => rest;
  if (!isDeepStrictEqual(place(of.machine), place(machine)))
    throw new Error(`${path} was measured on another machine: ${JSON.stringify(of.machine)}.`);
  return of.matrix;
}

/** Seconds beside the models' own that a plain build and a run take together: starts, parses, ends, consumers. */
const BESIDE_SECONDS = 22;

/** What the matrix will take, in minutes: a model sleeps for a second. */
export function matrixMinutes(options: MatrixOptions): number {
  const { models, threads, shared, watches, repeat } = options;
  const once = models.flatMap((count) => threads.map((of) => (2 * count) / of + BESIDE_SECONDS));
  const seconds = once.reduce((sum, one) => sum + one, 0);
  return (seconds * shared.length * watches.length * repeat) / 60;
}

/**
 * All cells of one stack, repetition by repetition: what the machine does meanwhile strikes each cell once, not one of
 * them three times. Plain dbt runs right before each run.
 */
export async function measureMatrix(
  bench: Bench,
  projects: readonly BenchProject[],
  watch: Watch | undefined,
  repeat: number,
): Promise<MatrixCell[]> {
  const runs = new Map<BenchProject, Overhead[]>(projects.map((project) => [project, []]));
  for (let time = 1; time <= repeat; time += 1)
    for (const [project, of] of runs) {
      bench.say(`${time} of ${repeat}, ${watch ?? "default"}:`);
      try {
        of.push(await measureOverhead(bench, project));
      } catch (error) {
        // Hours of others are not lost with it: its cell has a run less, and says so.
        bench.say(`${project.name} is not measured: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  return [...runs].map(([{ models, threads = 8, shared = 0 }, of]) => ({ models, threads, shared, watch, runs: of }));
}
