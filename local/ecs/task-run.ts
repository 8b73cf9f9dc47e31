import { setTimeout } from "node:timers/promises";
import {
  type LaunchContext,
  logStreamOf,
  type PreparedContainer,
  prepareContainer,
  startContainer,
} from "./container-launch.ts";
import type { ContainerProcess } from "./container-process.ts";
import { TaskStartError } from "./ecs-errors.ts";
import { nowSeconds, type StopCode, type TaskRecord, type TaskStatus } from "./task-record.ts";

const OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage";

/** Takes one task from PROVISIONING to STOPPED, and writes what happens into its record. */
export class TaskRun {
  readonly task: TaskRecord;
  /** Resolves when the task is STOPPED. */
  readonly ended: Promise<void>;
  readonly #context: LaunchContext;
  readonly #processes = new Map<string, ContainerProcess>();
  readonly #stopAsked = Promise.withResolvers<void>();
  #graceSeconds = Number.POSITIVE_INFINITY;

  constructor(task: TaskRecord, context: LaunchContext, startDelayMs: number) {
    this.task = task;
    this.#context = context;
    this.ended = this.#live(startDelayMs);
  }

  /**
   * Ends the task as StopTask does, without waiting for it. Asked again, nothing changes.
   *
   * @param graceSeconds upper bound of the containers' own stop timeouts
   */
  stop(reason: string, graceSeconds = Number.POSITIVE_INFINITY): void {
    this.#graceSeconds = Math.min(this.#graceSeconds, graceSeconds);
    if (this.task.desiredStatus === "RUNNING") this.#beginStop("UserInitiated", reason);
    this.#stopProcesses();
  }

  /** A Spot interruption: SIGTERM, and SIGKILL after the containers' stop timeouts. */
  takeAway(): void {
    if (this.task.desiredStatus === "RUNNING") this.#beginStop("SpotInterruption", "Your Spot Task was interrupted.");
    this.#stopProcesses();
  }

  /** What the kernel does to a container that takes too much memory. */
  killOutOfMemory(): void {
    for (const [name, container] of this.#processes) {
      this.#containerRecord(name).reason = OUT_OF_MEMORY;
      container.kill();
    }
  }

  async #live(startDelayMs: number): Promise<void> {
    try {
      if (startDelayMs > 0) await Promise.race([setTimeout(startDelayMs), this.#stopAsked.promise]);
      if (await this.#start()) await this.#waitForContainers();
    } catch (error) {
      // Anything but a TaskStartError is a defect of this program; the task ends with its words rather than never.
      const reason = error instanceof TaskStartError ? error.message : `CannotStartContainerError: ${String(error)}`;
      if (!this.#isStopping()) this.#beginStop("TaskFailedToStart", reason);
      this.#stopProcesses();
      await this.#waitForContainers();
    }
    await this.#finish();
  }

  /** @returns false when the task was stopped before anything ran */
  async #start(): Promise<boolean> {
    if (this.#isStopping()) return false;
    this.#become("PENDING");
    this.task.pullStartedAt = nowSeconds();
    const prepared: PreparedContainer[] = [];
    for (const definition of this.task.definition.containers) {
      prepared.push(await this.#withReason(definition.name, prepareContainer(definition, this.#context)));
    }
    this.task.pullStoppedAt = nowSeconds();
    for (const container of prepared) {
      if (this.#isStopping()) return true;
      await this.#startOne(container);
    }
    if (this.#isStopping()) return true;
    this.task.startedAt = nowSeconds();
    this.#become("RUNNING");
    return true;
  }

  async #startOne(prepared: PreparedContainer): Promise<void> {
    const record = this.#containerRecord(prepared.definition.name);
    const container = await this.#withReason(record.name, startContainer(prepared, this.task, this.#context));
    this.#processes.set(record.name, container);
    record.runtimeId = String(container.pid);
    record.lastStatus = "RUNNING";
    void container.exited.then((exitCode) => {
      record.exitCode = exitCode;
      record.lastStatus = "STOPPED";
      this.task.version += 1;
      if (prepared.definition.essential && !this.#isStopping()) {
        this.#beginStop("EssentialContainerExited", "Essential container in task exited");
        this.#stopProcesses();
      }
    });
    // Stopped while the process was being made: it is not in the list that the stop has gone through.
    if (this.#isStopping()) this.#stopProcesses();
  }

  async #waitForContainers(): Promise<void> {
    await Promise.all([...this.#processes.values()].map((container) => container.exited));
  }

  async #finish(): Promise<void> {
    // All containers of a task without an essential one may have ended by themselves.
    if (!this.#isStopping()) this.#beginStop("EssentialContainerExited", "Essential container in task exited");
    this.task.executionStoppedAt = nowSeconds();
    this.#become("DEPROVISIONING");
    await Promise.all(
      this.task.definition.containers.map(async ({ log, name }) => {
        if (log !== undefined) await this.#context.logs.close(log.group, logStreamOf(log, name, this.task.id));
      }),
    );
    for (const container of this.task.containers) container.lastStatus = "STOPPED";
    this.task.stoppedAt = nowSeconds();
    this.#become("STOPPED");
  }

  #beginStop(code: StopCode, reason: string): void {
    this.task.desiredStatus = "STOPPED";
    this.task.stopCode = code;
    this.task.stoppedReason = reason;
    this.task.stoppingAt = nowSeconds();
    this.task.version += 1;
    this.#stopAsked.resolve();
  }

  /** ECS shows on the container, too, why it could not be started. */
  async #withReason<T>(containerName: string, step: Promise<T>): Promise<T> {
    try {
      return await step;
    } catch (error) {
      this.#containerRecord(containerName).reason = (error as Error).message;
      throw error;
    }
  }

  #stopProcesses(): void {
    for (const container of this.#processes.values()) void container.stop(this.#graceSeconds);
  }

  #isStopping(): boolean {
    return this.task.desiredStatus === "STOPPED";
  }

  #become(status: TaskStatus): void {
    this.task.lastStatus = status;
    this.task.version += 1;
  }

  #containerRecord(name: string): TaskRecord["containers"][number] {
    const record = this.task.containers.find((container) => container.name === name);
    if (record === undefined) throw new Error(`Task ${this.task.id} has no container "${name}".`);
    return record;
  }
}
