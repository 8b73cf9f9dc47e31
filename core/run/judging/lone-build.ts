import type { BuildEnd, TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import type { BuildLog } from "#core/dbt/build-log.ts";
import type { ToldEnd } from "#core/dbt/told-end.ts";
import { vertexWrite } from "#core/dbt/vertex-write.ts";

/** The number of the one task that a recorded build has. */
const TASK = 1;

/** What the ledger would hold of a run whose only task is a build. */
export interface LoneBuild {
  readonly tasks: readonly TaskRow[];
  readonly rows: readonly VertexRow[];
}

/**
 * The rows that a build would leave in the ledger as a run's producer, so that a recorded build is judged by what judges
 * a live one. `log` is closed; what no log tells of an end (its exit code, our own stop) is left out.
 */
export function loneBuild(log: BuildLog, told: ToldEnd): LoneBuild {
  return { tasks: [taskOf(log, told)], rows: [...log.vertices.values()].map((vertex) => rowOf(vertexWrite(vertex))) };
}

function rowOf(write: ReturnType<typeof vertexWrite>): VertexRow {
  const row = {
    ...write,
    ownerTask: TASK,
    epoch: 0,
    tryTasks: write.evidence ? [TASK] : [],
    lostTasks: [],
    statusTask: TASK,
  };
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== undefined)) as unknown as VertexRow;
}

function taskOf(log: BuildLog, told: ToldEnd): TaskRow {
  const ends = [...log.vertices.values()].map((vertex) => vertex.endedAtMs ?? 0);
  const endedAtMs = ends.reduce((last, ms) => Math.max(last, ms), 0);
  const unknown = { exitCode: null, signal: null, retryableLaunch: false, ranUnseen: 0, dbtMs: 0 };
  const end: BuildEnd = { ...unknown, ...told, endedAtMs, filled: [], contradictions: [], strays: [] };
  return {
    task: TASK,
    kind: "producer",
    round: 1,
    reason: "A recorded build.",
    setSample: [],
    size: "producer",
    state: "over",
    claimedAtMs: 0,
    clientToken: "",
    launchFailures: 0,
    sequence: log.vertices.size,
    end,
  };
}
