import type { RunKey } from "#clients/ledger.ts";
import type { Launch, LaunchAnswer, TaskDescription, Tasks } from "#clients/tasks.ts";
import { type ContainerExit, type ContainerWorld, SimulatedContainer } from "./simulated-container.ts";

/** Of one hundred launches: how many are refused, how many never start, how many run again under a token that ECS has forgotten. */
export interface LaunchTroubles {
  readonly refusedPercent: number;
  readonly neverStartedPercent: number;
  readonly forgottenTokenPercent: number;
  /** Of one hundred containers: how many are told to end within a minute by nobody of ours, as Spot does it. */
  readonly takenPercent?: number;
  /** Together, so that a policy's bound is not reached by chance. */
  readonly most: number;
}

interface EcsTask {
  readonly launchedAtMs: number;
  /** DescribeTasks says MISSING until then: its answers are eventually consistent. */
  readonly knownAtMs: number;
  container: SimulatedContainer | null;
  began: boolean;
  ended: (ContainerExit & { readonly atMs: number; readonly neverStarted: boolean }) | null;
}

/** ECS: idempotent by client token, eventually consistent, at times out of capacity; its containers are real actors. */
export class SimulatedEcs implements Tasks {
  readonly #world: ContainerWorld;
  readonly #troubles: LaunchTroubles;
  readonly #tasks = new Map<string, EcsTask>();
  readonly #tokens = new Map<string, string>();
  #troubled = 0;

  constructor(world: ContainerWorld, troubles: LaunchTroubles) {
    this.#world = world;
    this.#troubles = troubles;
  }

  async launch(launch: Launch): Promise<LaunchAnswer> {
    const known = this.#tokens.get(launch.clientToken);
    const { random } = this.#world;
    if (known !== undefined && !random.chance(this.#troubles.forgottenTokenPercent / 100)) return { taskArn: known };
    const free = this.#troubled < this.#troubles.most;
    if (free && random.chance(this.#troubles.refusedPercent / 100)) {
      this.#troubled += 1;
      return { refused: "RESOURCE:CPU" };
    }
    const taskArn = `arn:aws:ecs:us-east-1:000000000000:task/stepwatch/${this.#tasks.size + 1}`;
    this.#tokens.set(launch.clientToken, taskArn);
    this.#begin(launch, taskArn, free && random.chance(this.#troubles.neverStartedPercent / 100));
    return { taskArn };
  }

  async describe(
    _cluster: string,
    _containerName: string,
    taskArns: readonly string[],
  ): Promise<Map<string, TaskDescription>> {
    return new Map(taskArns.map((taskArn) => [taskArn, this.#describe(this.#tasks.get(taskArn))]));
  }

  async stop(_cluster: string, taskArn: string): Promise<void> {
    const task = this.#tasks.get(taskArn);
    if (!task || task.ended) return;
    task.container?.stop();
    if (!task.began)
      task.ended = { exitCode: 143, outOfMemory: false, atMs: this.#world.schedule.nowMs, neverStarted: true };
  }

  #begin(launch: Launch, taskArn: string, neverStarts: boolean): void {
    const { schedule, random } = this.#world;
    const task: EcsTask = {
      launchedAtMs: schedule.nowMs,
      knownAtMs: schedule.nowMs + random.below(4_000),
      container: null,
      began: false,
      ended: null,
    };
    this.#tasks.set(taskArn, task);
    this.#live(launch, taskArn, task, neverStarts).catch(this.#world.onError);
  }

  async #live(launch: Launch, taskArn: string, task: EcsTask, neverStarts: boolean): Promise<void> {
    const { schedule, random } = this.#world;
    await schedule.pause(1_000 + random.below(20_000));
    if (task.ended) return;
    if (neverStarts) {
      this.#troubled += 1;
      task.ended = { exitCode: 1, outOfMemory: false, atMs: schedule.nowMs, neverStarted: true };
      return;
    }
    task.began = true;
    task.container = new SimulatedContainer(
      this.#world,
      keyOf(launch),
      Number(launch.environment.STEPWATCH_TASK),
      taskArn,
    );
    this.#mayBeTaken(task.container).catch(this.#world.onError);
    const exit = await task.container.run();
    task.ended = { ...exit, atMs: schedule.nowMs, neverStarted: false };
  }

  /** Nothing is drawn where nothing is taken: the story of a seed stays what it was. */
  async #mayBeTaken(container: SimulatedContainer): Promise<void> {
    const { schedule, random } = this.#world;
    const { takenPercent = 0, most } = this.#troubles;
    if (takenPercent === 0 || this.#troubled >= most || !random.chance(takenPercent / 100)) return;
    this.#troubled += 1;
    await schedule.pause(random.below(60_000));
    container.stop();
  }

  #describe(task: EcsTask | undefined): TaskDescription {
    const { nowMs } = this.#world.schedule;
    if (!task || nowMs < task.knownAtMs) return { state: "missing" };
    if (!task.ended) return { state: task.began ? "running" : "starting" };
    const { exitCode, outOfMemory, atMs, neverStarted } = task.ended;
    const code = neverStarted ? null : exitCode;
    return {
      state: "stopped",
      stopCode: "EssentialContainerExited",
      stoppedReason: "it ended",
      stoppedAtMs: atMs,
      exitCode: code,
      outOfMemory,
      neverStarted,
    };
  }
}

const keyOf = (launch: Launch): RunKey => ({
  project: launch.tags["stepwatch:project"]!,
  runId: launch.environment.STEPWATCH_RUN_ID!,
});
