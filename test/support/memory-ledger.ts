import type { Ledger, RoundKey, RunKey, RunRows } from "#clients/ledger.ts";
import { checkTableKey } from "#core/aws-limits.ts";
import type { AlertRow } from "#core/contracts/alerts.ts";
import type { RunRow } from "#core/contracts/ledger.ts";
import type {
  HandRow,
  ImageRow,
  LatestRow,
  LockRow,
  PauseRow,
  QueueEntry,
  RunIndexRow,
  ScheduleRow,
  TriggerRow,
} from "#core/contracts/project-rows.ts";
import { keys } from "#core/names.ts";
import {
  claimedTasks,
  copy,
  fencedTasks,
  missing,
  newPartition,
  type Partition,
  stored,
  vertices,
} from "./memory-rows.ts";

/** What the opening of a round voids on the run row, as the real ledger does. */
const OF_A_ROUND = {
  readyAtMs: undefined,
  heldSinceMs: undefined,
  stopRequestedAtMs: undefined,
  stopAfterCurrentAtMs: undefined,
  stopReason: undefined,
  stopRequestedBy: undefined,
  fault: undefined,
  verdict: undefined,
  summaryKey: undefined,
  tally: undefined,
  endedAtMs: undefined,
  eventsSentAtMs: undefined,
  requests: undefined,
};

/**
 * The ledger in memory, for tests of functions and scenarios. It refuses keys and rows that DynamoDB would (D18). Rows are copied in and out as JSON, as on the wire: no
 * caller can change a row that it has read, and undefined attributes disappear.
 */
export function memoryLedger(): Ledger {
  const partitions = new Map<string, Partition>();
  const adopted = new Map<string, Pick<Partition, "tasks" | "vertices">>();
  const locks = new Map<string, LockRow>();
  const queues = new Map<string, QueueEntry[]>();
  const index = new Map<string, Map<string, RunIndexRow>>();

  const find = ({ project, runId }: RunKey) => partitions.get(keys.runPartition(project, runId));
  const partition = (run: RunKey) => find(run) ?? missing(`run ${run.runId}`);

  return {
    ...runMethods(),
    ...claimedTasks(find),
    ...fencedTasks(find),
    ...vertices(find),
    ...projectMethods(),
    ...triggerMethods(),
    ...handMethods(),
    ...scheduleMethods(),
    ...latestMethods(),
    ...alertMethods(),
  };

  function runMethods(): RunRows & Pick<Ledger, "adoptRows"> {
    const runsIn = (key: RoundKey) => {
      const { run } = partition(key);
      return run.state === "running" && run.round === key.round;
    };
    const set = (key: RunKey, changes: Partial<Record<keyof RunRow, unknown>>) => {
      const held = partition(key);
      held.run = stored({ ...held.run, ...changes }) as RunRow;
    };
    return {
      async createRun(run) {
        if (find(run)) return false;
        const key = keys.runPartition(run.project, run.runId);
        checkTableKey({ pk: key });
        partitions.set(key, { ...newPartition(stored(run)), ...adopted.get(key) });
        return true;
      },
      async adoptRows(run, tasks, rows) {
        const to = adopted.get(keys.runPartition(run.project, run.runId)) ?? { tasks: new Map(), vertices: new Map() };
        adopted.set(keys.runPartition(run.project, run.runId), to);
        for (const task of tasks) if (!to.tasks.has(task.task)) to.tasks.set(task.task, stored(task));
        for (const row of rows) if (!to.vertices.has(row.uniqueId)) to.vertices.set(row.uniqueId, stored(row));
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
        const { atMs, reason: stopReason, by: stopRequestedBy, afterCurrent = false } = stop;
        const known = partition(key).run;
        if (!runsIn(key) || known.stopRequestedAtMs !== undefined) return;
        if (afterCurrent && known.stopAfterCurrentAtMs !== undefined) return;
        const moment = afterCurrent ? { stopAfterCurrentAtMs: atMs } : { stopRequestedAtMs: atMs };
        set(key, { ...moment, stopReason, stopRequestedBy });
      },
      async markFault(key, { atMs, sentence }) {
        const { stopRequestedAtMs = atMs, stopReason = sentence, fault = sentence } = partition(key).run;
        if (runsIn(key)) set(key, { stopRequestedAtMs, stopReason, fault });
      },
      async keepRunWait(key, wait) {
        const held = find(key);
        if (held) set(key, { wait, turns: (held.run.turns ?? 0) + 1 });
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
        if (!runsIn(key)) return run.round === key.round && run.state === end.state && run.endedAtMs === end.endedAtMs;
        set(key, { ...end, summaryKey: end.summaryKey ?? undefined });
        return true;
      },
      async markEventsSent(key, atMs) {
        const { endedAtMs, round, eventsSentAtMs = atMs } = partition(key).run;
        if (endedAtMs !== undefined && round === key.round) set(key, { eventsSentAtMs });
      },
      async requestRound(key, request) {
        const { run } = partition(key);
        if (run.round !== request.round) return false;
        set(key, { requests: [...(run.requests ?? []), request] });
        return true;
      },
      async openRound(seen, next) {
        const { run } = partition(seen);
        const round = seen.round + 1;
        const isAsSeen = run.round === seen.round && run.state === seen.state;
        if (!isAsSeen || (run.requests?.length ?? 0) !== (seen.requests?.length ?? 0))
          return run.round === round && run.state === "running" && run.roundStartedAtMs === next.startedAtMs;
        const { past, startedAtMs: roundStartedAtMs, notBeforeMs, ...opened } = next;
        const rounds = [...(seen.rounds ?? []), past];
        const version = seen.version + 1;
        set(seen, {
          ...OF_A_ROUND,
          ...opened,
          round,
          state: "running",
          version,
          rounds,
          roundStartedAtMs,
          notBeforeMs,
        });
        return true;
      },
      async markRedriven(key, redrives) {
        if (runsIn(key)) set(key, { redrives });
      },
    };
  }

  function projectMethods(): Pick<
    Ledger,
    | "takeLock"
    | "replaceLock"
    | "readLock"
    | "listLocks"
    | "releaseLock"
    | "joinQueue"
    | "readQueue"
    | "markReplaced"
    | "leaveQueue"
    | "listWaiting"
    | "putRunIndex"
    | "listRuns"
  > {
    const name = (project: string, lockKey: string) => JSON.stringify([project, lockKey]);
    const queue = (project: string, lockKey: string) => queues.get(name(project, lockKey)) ?? [];
    return {
      async takeLock(lock) {
        const held = locks.get(name(lock.project, lock.lockKey));
        if (held && held.runId !== lock.runId) return copy(held);
        if (held) held.round = Math.max(held.round ?? 0, lock.round ?? 0) || undefined;
        if (held) return null;
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
      async listLocks(project) {
        return copy([...locks.values()].filter((lock) => lock.project === project));
      },
      async releaseLock(project, lockKey, runId, round = Number.POSITIVE_INFINITY) {
        const held = locks.get(name(project, lockKey));
        if (held?.runId === runId && (held.round ?? 0) <= round) locks.delete(name(project, lockKey));
      },
      async joinQueue(project, lockKey, entry) {
        const waiting = queue(project, lockKey);
        const { runId, atMs, taskToken } = entry;
        checkTableKey({ sk: keys.queue(lockKey, atMs, runId) });
        const known = waiting.some((one) => one.runId === runId);
        const joined = known
          ? waiting.map((one) => (one.runId === runId ? { ...one, taskToken } : one))
          : [...waiting, entry].sort((a, b) => a.atMs - b.atMs || (a.runId < b.runId ? -1 : 1));
        queues.set(name(project, lockKey), copy(joined));
        return copy(joined);
      },
      async readQueue(project, lockKey) {
        return copy(queue(project, lockKey));
      },
      async markReplaced(project, lockKey, { runId }, by) {
        const marked = queue(project, lockKey).map((one) =>
          one.runId === runId ? { ...one, replacedBy: one.replacedBy ?? by } : one,
        );
        queues.set(name(project, lockKey), marked);
      },
      async leaveQueue(project, lockKey, entry) {
        const left = queue(project, lockKey).filter(({ runId }) => runId !== entry.runId);
        queues.set(name(project, lockKey), left);
      },
      async listWaiting(project) {
        return [...queues].flatMap(([named, waiting]) => {
          const [owner, lockKey] = JSON.parse(named) as [string, string];
          if (owner !== project) return [];
          return waiting.map(({ runId, executionArn, atMs }) => ({ lockKey, runId, executionArn, atMs }));
        });
      },
      async putRunIndex(row) {
        const rows = index.get(row.project) ?? new Map<string, RunIndexRow>();
        index.set(row.project, rows);
        const key = keys.runIndex(row.startedAtMs, row.runId);
        const old = rows.get(key);
        const round = row.round ?? 1;
        const isLate = (old?.round ?? 0) > round;
        const { endedAtMs: _, verdict: __, ...open } = old ?? row;
        if (row.endedAtMs !== undefined && !isLate) rows.set(key, copy({ ...old, ...row, round }));
        else if (row.endedAtMs === undefined && (old?.endedAtMs === undefined || (old.round ?? 0) < round) && !isLate)
          rows.set(key, copy({ ...open, ...row, round }));
      },
      async listRuns(project, limit) {
        const rows = [...(index.get(project)?.entries() ?? [])].sort(([a], [b]) => (a < b ? 1 : -1));
        return copy(rows.slice(0, limit).map(([, row]) => row));
      },
    };
  }

  function triggerMethods(): Pick<Ledger, "claimTrigger" | "readTrigger" | "replaceTrigger"> {
    const triggers = new Map<string, TriggerRow>();
    const untilMs = new Map<string, number>();
    const name = (project: string, dedupeKey: string) => JSON.stringify([project, dedupeKey]);
    const put = (at: string, trigger: TriggerRow, days: number) => {
      triggers.set(at, copy(trigger));
      untilMs.set(at, trigger.atMs + days * 86_400_000);
    };
    return {
      async claimTrigger(project, dedupeKey, trigger, days = 14) {
        checkTableKey({ sk: keys.trigger(dedupeKey) });
        const known = triggers.get(name(project, dedupeKey));
        if (known !== undefined && trigger.atMs < (untilMs.get(name(project, dedupeKey)) ?? 0))
          return known.runId === trigger.runId ? null : copy(known);
        put(name(project, dedupeKey), trigger, days);
        return null;
      },
      async readTrigger(project, dedupeKey) {
        return copy(triggers.get(name(project, dedupeKey)) ?? null);
      },
      async replaceTrigger(project, dedupeKey, trigger, gone, days = 14) {
        const known = triggers.get(name(project, dedupeKey));
        if (known?.runId !== gone.runId) return known?.runId === trigger.runId;
        put(name(project, dedupeKey), trigger, days);
        return true;
      },
    };
  }

  function latestMethods(): Pick<Ledger, "claimLatest" | "readLatest"> {
    const latest = new Map<string, LatestRow>();
    const name = (project: string, kind: string) => `${project} ${kind}`;
    return {
      async claimLatest(row) {
        const known = latest.get(name(row.project, row.kind));
        if (known !== undefined && known.startedAtMs > row.startedAtMs) return known.runId === row.runId;
        latest.set(name(row.project, row.kind), copy(row));
        return true;
      },
      async readLatest(project, kind) {
        return copy(latest.get(name(project, kind)) ?? null);
      },
    };
  }

  function alertMethods(): Pick<Ledger, "listAlerts" | "putAlert"> {
    const alerts = new Map<string, AlertRow>();
    return {
      async listAlerts(project, lockKey, channel) {
        const prefix = JSON.stringify([project, keys.alertPrefix(lockKey, channel)]);
        return copy([...alerts].filter(([key]) => key.startsWith(prefix)).map(([, row]) => row));
      },
      async putAlert(project, row) {
        const { lockKey, channel, about } = row;
        const prefix = JSON.stringify([project, keys.alertPrefix(lockKey, channel)]);
        alerts.set(`${prefix}${keys.alert(lockKey, channel, about)}`, stored(row));
      },
    };
  }

  function scheduleMethods(): Pick<Ledger, "knowSchedule"> {
    const schedules = new Map<string, ScheduleRow>();
    return {
      async knowSchedule(project, schedule, nowMs, job = "") {
        const key = `${project}/${job}`;
        if (schedules.get(key)?.schedule !== schedule) schedules.set(key, { schedule, sinceMs: nowMs });
        return schedules.get(key)!.sinceMs;
      },
    };
  }

  function handMethods(): Pick<
    Ledger,
    "readPause" | "pause" | "resume" | "readImage" | "chooseImage" | "dropImage" | "addHand" | "listHands"
  > {
    const pauses = new Map<string, PauseRow>();
    const images = new Map<string, ImageRow>();
    const hands: HandRow[] = [];
    return {
      async readPause(project) {
        return copy(pauses.get(project) ?? null);
      },
      async pause(row) {
        const known = pauses.get(row.project);
        if (known !== undefined) return JSON.stringify(known) === JSON.stringify(copy(row));
        pauses.set(row.project, copy(row));
        return true;
      },
      async resume(project) {
        return pauses.delete(project);
      },
      async readImage(project) {
        return copy(images.get(project) ?? null);
      },
      async chooseImage(row) {
        images.set(row.project, copy(row));
      },
      async dropImage(project) {
        return images.delete(project);
      },
      async addHand(row) {
        checkTableKey({ sk: keys.hand(row.atMs, row.action, row.by) });
        hands.push(copy(row));
      },
      async listHands(project, limit) {
        const keyOf = ({ atMs, action, by }: HandRow) => keys.hand(atMs, action, by);
        const ours = hands.filter((row) => row.project === project);
        const rows = ours.sort((a, b) => (keyOf(a) < keyOf(b) ? 1 : -1));
        return copy(rows.slice(0, limit));
      },
    };
  }
}
