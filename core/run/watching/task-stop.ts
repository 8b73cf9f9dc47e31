/** What ECS says of a task. `missing` just after the launch means: wait. */
export type TaskDescription =
  | { readonly state: "starting" | "running" }
  | { readonly state: "missing" }
  | ({ readonly state: "stopped" } & StoppedTask);

/** How a task ended, by ECS' word on the task and on our container. */
export interface StoppedTask {
  readonly stopCode: string | null;
  readonly stoppedReason: string | null;
  readonly stoppedAtMs: number | null;
  /** Of our container; null if ECS names none. 137 is SIGKILL, 143 SIGTERM. */
  readonly exitCode: number | null;
  readonly outOfMemory: boolean;
  /** The container never ran: image, secret, capacity. */
  readonly neverStarted: boolean;
}

/** The parts of one task of DescribeTasks that decide. */
export interface DescribedTask {
  readonly lastStatus?: string | undefined;
  readonly stopCode?: string | undefined;
  readonly stoppedReason?: string | undefined;
  readonly startedAt?: Date | undefined;
  readonly stoppedAt?: Date | undefined;
  readonly containers?: readonly DescribedContainer[] | undefined;
}

export interface DescribedContainer {
  readonly name?: string | undefined;
  readonly exitCode?: number | undefined;
  readonly reason?: string | undefined;
}

const BEFORE_RUNNING: ReadonlySet<string> = new Set(["PROVISIONING", "PENDING", "ACTIVATING"]);

/** ECS' word for the kernel's kill: `OutOfMemoryError: Container killed due to memory usage`. */
const OUT_OF_MEMORY = /OutOfMemory/;

/** A container whose reason begins so never ran, although ECS may invent an exit code for it. */
const NEVER_RAN = /^(Cannot\w*Container\w*|Cannot\w*Volume\w*|ResourceInitializationError|ContainerRuntimeError)/;

/**
 * Reads a described task by the name of our container: a failing sidecar (log router, security agent) may stop the
 * task, but its exit code and its memory are not dbt's. Only STOPPED is an end: in STOPPING, DEACTIVATING and
 * DEPROVISIONING a container may still write.
 */
export function taskStop(task: DescribedTask, containerName: string): TaskDescription {
  if (task.lastStatus !== "STOPPED")
    return { state: BEFORE_RUNNING.has(task.lastStatus ?? "PENDING") ? "starting" : "running" };
  const container = task.containers?.find(({ name }) => name === containerName);
  return {
    state: "stopped",
    stopCode: task.stopCode ?? null,
    stoppedReason: reasons(task, container),
    stoppedAtMs: task.stoppedAt?.getTime() ?? null,
    exitCode: container?.exitCode ?? null,
    outOfMemory: isOutOfMemory(task, container),
    neverStarted: neverRan(task, container),
  };
}

/** The task's reason and, where it says more, the container's. */
function reasons(task: DescribedTask, container: DescribedContainer | undefined): string | null {
  const said = [task.stoppedReason, container?.reason].filter((reason) => reason !== undefined && reason !== "");
  return said.length === 0 ? null : [...new Set(said)].join("; ");
}

/** What ECS says of every task whose only container ended: nothing that its exit code does not say better. */
const SAYS_NOTHING = /essential container in task exited/i;

/** What the kernel's and ECS' exit codes mean. 128 + the number of a signal. */
const SIGNAL_OF_CODE: Readonly<Record<number, string>> = {
  137: "killed (SIGKILL, exit code 137)",
  143: "ended by SIGTERM (exit code 143)",
  139: "crashed (SIGSEGV, exit code 139)",
  134: "crashed (SIGABRT, exit code 134)",
};

/** How a container ended that could not say it itself, for people: `its container was killed (SIGKILL, exit code 137)`. */
export function stopWords(stop: Pick<StoppedTask, "stoppedReason" | "exitCode" | "outOfMemory">): string {
  if (stop.outOfMemory) return "its container ran out of memory";
  const said = (stop.stoppedReason ?? "")
    .split("; ")
    .filter((part) => part !== "" && !SAYS_NOTHING.test(part))
    .join("; ")
    .replace(/\.$/, "");
  if (stop.exitCode === null) return said || "its container ended without a word";
  const code = SIGNAL_OF_CODE[stop.exitCode];
  const ended =
    code === undefined ? `ended with exit code ${stop.exitCode}` : `was ${code}`.replace("was crashed", "crashed");
  return said === "" ? `its container ${ended}` : `its container ${ended}: ${said}`;
}

/** The container's own word, or the task's if our container died of SIGKILL and no other one claims the word. */
function isOutOfMemory(task: DescribedTask, container: DescribedContainer | undefined): boolean {
  if (OUT_OF_MEMORY.test(container?.reason ?? "")) return true;
  const ofAnother = task.containers?.some((other) => other !== container && OUT_OF_MEMORY.test(other.reason ?? ""));
  return container?.exitCode === 137 && OUT_OF_MEMORY.test(task.stoppedReason ?? "") && ofAnother !== true;
}

/** A container that ran has an exit code, or its task has a start: a host that died leaves only the latter. */
function neverRan(task: DescribedTask, container: DescribedContainer | undefined): boolean {
  if (NEVER_RAN.test(container?.reason ?? "")) return true;
  if (container?.exitCode !== undefined) return false;
  return task.stopCode === "TaskFailedToStart" || task.startedAt === undefined;
}
