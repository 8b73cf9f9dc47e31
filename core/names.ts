import { createHash } from "node:crypto";
import { AWS_LIMITS, bytesOf } from "./aws-limits.ts";

/**
 * Every name and key that crosses a process, made in one place. Parts are joined by characters that the parts can not
 * hold, or closed by a hash, so that two runs, projects or nodes never share a name (behaviour D9).
 */

/**
 * A text that fits, or its beginning and a hash of all of it: unique as the text is, and never a valid id itself, which
 * holds no `#`. Cut by characters, each of at most four bytes, so that none is cut in two.
 */
function shortened(text: string, most: number): string {
  if (bytesOf(text) <= most) return text;
  const tail = `#${hash(text, 64)}`;
  return `${[...text].slice(0, Math.floor((most - tail.length) / 4)).join("")}${tail}`;
}

/** Of a lock's key within the sort keys of lock and queue, which hold a time and a run id too. Bytes. */
const LOCK_KEY_BYTES = 512;

/** Whether a row's key holds the whole id, so that it can be read from there. */
export const isWholeId = (uniqueId: string): boolean => keys.vertex(uniqueId) === `${keys.vertexPrefix}${uniqueId}`;

/** A project's name: letters, digits, `_` and `-`; no `#` and no `/`, which separate keys. */
export const PROJECT_NAME = /^[A-Za-z][A-Za-z0-9_-]{0,62}$/;

/** A run's id is its execution's name: letters, digits, `-`, `_`, at most 80 characters. */
export const RUN_ID = /^[A-Za-z0-9_-]{1,80}$/;

/** Step Functions refuses longer names of executions and state machines. */
export const MAX_EXECUTION_NAME = 80;

const hash = (text: string, length: number) => createHash("sha256").update(text).digest("hex").slice(0, length);

/** Characters outside letters, digits, `-` and `_` switch off CloudWatch logging of an execution: they become `-`. */
const slug = (text: string) => text.replace(/[^A-Za-z0-9_-]/g, "-");

/** A run id made here: sortable by time, unique by eight random hexadecimal digits. */
export function newRunId(nowMs: number, random: string): string {
  const time = new Date(nowMs).toISOString().replace(/[-:]/g, "").replace("T", "-").slice(0, 15);
  return `${time}-${random.slice(0, 8)}`;
}

/**
 * Name of a node's consumer execution: node first, for people, then a hash of run, round and unique_id, which alone
 * makes it unique. The node's part is cut, the hash never.
 */
export function consumerName(
  run: { project: string; runId: string; round: number },
  uniqueId: string,
  part: "node" | "tests" = "node",
): string {
  const identity = [run.project, run.runId, run.round, uniqueId, ...(part === "node" ? [] : [part])];
  const tail = `${part === "node" ? "" : `-${part}`}${run.round === 1 ? "" : `-r${run.round}`}-${hash(JSON.stringify(identity), 12)}`;
  return `${slug(uniqueId).slice(0, MAX_EXECUTION_NAME - tail.length)}${tail}`;
}

/** ARN of an execution by its machine's ARN and its name. */
export function executionArn(stateMachineArn: string, name: string): string {
  return `${stateMachineArn.replace(":stateMachine:", ":execution:")}:${name}`;
}

/** RunTask's idempotency token, at most 64 characters: one per run and task number, so a repeated launch is one task. */
export const clientToken = (run: { project: string; runId: string }, task: number, attempt: number): string =>
  hash(JSON.stringify([run.project, run.runId, task, attempt]), 48);

/** ECS' `startedBy`, at most 128 characters. */
export const startedBy = (run: { project: string; runId: string }): string => `stepwatch/${run.runId}`.slice(0, 128);

/** An event's id: what a person's rule drops a second delivery by. */
export const eventId = (run: { project: string; runId: string; round: number }, about: string): string =>
  hash(JSON.stringify([run.project, run.runId, run.round, about]), 32);

/** Keys of the ledger. */
export const keys = {
  runPartition: (project: string, runId: string) => `RUN#${project}#${runId}`,
  run: "RUN",
  task: (task: number) => `TASK#${String(task).padStart(6, "0")}`,
  taskPrefix: "TASK#",
  vertex: (uniqueId: string) => shortened(`VERTEX#${uniqueId}`, AWS_LIMITS.sortKeyBytes),
  vertexPrefix: "VERTEX#",
  projectPartition: (project: string) => `PROJECT#${project}`,
  lock: (lockKey: string) => `LOCK#${shortened(lockKey, LOCK_KEY_BYTES)}`,
  queue: (lockKey: string, atMs: number, runId: string) =>
    `${keys.queuePrefix(lockKey)}${String(atMs).padStart(15, "0")}#${runId}`,
  queuePrefix: (lockKey: string) => `QUEUE#${shortened(lockKey, LOCK_KEY_BYTES)}#`,
  runIndex: (startedAtMs: number, runId: string) => `RUN#${String(startedAtMs).padStart(15, "0")}#${runId}`,
  runIndexPrefix: "RUN#",
} as const;

/** Keys of the artefact bucket, all below `runs/<project>/<runId>/`. */
export const artefactKeys = {
  prefix: (project: string, runId: string) => `runs/${project}/${runId}/`,
  /** By task, since a second producer or a plan task may make a plan too: only one of them is the run's, and none is overwritten. */
  plan: (project: string, runId: string, task: number) => `runs/${project}/${runId}/tasks/${task}/plan.json`,
  set: (project: string, runId: string, task: number, setHash: string) =>
    `runs/${project}/${runId}/tasks/${task}/set-${setHash}.json`,
  task: (project: string, runId: string, task: number, file: string) =>
    `runs/${project}/${runId}/tasks/${task}/${file}`,
  /** One for the whole run: what the first task parsed serves all that follow. */
  partialParse: (project: string, runId: string) => `runs/${project}/${runId}/partial_parse.msgpack`,
  summary: (project: string, runId: string, round: number) => `runs/${project}/${runId}/summary-${round}.json`,
} as const;

/** Hash of a set of vertices, order-free: two attempts at one claim write the same object. */
export const setHash = (uniqueIds: readonly string[]): string => hash([...uniqueIds].sort().join("\n"), 16);

/**
 * The lock that a run takes: one live run per project and target. Where it is not known what dbt builds when nobody
 * names a target, any two runs of the project may build the same one: then all of them share a lock. So do all runs
 * that name one other profile than the project's, whose default nobody has read.
 */
export function lockKey(target: string | undefined, defaultTarget: string | null, otherProfile?: string): string {
  if (defaultTarget === null) return "default";
  return otherProfile === undefined ? (target ?? defaultTarget) : `profile ${otherProfile}`;
}
