import { TEST_TYPES } from "#core/dbt/resource-types.ts";
import type { MeasuredRun } from "./measured-run.ts";
import { percentile } from "./table.ts";

/** Where the wall clock of a run went, in the order of time. Milliseconds. */
export interface Timeline {
  /** StartExecution → verdict in the run's row. */
  readonly wallMs: number;
  /** StartExecution → the producer's row is written. */
  readonly toClaimMs: number;
  /** The producer's row (RunTask follows at once) → its container has passed the fence. */
  readonly containerStartMs: number;
  /** Fence → dbt is started. */
  readonly toDbtMs: number;
  /** dbt's life, all builds of the run. */
  readonly dbtMs: number;
  /** Last dbt ended → the end of its task is recorded. */
  readonly toRecordedMs: number;
  /** Recorded → verdict. */
  readonly toVerdictMs: number;
  /** Last vertex' end → verdict. */
  readonly tailMs: number;
}

export function timelineOf({ startedAtMs, run, tasks, vertices, logs }: MeasuredRun): Timeline {
  const [producer] = tasks;
  const last = tasks.at(-1);
  const log = producer && logs.get(producer.task);
  const endedAtMs = run.endedAtMs ?? Number.NaN;
  const fenceAtMs = log?.said.get("fence passed") ?? Number.NaN;
  const overAtMs = last?.end?.endedAtMs ?? Number.NaN;
  const dbtEndedAtMs = (last && logs.get(last.task)?.said.get("dbt ended")) ?? Number.NaN;
  const lastEndMs = Math.max(...vertices.map((row) => row.endedAtMs ?? 0));
  return {
    wallMs: endedAtMs - startedAtMs,
    toClaimMs: (producer?.claimedAtMs ?? Number.NaN) - startedAtMs,
    containerStartMs: fenceAtMs - (producer?.claimedAtMs ?? Number.NaN),
    toDbtMs: (log?.said.get("starting dbt") ?? Number.NaN) - fenceAtMs,
    dbtMs: tasks.reduce((total, task) => total + (task.end?.dbtMs ?? 0), 0),
    toRecordedMs: overAtMs - dbtEndedAtMs,
    toVerdictMs: endedAtMs - overAtMs,
    tailMs: endedAtMs - lastEndMs,
  };
}

export interface Spread {
  readonly p50: number | null;
  readonly p95: number | null;
  readonly max: number | null;
}

const spreadOf = (values: readonly number[]): Spread => ({
  p50: percentile(values, 0.5),
  p95: percentile(values, 0.95),
  max: percentile(values, 1),
});

export interface Lags {
  /** dbt printed a node's start → its consumer's execution began. */
  readonly begun: Spread;
  /** dbt printed the last status of a node and its tests → its consumer's execution ended. */
  readonly ended: Spread;
  readonly consumers: number;
  /** Consumers that had not ended a minute after the verdict; they are in no lag. */
  readonly stopped: number;
}

export function lagsOf({ plan, logs, histories }: MeasuredRun): Lags {
  const printed = (which: "started" | "ended", uniqueId: string, pick: (...values: number[]) => number) => {
    const times = [...logs.values()].map((log) => log[which].get(uniqueId)).filter((at) => at !== undefined);
    return times.length === 0 ? Number.NaN : pick(...times);
  };
  const begun: number[] = [];
  const ended: number[] = [];
  for (const [node, execution] of histories.consumers) {
    const tests = plan.vertices.filter((test) => TEST_TYPES.has(test.resourceType) && test.nodes.includes(node));
    const words = [node, ...tests.map((test) => test.uniqueId)].map((id) => printed("ended", id, Math.max));
    begun.push(execution.startedAtMs - printed("started", node, Math.min));
    if (!execution.stopped) ended.push(execution.endedAtMs - Math.max(...words));
  }
  const known = (values: readonly number[]) => values.filter((value) => !Number.isNaN(value));
  return {
    begun: spreadOf(known(begun)),
    ended: spreadOf(known(ended)),
    consumers: histories.consumers.size,
    stopped: [...histories.consumers.values()].filter((execution) => execution.stopped).length,
  };
}
