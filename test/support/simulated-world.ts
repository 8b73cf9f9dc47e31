import type { Executions } from "#clients/executions.ts";
import type { Ledger } from "#clients/ledger.ts";
import { planReader } from "#clients/plan-reader.ts";
import type { TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import type { ConsumerReference, RunReference } from "#core/contracts/payloads.ts";
import type { ProjectSettings } from "#core/contracts/settings.ts";
import { FatalError, RetryableError } from "#core/errors.ts";
import { executionArn } from "#core/names.ts";
import { checkRun } from "../../functions/check-run/check-run.ts";
import { settleRun } from "../../functions/settle-run/settle-run.ts";
import { startRun } from "../../functions/start-run/start-run.ts";
import { watchNode } from "../../functions/watch-node/watch-node.ts";
import { FakeArtefacts, FakeEvents } from "./fake-clients.ts";
import { memoryLedger } from "./memory-ledger.ts";
import { exampleSettings } from "./projects.ts";
import { SimulatedWarehouse } from "./simulated-dbt.ts";
import { type LaunchTroubles, SimulatedEcs } from "./simulated-ecs.ts";
import type { SimulatedProject } from "./simulated-project.ts";
import { Random } from "./simulated-random.ts";
import { Crash, type Faults, faulty, NO_FAULTS, Schedule } from "./simulated-schedule.ts";

export interface WorldOptions {
  readonly seed: number;
  readonly project: SimulatedProject;
  /** How calls of the functions go wrong. */
  readonly faults?: Faults;
  readonly troubles?: LaunchTroubles;
  /** Share of check-run turns that go on while the next one has begun already. */
  readonly lingering?: number;
}

const RUN_MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:run";
const CONSUMER_MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:consumer";
const NO_TROUBLES: LaunchTroubles = { refusedPercent: 0, neverStartedPercent: 0, forgottenTokenPercent: 0, most: 0 };

export interface RunEnd {
  readonly state: "green" | "red" | "skipped" | "refused";
  readonly words: string;
}

interface Consumer {
  readonly reference: ConsumerReference;
  outcome: string | null;
  stopped: boolean;
}

/** The four functions over a ledger in memory, a simulated ECS and machines that call them turn by turn. */
export class SimulatedWorld {
  readonly ledger: Ledger = memoryLedger();
  readonly artefacts = new FakeArtefacts();
  readonly events = new FakeEvents();
  readonly schedule: Schedule;
  readonly warehouse: SimulatedWarehouse;
  readonly ends = new Map<string, RunEnd>();
  readonly consumers = new Map<string, Consumer>();
  readonly errors: unknown[] = [];
  readonly calls = { calls: 0, writes: 0, crashed: 0 };
  /** Tasks whose container passed the fence, and how often. */
  readonly fences = new Map<string, number>();
  readonly random: Random;
  readonly #options: WorldOptions;
  readonly #ecs: SimulatedEcs;
  readonly #settings: ProjectSettings;
  readonly #building = new Set<string>();
  readonly #running = new Set<string>();

  constructor(options: WorldOptions) {
    this.#options = options;
    this.warehouse = new SimulatedWarehouse(options.project.policy.onTestFailure === "node");
    this.random = new Random(options.seed);
    this.schedule = new Schedule(this.random);
    const { project, troubles = NO_TROUBLES } = options;
    const { warehouse, schedule, random, ledger, artefacts } = this;
    const onError = (error: unknown) => void this.errors.push(error);
    const onFence = (key: { runId: string }, task: number) => this.#passed(key.runId, task);
    const onExit = (key: { runId: string }, task: number) => void this.#building.delete(`${key.runId}/${task}`);
    this.#ecs = new SimulatedEcs(
      { project, warehouse, schedule, random, ledger, artefacts, onFence, onExit, onError },
      troubles,
    );
    const settings = exampleSettings("shop", project.policy);
    this.#settings = { ...settings, executionQueue: { ...settings.executionQueue, maxTasks: project.maxTasks } };
  }

  /** One execution of the run machine; returns when {@link settled} has let everything end. */
  begin(runId: string, delayMs = 0): void {
    this.#running.add(runId);
    this.#machine(runId, delayMs)
      .catch((error) => this.errors.push(error))
      .finally(() => this.#running.delete(runId));
  }

  /** Something that a person does, some time from now. */
  later(delayMs: number, act: () => Promise<unknown>): void {
    this.schedule
      .pause(delayMs)
      .then(act)
      .catch((error) => this.errors.push(error));
  }

  async settled(): Promise<void> {
    await this.schedule.run();
  }

  async rows(runId: string): Promise<{ tasks: TaskRow[]; vertices: VertexRow[] }> {
    const key = { project: "shop", runId };
    return { tasks: await this.ledger.readTasks(key), vertices: await this.ledger.readVertices(key) };
  }

  #passed(runId: string, task: number): void {
    const name = `${runId}/${task}`;
    this.fences.set(name, (this.fences.get(name) ?? 0) + 1);
    const other = [...this.#building].find((one) => !one.startsWith(`${runId}/`));
    if (other) this.warehouse.violations.push(`${name} builds while ${other} of another run does`);
    this.#building.add(name);
  }

  async #machine(runId: string, delayMs: number): Promise<void> {
    await this.schedule.pause(delayMs);
    const execution = { arn: executionArn(RUN_MACHINE, runId), name: runId, startTime: "" };
    const payload = { taskToken: "start", input: { project: "shop" }, execution, projects: { shop: this.#settings } };
    const reference = await this.#state(runId, 5_000, (deps) => startRun(payload, deps));
    if (!reference) return;
    await this.#checks(runId, reference);
    const output = await this.#state(runId, 5_000, (deps) => settleRun(reference, deps));
    if (output) this.ends.set(runId, { state: output.state, words: output.verdict });
  }

  async #checks(runId: string, reference: RunReference): Promise<void> {
    const { lingering = 0 } = this.#options;
    const seen = new Map<string, string>();
    for (;;) {
      const turn = this.#state(runId, 0, async (deps) => ({ said: await checkRun(reference, { ...deps, seen }) }));
      if (this.random.chance(lingering)) turn.catch((error) => this.errors.push(error));
      else if ((await turn)?.said === "settle") return;
      await this.schedule.pause(this.random.below(5_000));
    }
  }

  /** One state: called again after a crash, a transient error or (null) a turn; a fatal error ends the run. */
  async #state<T>(runId: string, turnMs: number, call: (deps: FunctionDeps) => Promise<T | null>): Promise<T | null> {
    for (;;) {
      try {
        const answer = await call(this.#deps());
        if (answer !== null) return answer;
        await this.schedule.pause(turnMs);
      } catch (error) {
        if (error instanceof FatalError) {
          this.ends.set(runId, { state: error.name === "RunFailed" ? "red" : "refused", words: error.message });
          return null;
        }
        if (!(error instanceof Crash) && !(error instanceof RetryableError)) throw error;
        await this.schedule.pause(1_000);
      }
    }
  }

  #deps(): FunctionDeps {
    const { faults = NO_FAULTS } = this.#options;
    const caller = { dead: false };
    const wrap = <T extends object>(target: T) =>
      faulty(target, this.schedule, this.random, faults, this.calls, caller);
    const artefacts = wrap<FakeArtefacts>(this.artefacts);
    return {
      ledger: wrap(this.ledger),
      artefacts,
      events: wrap(this.events),
      warn: () => undefined,
      tasks: wrap(this.#ecs),
      executions: wrap(this.#executions()),
      readPlan: planReader(artefacts),
      consumerMachineArn: CONSUMER_MACHINE,
      nowMs: () => this.schedule.nowMs,
    };
  }

  #executions(consumer?: Consumer): Pick<Executions, "start" | "describe" | "succeed" | "fail"> {
    const answer = (outcome: string): boolean => {
      if (!consumer || consumer.outcome !== null || consumer.stopped) return false;
      consumer.outcome = outcome;
      return true;
    };
    return {
      start: async (machine, name, input) =>
        this.#startConsumer(executionArn(machine, name), input as ConsumerReference),
      describe: async (arn) => this.#describe(arn),
      succeed: async (_, output) => answer((output as { outcome: string }).outcome),
      fail: async () => answer("red"),
    };
  }

  async #describe(arn: string): ReturnType<Executions["describe"]> {
    const name = arn.split(":").at(-1)!;
    const status = this.#running.has(name) ? "RUNNING" : "FAILED";
    return { status, name, startedAtMs: 0, stoppedAtMs: null, input: null, output: null, error: null, cause: null };
  }

  #startConsumer(arn: string, reference: ConsumerReference) {
    const known = this.consumers.has(arn);
    if (!known) {
      const consumer: Consumer = { reference, outcome: null, stopped: false };
      this.consumers.set(arn, consumer);
      this.#consume(consumer).catch((error) => this.errors.push(error));
    }
    return { executionArn: arn, started: !known };
  }

  async #consume(consumer: Consumer): Promise<void> {
    while (consumer.outcome === null && !consumer.stopped) {
      await this.schedule.pause(5_000);
      try {
        await watchNode("token", consumer.reference, { ...this.#deps(), executions: this.#executions(consumer) });
      } catch (error) {
        if (!(error instanceof Crash) && !(error instanceof RetryableError)) throw error;
      }
    }
  }
}

interface FunctionDeps {
  readonly ledger: Ledger;
  readonly artefacts: FakeArtefacts;
  readonly events: FakeEvents;
  readonly warn: () => void;
  readonly tasks: SimulatedEcs;
  readonly executions: Pick<Executions, "start" | "describe" | "succeed" | "fail">;
  readonly readPlan: ReturnType<typeof planReader>;
  readonly consumerMachineArn: string;
  readonly nowMs: () => number;
}
