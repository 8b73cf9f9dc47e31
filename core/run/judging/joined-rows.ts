import type { DecidedTask, DecidedVertex, TaskRow, ToldTask, VertexRow, VertexWord } from "#core/contracts/ledger.ts";

/**
 * The one place that says what counts of what containers tell (docs/adr/0043): a container writes under its own task
 * whenever it likes, and these rules take its word as if it had been refused where it came too late.
 */

/** A task as it is decided, with what its container tells. */
export function joinTask(decided: DecidedTask, told: ToldTask | null): TaskRow {
  // A row that was adopted has its container's story in it.
  if (decided.fencedBy !== undefined || told?.fencedBy === undefined) return decided;
  // ECS is asked of this ARN: what is of another cluster than the launch is nobody's of ours.
  if (decided.taskArn !== undefined && clusterOf(decided.taskArn) !== clusterOf(told.fencedBy)) return decided;
  const { closedAtMs: _, ...facts } = told;
  const isOver = decided.state === "over" || told.end !== undefined;
  return { ...decided, ...facts, taskArn: told.fencedBy, state: isOver ? "over" : "running" };
}

const clusterOf = (taskArn: string): string => taskArn.slice(0, taskArn.lastIndexOf("/") + 1);

/** The newer producer first: it is only launched if the one before had said nothing, and what that says late is void. */
const newestFirst = (producers: readonly number[]): number[] => [...producers].sort((a, b) => b - a);

/**
 * Tasks whose word on a vertex may count, the one that counts before others first: its owner's, unless what that said is
 * kept in the decided row already (a last word has been given, or the row was adopted). What nobody has claimed is the
 * producer's. Empty: no word counts.
 */
export function tasksHeard(decided: DecidedVertex | null, producers: readonly number[]): number[] {
  if (decided?.ownerTask === undefined) return newestFirst(producers);
  const isKept = decided.final !== undefined || decided.statusTask === decided.ownerTask;
  return isKept ? [] : [decided.ownerTask];
}

/**
 * A vertex as it is decided, with the word that counts of those that tasks have said of it; null if there is neither.
 * @param words of this vertex alone
 */
export function joinVertex(
  decided: DecidedVertex | null,
  words: readonly VertexWord[],
  producers: readonly number[],
): VertexRow | null {
  const heard = tasksHeard(decided, producers).map((task) => words.find((word) => word.task === task));
  const word = heard.find((one) => one !== undefined);
  if (word !== undefined) return withWord(decided, word);
  return decided === null ? null : { ...decided, ownerTask: decided.ownerTask ?? newestFirst(producers)[0] ?? 1 };
}

/**
 * What a task's first word on a vertex clears, unless it brings its own: an older try's story. Not the batches of a
 * microbatch model: a try that ends before it names one must not lose their window (core/run/deciding/event-window).
 */
const TOLD_BY_A_TRY = [
  "startedAtMs",
  "endedAtMs",
  "message",
  "failures",
  "executionSeconds",
  "rowsAffected",
  "compiledKey",
] as const;

function withWord(decided: DecidedVertex | null, { task, ...said }: VertexWord): VertexRow {
  const before = decided ?? { uniqueId: said.uniqueId, epoch: 0, tryTasks: [], lostTasks: [] };
  const older = Object.entries(before).filter(([name]) => !TOLD_BY_A_TRY.some((cleared) => cleared === name));
  // dbt 2.0 prints starts for what it then skips: the skip takes the try back.
  const others = before.tryTasks.filter((other) => other !== task);
  const tryTasks = said.evidence ? [...others, task].sort((a, b) => a - b) : others;
  const joined = { ...Object.fromEntries(older), ...said, ownerTask: task, statusTask: task, tryTasks };
  return withoutNothing(joined) as unknown as VertexRow;
}

const withoutNothing = (row: object): object =>
  Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null && value !== undefined));

/** What a build said of a vertex, where a claim takes it from the row. */
const SAID: readonly StoryAttribute[] = ["status", "statusTask", "evidence", ...TOLD_BY_A_TRY];

/** What of a vertex comes from a task's word. */
const STORY = [
  "resourceType",
  "statusTask",
  "status",
  "evidence",
  ...TOLD_BY_A_TRY,
  "relation",
  "checksum",
  "batches",
  "tryTasks",
] as const;
type StoryAttribute = (typeof STORY)[number];
export type Story = { readonly [K in StoryAttribute]?: VertexRow[K] };

/**
 * The story of a vertex as a claim or a last word keeps it in the decided row: each attribute of {@link Story}, absent
 * where there is nothing. `forget`: what a build said is taken from it, but for its tries.
 */
export function keptStory(row: VertexRow | null, forget = false): Story {
  const kept = STORY.filter((name) => row?.[name] !== undefined && !(forget && SAID.includes(name)));
  return Object.fromEntries(kept.map((name) => [name, row![name]]));
}

/** Attributes of the decided row that such a story does not have. */
export const missingOf = (story: Readonly<Record<string, unknown>>): string[] =>
  STORY.filter((name) => story[name] === undefined);
