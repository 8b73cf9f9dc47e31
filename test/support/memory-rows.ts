import type { ClaimedTasks, FencedTasks, RunKey, VertexRows } from "#clients/ledger.ts";
import { checkItem, checkTableKey } from "#core/aws-limits.ts";
import type { DecidedTask, DecidedVertex, RunRow, ToldTask, VertexRow, VertexWord } from "#core/contracts/ledger.ts";
import { isTerminal } from "#core/dbt/status.ts";
import { RowMissing } from "#core/errors.ts";
import { keys } from "#core/names.ts";
import { joinTask, joinVertex, keptStory, missingOf } from "#core/run/judging/joined-rows.ts";

/** A run of the ledger in memory: what is decided of it, and what its containers tell. */
export interface Partition {
  run: RunRow;
  readonly tasks: Map<number, DecidedTask>;
  readonly vertices: Map<string, DecidedVertex>;
  readonly told: Map<number, ToldTask>;
  /** By vertex, then by task. */
  readonly words: Map<string, Map<number, VertexWord>>;
}

export const newPartition = (run: RunRow): Partition => ({
  run,
  tasks: new Map(),
  vertices: new Map(),
  told: new Map(),
  words: new Map(),
});

type Find = (run: RunKey) => Partition | undefined;

const held = (find: Find, run: RunKey): Partition => find(run) ?? missing(`run ${run.runId}`);
const taskOf = (find: Find, run: RunKey, task: number): DecidedTask =>
  held(find, run).tasks.get(task) ?? missing(`task ${task}`);

/** Task rows as check-run writes them. */
export function claimedTasks(find: Find): ClaimedTasks {
  const change = (run: RunKey, row: DecidedTask, changes: Partial<Record<keyof DecidedTask, unknown>>) =>
    held(find, run).tasks.set(row.task, stored({ ...row, ...changes }) as DecidedTask);
  const joined = (run: RunKey, row: DecidedTask) => joinTask(row, find(run)?.told.get(row.task) ?? null);
  return {
    async createTask(key, version, row) {
      const { run, tasks } = held(find, key);
      if (run.version !== version || run.state !== "running" || tasks.has(row.task)) return false;
      if ((run.stopRequestedAtMs ?? run.stopAfterCurrentAtMs) !== undefined) return false;
      held(find, key).run = { ...run, version: version + 1, lastTask: row.task };
      tasks.set(row.task, stored(row));
      return true;
    },
    async readTasks(key) {
      const rows = [...(find(key)?.tasks.values() ?? [])].map((row) => joined(key, row));
      return copy(rows.sort((a, b) => a.task - b.task));
    },
    async readTask(key, number) {
      const row = find(key)?.tasks.get(number);
      return row === undefined ? null : copy(joined(key, row));
    },
    async markClaimed(key, number) {
      const row = taskOf(find, key, number);
      if (row.state === "claiming") change(key, row, { state: "launching" });
    },
    async markLaunched(key, number, launch) {
      const row = taskOf(find, key, number);
      if (row.state === "launching") change(key, row, launch);
    },
    async markLaunchFailed(key, number, { reason, ...failure }) {
      const row = taskOf(find, key, number);
      if (row.state !== "launching" || row.launchFailures >= failure.launchFailures) return;
      const cleared = { taskArn: undefined, launchedAtMs: undefined };
      change(key, row, { ...failure, lastLaunchFailure: reason, ...cleared });
    },
    async markStopped(key, number, stop) {
      const row = taskOf(find, key, number);
      const { told } = held(find, key);
      const container = told.get(number);
      if (row.state === "over") return JSON.stringify(row.stop) === JSON.stringify(copy(stop));
      if ((stop.neverStarted ? container?.fencedBy : container?.end) !== undefined) return false;
      change(key, row, { state: "over", stop });
      told.set(number, { sequence: 0, ...container, closedAtMs: stop.stoppedAtMs });
      return true;
    },
    async markQuietTold(key, number, noticedAtMs) {
      const row = taskOf(find, key, number);
      if ((row.quietToldAtMs ?? 0) <= noticedAtMs) change(key, row, { quietToldAtMs: noticedAtMs });
    },
  };
}

/** What containers tell of their tasks. */
export function fencedTasks(find: Find): FencedTasks {
  const tell = (key: RunKey, number: number, taskArn: string, facts: Partial<ToldTask>): boolean => {
    const row = held(find, key).told.get(number) ?? missing(`container of task ${number}`);
    if (row.fencedBy !== taskArn || row.closedAtMs !== undefined || row.end !== undefined) return false;
    held(find, key).told.set(number, stored({ ...row, ...copy(facts) }));
    return true;
  };
  return {
    async passFence(key, number, { taskArn, ...container }) {
      if (taskOf(find, key, number).state !== "launching") return false;
      const { told } = held(find, key);
      const row = told.get(number);
      const isBegun = row?.invocationId !== undefined || row?.end !== undefined || (row?.sequence ?? 0) > 0;
      if (row?.closedAtMs !== undefined) return false;
      if (row?.fencedBy !== undefined) return row.fencedBy === taskArn && !isBegun;
      told.set(number, stored({ fencedBy: taskArn, sequence: 0, ...container }));
      return true;
    },
    async heartbeat(key, number, { taskArn, atMs, ...beat }) {
      return { fenced: tell(key, number, taskArn, { heartbeatAtMs: atMs, ...(beat as Partial<ToldTask>) }) };
    },
    async tellPlan(key, number, taskArn, planKey) {
      return tell(key, number, taskArn, { toldPlanKey: planKey });
    },
    async endTask(key, number, taskArn, end, sequence) {
      if (tell(key, number, taskArn, { end, sequence })) return true;
      const row = held(find, key).told.get(number);
      return row?.fencedBy === taskArn && row.end !== undefined;
    },
  };
}

/** What is decided of vertices, and what tasks say of them. */
export function vertices(find: Find): VertexRows {
  const joined = (key: RunKey, uniqueId: string): VertexRow | null => {
    const partition = find(key);
    if (partition === undefined) return null;
    const kinds = [...partition.tasks.values()].filter(({ kind, round }) => kind === "producer" && round > 0);
    const producers = kinds.length === 0 ? [1] : kinds.map(({ task }) => task);
    const words = [...(partition.words.get(uniqueId)?.values() ?? [])];
    return joinVertex(partition.vertices.get(uniqueId) ?? null, words, producers);
  };
  const mark = (key: RunKey, uniqueId: string, changes: Partial<DecidedVertex>) => {
    const row = held(find, key).vertices.get(uniqueId) ?? newVertex(uniqueId);
    held(find, key).vertices.set(uniqueId, stored({ ...row, ...changes }));
  };
  return {
    async writeVertex(key, task, { uniqueId, ...said }) {
      const { words } = held(find, key);
      checkTableKey({ sk: keys.word(task, uniqueId) });
      const byTask = words.get(uniqueId) ?? new Map<number, VertexWord>();
      words.set(uniqueId, byTask);
      const row = byTask.get(task);
      if (row?.endedAtMs !== undefined && !isTerminal(said.status)) return;
      byTask.set(task, stored({ ...row, ...copy(said), uniqueId, task } as VertexWord));
    },
    async writeEnds(key, task, writes) {
      const { words } = held(find, key);
      for (const { uniqueId, ...said } of writes) {
        checkTableKey({ sk: keys.word(task, uniqueId) });
        const byTask = words.get(uniqueId) ?? new Map<number, VertexWord>();
        words.set(uniqueId, byTask);
        byTask.set(task, stored({ ...copy(said), uniqueId, task } as VertexWord));
      }
      return [];
    },
    async readVertices(key) {
      const { vertices, words } = find(key) ?? { vertices: new Map(), words: new Map() };
      const ids = [...new Set<string>([...vertices.keys(), ...words.keys()])].sort();
      return copy(ids.map((uniqueId) => joined(key, uniqueId)).filter((row) => row !== null));
    },
    async readSomeVertices(key, uniqueIds) {
      const rows = [...new Set(uniqueIds)].map((uniqueId) => joined(key, uniqueId));
      return copy(rows.filter((row) => row !== null));
    },
    async glanceAtVertex(key, uniqueId) {
      return copy({ run: find(key)?.run ?? null, row: joined(key, uniqueId) });
    },
    async claimVertex(key, task, { uniqueId, from, lostTask, forget }) {
      const decided = held(find, key).vertices.get(uniqueId) ?? null;
      const row = joined(key, uniqueId);
      if (decided?.ownerTask === task) return true;
      if (!isOwnedBy(from, decided, row)) return false;
      const {
        final: _,
        finalReason: __,
        finalRound: ___,
        rootCause: ____,
        mark: _____,
        ...open
      } = withStory(decided ?? newVertex(uniqueId), row, forget);
      const lostTasks = lostTask === undefined ? open.lostTasks : withNumber(open.lostTasks, lostTask);
      checkTableKey({ sk: keys.vertex(uniqueId) });
      held(find, key).vertices.set(uniqueId, { ...open, ownerTask: task, epoch: open.epoch + 1, lostTasks });
      return true;
    },
    async setFinal(key, ownerTask, { uniqueId, ...final }) {
      const decided = held(find, key).vertices.get(uniqueId) ?? null;
      const row = joined(key, uniqueId);
      if (!isOwnedBy(ownerTask, decided, row) && !isOwnedBy(null, decided, row)) return;
      if ((decided?.finalRound ?? 0) > key.round) return;
      const { rootCause: _, ...open } = withStory(decided ?? newVertex(uniqueId), row);
      held(find, key).vertices.set(uniqueId, stored({ ...open, ...final, ownerTask, finalRound: key.round }));
    },
    async markConsumerStarted(key, uniqueId, part, atMs) {
      const row = held(find, key).vertices.get(uniqueId);
      const ofTests = { testsConsumerStartedAtMs: atMs, testsConsumerRound: key.round };
      const started = part === "node" ? { consumerStartedAtMs: atMs, consumerRound: key.round } : ofTests;
      const markedIn = part === "node" ? row?.consumerRound : row?.testsConsumerRound;
      if ((markedIn ?? 0) <= key.round) mark(key, uniqueId, started);
    },
    async setOutcome(key, uniqueId, part, { outcome, atMs }) {
      const row = held(find, key).vertices.get(uniqueId);
      const ofTests = { testsOutcome: outcome, testsOutcomeAtMs: atMs, testsOutcomeRound: key.round };
      const ofNode = { outcome, outcomeAtMs: atMs, outcomeRound: key.round };
      const markedIn = part === "node" ? row?.outcomeRound : row?.testsOutcomeRound;
      if ((markedIn ?? 0) <= key.round) mark(key, uniqueId, part === "node" ? ofNode : ofTests);
    },
    async markOverdueTold(key, uniqueId, task) {
      if ((held(find, key).vertices.get(uniqueId)?.overdueTold ?? 0) <= task)
        mark(key, uniqueId, { overdueTold: task });
    },
    async markToldAs(key, uniqueId, toldAs) {
      mark(key, uniqueId, { toldAs });
    },
    async keepConsumerWait(key, uniqueId, part, { atMs, ...wait }) {
      const row = held(find, key).vertices.get(uniqueId);
      const before = part === "node" ? row?.waitAtMs : row?.testsWaitAtMs;
      const of = part === "node" ? row?.waitRound : row?.testsWaitRound;
      if ((before ?? 0) > atMs || (of ?? 0) > wait.round) return;
      const ofTests = { testsWait: wait, testsWaitAtMs: atMs, testsWaitRound: wait.round };
      mark(key, uniqueId, part === "node" ? { wait, waitAtMs: atMs, waitRound: wait.round } : ofTests);
    },
    async markRedrivenConsumer(key, uniqueId, part, redriven) {
      mark(key, uniqueId, part === "node" ? { redriven } : { testsRedriven: redriven });
    },
    async setMark(key, uniqueId, ownerTask, given) {
      const { mark: _, ...row } = held(find, key).vertices.get(uniqueId) ?? newVertex(uniqueId);
      const owned = { ...row, ownerTask: row.ownerTask ?? ownerTask };
      const partition = held(find, key);
      partition.vertices.set(uniqueId, stored(given === null ? owned : { ...owned, mark: given }));
      partition.run = { ...partition.run, marks: (partition.run.marks ?? 0) + 1 };
    },
  };
}

const isOwnedBy = (task: number | null, decided: DecidedVertex | null, row: VertexRow | null): boolean =>
  task !== null && row !== null
    ? row.ownerTask === task
    : task === null && decided?.ownerTask === undefined && row?.statusTask === undefined;

const newVertex = (uniqueId: string): DecidedVertex => ({ uniqueId, epoch: 0, tryTasks: [], lostTasks: [] });

function withStory(decided: DecidedVertex, row: VertexRow | null, forget = false): DecidedVertex {
  const story = keptStory(row, forget);
  const gone = new Set(missingOf(story));
  const before = Object.entries(decided).filter(([name]) => !gone.has(name));
  return { tryTasks: [], ...Object.fromEntries(before), ...story } as unknown as DecidedVertex;
}

const withNumber = (numbers: readonly number[], number: number) =>
  [...new Set([...numbers, number])].sort((a, b) => a - b);

export const copy = <T>(row: T): T => JSON.parse(JSON.stringify(row)) as T;

/** A copy of a row that DynamoDB would take. */
export function stored<T>(row: T): T {
  checkItem(row);
  return copy(row);
}

export function missing(what: string): never {
  throw new RowMissing(`The ledger has no ${what}: check the run id, or whether the run has expired.`);
}
