import { readFileSync } from "node:fs";
import type { TaskRow } from "#core/contracts/ledger.ts";
import { readLine } from "#core/dbt/log-line.ts";
import { taskLogPath } from "#local/ecs/container-launch.ts";

/** What a container printed, as far as a benchmark wants to know: when dbt said what, when the supervisor did what. */
export interface TaskLog {
  /** When dbt printed a vertex' start, by unique_id. */
  readonly started: ReadonlyMap<string, number>;
  /** When dbt printed a vertex' status, by unique_id. */
  readonly ended: ReadonlyMap<string, number>;
  /** When the supervisor said something first, by its words. */
  readonly said: ReadonlyMap<string, number>;
  readonly lines: number;
  readonly bytes: number;
}

export function readTaskLog(stateDir: string, task: TaskRow): TaskLog {
  const started = new Map<string, number>();
  const ended = new Map<string, number>();
  const said = new Map<string, number>();
  const text = readFileSync(taskLogPath(stateDir, taskId(task)), "utf8");
  const lines = text.split("\n");
  for (const line of lines) {
    const event = readLine(line);
    if (event?.kind === "started" && event.atMs !== null && !started.has(event.vertex.uniqueId))
      started.set(event.vertex.uniqueId, event.atMs);
    else if (event?.kind === "ended" && event.atMs !== null && !ended.has(event.vertex.uniqueId))
      ended.set(event.vertex.uniqueId, event.atMs);
    else if (line.startsWith('{"stepwatch"')) addSaid(said, line);
  }
  return { started, ended, said, lines: lines.length, bytes: Buffer.byteLength(text) };
}

function addSaid(said: Map<string, number>, line: string): void {
  const { stepwatch } = JSON.parse(line) as { stepwatch: { event: string; at?: string } };
  if (stepwatch.at !== undefined && !said.has(stepwatch.event)) said.set(stepwatch.event, Date.parse(stepwatch.at));
}

const taskId = ({ fencedBy, taskArn }: TaskRow): string => (fencedBy ?? taskArn ?? "").split("/").at(-1) ?? "";
