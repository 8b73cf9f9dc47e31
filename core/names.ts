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

/** The task and the vertex of a word's sort key ({@link keys.word}); the id may be cut. Null for any other row. */
export function partsOfWord(sortKey: string): { readonly task: number; readonly uniqueId: string } | null {
  const [, task, uniqueId] = /^TASK#(\d+)\/VERTEX#(.*)$/s.exec(sortKey) ?? [];
  return task === undefined || uniqueId === undefined ? null : { task: Number(task), uniqueId };
}

/** A project's name: letters, digits, `_` and `-`; no `#` and no `/`, which separate keys. */
export const PROJECT_NAME = /^[A-Za-z][A-Za-z0-9_-]{0,62}$/;

/** A run's id is its execution's name: letters, digits, `-`, `_`, at most 80 characters. */
export const RUN_ID = /^[A-Za-z0-9_-]{1,80}$/;

/** Under which the ledger's triggers have the run of a `runKey`; no trigger's own key begins so. */
export const workKey = (runKey: string): string => `run key ${runKey}`;

/** A commit as an object's key names it: a hash, or a tag. */
export const COMMIT = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

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

/**
 * ` --stack <name>` of a command that names a run of this execution; empty on the embedded AWS, where commands need none.
 * The run machine is named by its stack (infra/deployed-names).
 */
export function stackOption(runExecutionArn: string): string {
  const [, , , , account, , machine = ""] = runExecutionArn.split(":");
  return account === EMBEDDED_ACCOUNT || !machine.endsWith("-run")
    ? ""
    : ` --stack ${machine.slice(0, -"-run".length)}`;
}

/** The stack of a run, by its execution's ARN: the run machine is named by its stack. */
export const stackOf = (runExecutionArn: string): string => (runExecutionArn.split(":")[6] ?? "").replace(/-run$/, "");

/** No account of AWS has this number. */
const EMBEDDED_ACCOUNT = "000000000000";

/** RunTask's idempotency token, at most 64 characters: one per run and task number, so a repeated launch is one task. */
export const clientToken = (run: { project: string; runId: string }, task: number, attempt: number): string =>
  hash(JSON.stringify([run.project, run.runId, task, attempt]), 48);

/** ECS' `startedBy`, at most 128 characters. */
export const startedBy = (run: { project: string; runId: string }): string => `stepwatch/${run.runId}`.slice(0, 128);

/** Log group of a project's tasks, which events and the stack name alike. */
export const projectLogGroup = (stackName: string, project: string): string => `/stepwatch/${stackName}/${project}`;

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
  /** What containers tell of a run, apart from what is decided: the only partitions that a task's role may write. */
  buildPartition: (project: string, runId: string) => `BUILD#${project}#${runId}`,
  /** A task's own word on a vertex. */
  word: (task: number, uniqueId: string) =>
    shortened(`${keys.task(task)}/${keys.vertexPrefix}${uniqueId}`, AWS_LIMITS.sortKeyBytes),
  projectPartition: (project: string) => `PROJECT#${project}`,
  lock: (lockKey: string) => `${keys.lockPrefix}${shortened(lockKey, LOCK_KEY_BYTES)}`,
  lockPrefix: "LOCK#",
  queuesPrefix: "QUEUE#",
  queue: (lockKey: string, atMs: number, runId: string) =>
    `${keys.queuePrefix(lockKey)}${String(atMs).padStart(15, "0")}#${runId}`,
  queuePrefix: (lockKey: string) => `QUEUE#${shortened(lockKey, LOCK_KEY_BYTES)}#`,
  runIndex: (startedAtMs: number, runId: string) => `RUN#${String(startedAtMs).padStart(15, "0")}#${runId}`,
  runIndexPrefix: "RUN#",
  trigger: (dedupeKey: string) => shortened(`TRIGGER#${dedupeKey}`, AWS_LIMITS.sortKeyBytes),
  pause: "PAUSE",
  image: "IMAGE",
  schedule: (job?: string) => (job === undefined ? "SCHEDULE" : `SCHEDULE#${job}`),
  latest: (kind: string) => `LATEST#${kind}`,
  /** What people did; ordered by time, two of one millisecond apart by what they are. */
  hand: (atMs: number, action: string, by: string) =>
    shortened(`${keys.handPrefix}${String(atMs).padStart(15, "0")}#${action}#${by}`, AWS_LIMITS.sortKeyBytes),
  handPrefix: "HAND#",
  /** What a channel has last been told of one thing that is wrong. */
  alert: (lockKey: string, channel: string, about: string) =>
    shortened(`${keys.alertPrefix(lockKey, channel)}${about}`, AWS_LIMITS.sortKeyBytes),
  alertPrefix: (lockKey: string, channel: string) => `ALERT#${shortened(lockKey, LOCK_KEY_BYTES)}#${channel}#`,
} as const;

/** Keys of the artefact bucket, all below `runs/<project>/<runId>/`. */
export const artefactKeys = {
  prefix: (project: string, runId: string) => `runs/${project}/${runId}/`,
  /** By task, since a second producer or a plan task may make a plan too: only one of them is the run's, and none is overwritten. */
  plan: (project: string, runId: string, task: number) => `runs/${project}/${runId}/tasks/${task}/plan.json`,
  /** Apart from what the task writes: check-run claims by this, and no container must be able to change it. */
  set: (project: string, runId: string, task: number, setHash: string) =>
    `runs/${project}/${runId}/sets/${task}-${setHash}.json`,
  task: (project: string, runId: string, task: number, file: string) =>
    `runs/${project}/${runId}/tasks/${task}/${file}`,
  /** One for the whole run: what the first task parsed serves all that follow. */
  partialParse: (project: string, runId: string) => `runs/${project}/${runId}/partial_parse.msgpack`,
  /** What the project's builds tell the next one, kept by a function at a run's end; no run's id holds a dot. */
  silence: (project: string) => `runs/${project}/silence.json`,
  summary: (project: string, runId: string, round: number) => `runs/${project}/${runId}/summary-${round}.json`,
  /** A run's own artefacts, put together when it has its verdict: `run_results.json`, `manifest.json`, `sources.json`. */
  run: (project: string, runId: string, file: string) => `runs/${project}/${runId}/${file}`,
  /** The state that all tasks of a run compare with: which files, and where the first task that needed it has put them. */
  state: (project: string, runId: string, option: "state" | "deferState") =>
    `runs/${project}/${runId}/state/${option}.json`,
  stateFile: (project: string, runId: string, task: number, option: "state" | "deferState", file: string) =>
    `runs/${project}/${runId}/state/${task}/${option}/${file}`,
  /** Beside the runs: artefacts of the newest whole run, and of the newest of them that is green (core/contracts/latest). */
  latest: (kind: "latest" | "latest-green", project: string, file: string) => `${kind}/${project}/${file}`,
  /** The manifest of a commit that a run has named. */
  commit: (project: string, commit: string) => `commits/${project}/${commit}/manifest.json`,
} as const;

/** Whether an object is a container's, which is written once: no later run, task or attempt replaces it. */
export const isWrittenOnce = (key: string): boolean =>
  /^runs\/[^/]+\/[^/]+\/(tasks\/|state\/|partial_parse\.msgpack$)/.test(key);

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

/** The lock of a job's runs that build a schema of their own in that target (docs/adr/0053). No target's name is a JSON list. */
export const schemaLockKey = (targetLock: string, schema: string): string => JSON.stringify([targetLock, schema]);

/** A lock that no other run asks for: of a job whose runs wait for nobody. */
export const ownLockKey = (runId: string): string => JSON.stringify(["", runId]);

/** Of what a run builds: see core/contracts/run-input. */
export const workHash = (work: string): string => hash(work, 32);
