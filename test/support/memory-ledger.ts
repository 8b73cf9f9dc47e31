import type { ClaimedTasks, FencedTasks, Ledger, RunKey, RunRows, VertexRows } from "#clients/ledger.ts";
import { checkItem, checkTableKey } from "#core/aws-limits.ts";
import type { LockRow, RunIndexRow, RunRow, TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import type { VertexWrite } from "#core/contracts/vertex-write.ts";
import { isTerminal } from "#core/dbt/status.ts";
import { RowMissing } from "#core/errors.ts";
import { keys } from "#core/names.ts";

type StoredVertex = { -readonly [K in keyof VertexRow]: VertexRow[K] };
type QueueEntry = { runId: string; executionArn: string; atMs: number };

interface Partition {
  run: RunRow;
  readonly tasks: Map<number, TaskRow>;
  readonly vertices: Map<string, StoredVertex>;
}

/** What the first status of a newer task clears, as the real ledger does. */
const OF_A_TRY = [
  "startedAtMs",
  "endedAtMs",
  "message",
  "failures",
  "executionSeconds",
  "rowsAffected",
  "compiledKey",
] as const;

/**
 * The ledger in memory, for tests of functions and scenarios. It refuses keys and rows that DynamoDB would (D18). Rows are copied in and out as JSON, as on the wire: no
 * caller can change a row that it has read, and undefined attributes disappear.
 */
export function memoryLedger(): Ledger {
  const partitions = new Map<string, Partition>();
  const locks = new Map<string, LockRow>();
  const queues = new Map<string, QueueEntry[]>();
  const index = new Map<string, Map<string, RunIndexRow>>();

  const find = ({ project, runId }: RunKey) => partitions.get(keys.runPartition(project, runId));
  const partition = (run: RunKey) => find(run) ?? missing(`run ${run.runId}`);
  const task = (run: RunKey, number: number) => partition(run).tasks.get(number) ?? missing(`task ${number}`);
  const change = (run: RunKey, row: TaskRow, changes: Partial<Record<keyof TaskRow, unknown>>) =>
    partition(run).tasks.set(row.task, stored({ ...row, ...changes }) as TaskRow);
  const vertex = (run: RunKey, uniqueId: string) =>
    partition(run).vertices.get(uniqueId) ?? missing(`vertex ${uniqueId}`);

  return {
    ...runMethods(),
    ...taskMethods(),
    ...containerMethods(),
    ...vertexMethods(),
    ...projectMethods(),
  };

  function runMethods(): RunRows {
    const set = (key: RunKey, changes: Partial<Record<keyof RunRow, unknown>>) => {
      const held = partition(key);
      held.run = stored({ ...held.run, ...changes }) as RunRow;
    };
    return {
      async createRun(run) {
        if (find(run)) return false;
        const key = keys.runPartition(run.project, run.runId);
        checkTableKey({ pk: key });
        partitions.set(key, { run: stored(run), tasks: new Map(), vertices: new Map() });
        return true;
      },
      async readRun(key) {
        return copy(find(key)?.run ?? null);
      },
      async setPlan(key, plan) {
        const { run } = partition(key);
        if (run.planKey !== undefined)
          return (
            run.planKey === plan.planKey &&
            run.plannedVertices === plan.plannedVertices &&
            run.plannedNodes === plan.plannedNodes
          );
        set(key, plan);
        return true;
      },
      async requestStop(key, stop) {
        const { stopRequestedAtMs = stop.atMs, stopReason = stop.reason } = partition(key).run;
        set(key, { stopRequestedAtMs, stopReason });
      },
      async markFault(key, { atMs, sentence }) {
        const { state, stopRequestedAtMs = atMs, stopReason = sentence, fault = sentence } = partition(key).run;
        if (state === "running") set(key, { stopRequestedAtMs, stopReason, fault });
      },
      async setHeldSince(key, version, heldSinceMs) {
        if (find(key)?.run.version !== version) return false;
        set(key, { heldSinceMs: heldSinceMs ?? undefined });
        return true;
      },
      async markReady(key, version, readyAtMs) {
        if (find(key)?.run.version !== version) return false;
        set(key, { readyAtMs, version: version + 1, heldSinceMs: undefined });
        return true;
      },
      async endRun(key, end) {
        const { run } = partition(key);
        if (run.state !== "running") return run.state === end.state && run.endedAtMs === end.endedAtMs;
        set(key, { ...end, summaryKey: end.summaryKey ?? undefined });
        return true;
      },
      async markEventsSent(key, atMs) {
        const { endedAtMs, eventsSentAtMs = atMs } = partition(key).run;
        if (endedAtMs !== undefined) set(key, { eventsSentAtMs });
      },
    };
  }

  function taskMethods(): ClaimedTasks {
    return {
      async createTask(key, version, row) {
        const held = partition(key);
        if (held.run.version !== version || held.run.state !== "running" || held.tasks.has(row.task)) return false;
        held.run = { ...held.run, version: version + 1, lastTask: row.task };
        held.tasks.set(row.task, stored(row));
        return true;
      },
      async readTasks(key) {
        return copy([...(find(key)?.tasks.values() ?? [])].sort((a, b) => a.task - b.task));
      },
      async readTask(key, number) {
        return copy(find(key)?.tasks.get(number) ?? null);
      },
      async markClaimed(key, number) {
        const row = task(key, number);
        if (row.state === "claiming") change(key, row, { state: "launching" });
      },
      async markLaunched(key, number, launch) {
        const row = task(key, number);
        if (row.state === "launching") change(key, row, launch);
      },
      async markLaunchFailed(key, number, { reason, ...failure }) {
        const row = task(key, number);
        if (row.state !== "launching" || row.launchFailures >= failure.launchFailures) return;
        const cleared = { taskArn: undefined, launchedAtMs: undefined };
        change(key, row, { ...failure, lastLaunchFailure: reason, ...cleared });
      },
      async markStopped(key, number, stop) {
        const row = task(key, number);
        if (stop.neverStarted && row.state === "running") return false;
        if (row.state === "over") return JSON.stringify(row.stop) === JSON.stringify(copy(stop));
        change(key, row, { state: "over", stop });
        return true;
      },
    };
  }

  function containerMethods(): FencedTasks {
    const fenced = (row: TaskRow, taskArn: string) => row.state === "running" && row.fencedBy === taskArn;
    return {
      async passFence(key, number, { taskArn, ...container }) {
        const row = task(key, number);
        if (row.state !== "launching")
          return fenced(row, taskArn) && row.sequence === 0 && row.invocationId === undefined;
        change(key, row, { state: "running", fencedBy: taskArn, taskArn, ...container });
        return true;
      },
      async heartbeat(key, number, { taskArn, atMs, ...beat }) {
        const row = task(key, number);
        if (!fenced(row, taskArn)) return { fenced: false };
        change(key, row, { heartbeatAtMs: atMs, ...copy(beat) });
        return { fenced: true };
      },
      async endTask(key, number, taskArn, end, sequence) {
        const row = task(key, number);
        if (!fenced(row, taskArn)) return row.fencedBy === taskArn && row.end !== undefined;
        change(key, row, { state: "over", end, sequence });
        return true;
      },
    };
  }

  function vertexMethods(): VertexRows {
    return {
      async writeVertex(key, number, write) {
        const { vertices } = partition(key);
        const row = vertices.get(write.uniqueId) ?? newVertex(write.uniqueId, number);
        if (row.ownerTask !== number || row.final !== undefined) return false;
        const sameTry = row.statusTask === number;
        if (sameTry && row.endedAtMs !== undefined && !isTerminal(write.status)) return true;
        checkTableKey({ sk: keys.vertex(write.uniqueId) });
        vertices.set(write.uniqueId, stored(withStatus(sameTry ? row : withoutTry(row), number, write)));
        return true;
      },
      async readVertices(key) {
        const rows = [...(find(key)?.vertices.values() ?? [])];
        return copy(rows.sort((a, b) => (a.uniqueId < b.uniqueId ? -1 : 1)));
      },
      async readSomeVertices(key, uniqueIds) {
        const rows = [...new Set(uniqueIds)].map((uniqueId) => find(key)?.vertices.get(uniqueId));
        return copy(rows.filter((row) => row !== undefined));
      },
      async claimVertex(key, number, { uniqueId, from, lostTask }) {
        const { vertices } = partition(key);
        const old = vertices.get(uniqueId);
        if ((old?.ownerTask ?? null) !== from) return old?.ownerTask === number;
        const { final: _, finalReason: __, rootCause: ___, ...row } = old ?? newVertex(uniqueId, number);
        const lostTasks = lostTask === undefined ? row.lostTasks : withNumber(row.lostTasks, lostTask);
        vertices.set(uniqueId, { ...row, ownerTask: number, epoch: row.epoch + 1, lostTasks });
        return true;
      },
      async setFinal(key, ownerTask, { uniqueId, ...final }) {
        const { vertices } = partition(key);
        const { rootCause: _, ...row } = vertices.get(uniqueId) ?? newVertex(uniqueId, ownerTask);
        if (row.ownerTask !== ownerTask) return;
        vertices.set(uniqueId, stored({ ...row, ...final }));
      },
      async markConsumerStarted(key, uniqueId, part, atMs) {
        const started = part === "node" ? { consumerStartedAtMs: atMs } : { testsConsumerStartedAtMs: atMs };
        Object.assign(vertex(key, uniqueId), started);
      },
      async setOutcome(key, uniqueId, part, { outcome, atMs }) {
        const ofTests = { testsOutcome: outcome, testsOutcomeAtMs: atMs };
        Object.assign(vertex(key, uniqueId), part === "node" ? { outcome, outcomeAtMs: atMs } : ofTests);
      },
    };
  }

  function projectMethods(): Pick<
    Ledger,
    "takeLock" | "replaceLock" | "readLock" | "releaseLock" | "joinQueue" | "leaveQueue" | "putRunIndex" | "listRuns"
  > {
    const name = (project: string, lockKey: string) => JSON.stringify([project, lockKey]);
    const queue = (project: string, lockKey: string) => queues.get(name(project, lockKey)) ?? [];
    return {
      async takeLock(lock) {
        const held = locks.get(name(lock.project, lock.lockKey));
        if (held) return held.runId === lock.runId ? null : copy(held);
        checkTableKey({ sk: keys.lock(lock.lockKey) });
        locks.set(name(lock.project, lock.lockKey), stored(lock));
        return null;
      },
      async replaceLock(lock, gone) {
        const held = locks.get(name(lock.project, lock.lockKey));
        if (held?.runId !== gone.runId) return held?.runId === lock.runId;
        locks.set(name(lock.project, lock.lockKey), copy(lock));
        return true;
      },
      async readLock(project, lockKey) {
        return copy(locks.get(name(project, lockKey)) ?? null);
      },
      async releaseLock(project, lockKey, runId) {
        if (locks.get(name(project, lockKey))?.runId === runId) locks.delete(name(project, lockKey));
      },
      async joinQueue(project, lockKey, entry) {
        const waiting = queue(project, lockKey);
        if (waiting.some(({ runId }) => runId === entry.runId)) return copy(waiting);
        const { runId, executionArn, atMs } = entry;
        checkTableKey({ sk: keys.queue(lockKey, atMs, runId) });
        const inOrder = [...waiting, { runId, executionArn, atMs }].sort(
          (a, b) => a.atMs - b.atMs || (a.runId < b.runId ? -1 : 1),
        );
        queues.set(name(project, lockKey), inOrder);
        return copy(inOrder);
      },
      async leaveQueue(project, lockKey, entry) {
        const left = queue(project, lockKey).filter(({ runId }) => runId !== entry.runId);
        queues.set(name(project, lockKey), left);
      },
      async putRunIndex(row) {
        const rows = index.get(row.project) ?? new Map<string, RunIndexRow>();
        index.set(row.project, rows);
        const key = keys.runIndex(row.startedAtMs, row.runId);
        const old = rows.get(key);
        if (old?.endedAtMs === undefined || row.endedAtMs !== undefined) rows.set(key, copy({ ...old, ...row }));
      },
      async listRuns(project, limit) {
        const rows = [...(index.get(project)?.entries() ?? [])].sort(([a], [b]) => (a < b ? 1 : -1));
        return copy(rows.slice(0, limit).map(([, row]) => row));
      },
    };
  }
}

const newVertex = (uniqueId: string, ownerTask: number): StoredVertex => ({
  uniqueId,
  ownerTask,
  epoch: 0,
  tryTasks: [],
  lostTasks: [],
});

function withStatus(row: StoredVertex, task: number, write: VertexWrite): StoredVertex {
  const others = row.tryTasks.filter((other) => other !== task);
  const tryTasks = write.evidence ? withNumber(row.tryTasks, task) : others;
  const written = { ...row, ...copy(write), statusTask: task, tryTasks };
  return Object.fromEntries(Object.entries(written).filter(([, value]) => value !== null)) as unknown as StoredVertex;
}

function withoutTry(row: StoredVertex): StoredVertex {
  const rest = { ...row };
  for (const attribute of OF_A_TRY) delete rest[attribute];
  return rest;
}

const withNumber = (numbers: readonly number[], number: number) =>
  [...new Set([...numbers, number])].sort((a, b) => a - b);

const copy = <T>(row: T): T => JSON.parse(JSON.stringify(row)) as T;

/** A copy of a row that DynamoDB would take. */
function stored<T>(row: T): T {
  checkItem(row);
  return copy(row);
}

function missing(what: string): never {
  throw new RowMissing(`The ledger has no ${what}: check the run id, or whether the run has expired.`);
}
