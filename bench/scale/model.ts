import type { Artefacts } from "#clients/artefacts.ts";
import { ledgerOn } from "#clients/dynamo-ledger.ts";
import type { Executions } from "#clients/executions.ts";
import type { Ledger } from "#clients/ledger.ts";
import { planReader } from "#clients/plan-reader.ts";
import type { Launch } from "#clients/tasks.ts";
import { CLOSELY, type ConsumerReference, type RunReference } from "#core/contracts/payloads.ts";
import { RetryableError, RunFailed } from "#core/errors.ts";
import { executionArn } from "#core/names.ts";
import { hasConsumer, type Plan } from "#core/run/planning/plan.ts";
import type { LedgerChange } from "#core/run/watching/ledger-change.ts";
import { type CheckRunDeps, checkTurn } from "../../functions/check-run/check-run.ts";
import { settleRun } from "../../functions/settle-run/settle-run.ts";
import { startRun } from "../../functions/start-run/start-run.ts";
import { wake } from "../../functions/wake/wake.ts";
import { type ConsumerWaits, watchNode } from "../../functions/watch-node/watch-node.ts";
import type { FunctionName } from "../../infra/deployed-names.ts";
import { CONSUMER_NET_SECONDS, EVENTS_PER_TIMED_TURN, runWait } from "../../infra/state-machines/turns.ts";
import { FakeArtefacts, FakeEvents } from "../../test/support/fake-clients.ts";
import { exampleSettings } from "../../test/support/projects.ts";
import { type LedgerUse, MemoryTable, TableStore } from "./memory-table.ts";
import { runContainer } from "./model-container.ts";
import { type FunctionUse, ModelLambda } from "./model-lambda.ts";
import { ModelStream } from "./model-stream.ts";
import { ModelWaits, type WaitEnd } from "./model-waits.ts";
import { planOf, SCALE_PROJECT, type ScaleProject } from "./project.ts";
import { TimeLine } from "./time-line.ts";

export interface ModelOptions {
  readonly project: ScaleProject;
  readonly threads: number;
  readonly pollSeconds: number;
  readonly watch: "wake" | "poll";
  readonly maxTasks?: number;
  readonly policy?: Readonly<Record<string, unknown>>;
  /** Lambdas that the account may run at once. */
  readonly places?: number;
  /** vCPUs of Fargate that the account may run at once; each task takes one. */
  readonly vcpu?: number;
}

/** What a whole run has used, counted where it was used. */
export interface ModelFigures {
  readonly vertices: number;
  readonly nodes: number;
  readonly tests: number;
  readonly state: "green" | "red";
  readonly verdict: string;
  readonly wallMs: number;
  readonly consumers: number;
  readonly transitions: { readonly run: number; readonly consumers: number };
  readonly longestHistory: number;
  readonly functions: ReadonlyMap<string, FunctionUse>;
  readonly reads: ReadonlyMap<string, LedgerUse>;
  readonly writes: ReadonlyMap<string, LedgerUse>;
  readonly objects: { puts: number; gets: number; putBytes: number; getBytes: number };
  readonly tasks: readonly { readonly seconds: number }[];
  /** When each consumer was started. */
  readonly startsAtMs: readonly number[];
  /** The most in one second. */
  readonly runTasksASecond: number;
  readonly describeTasks: number;
  /** Tasks, each of one vCPU, at once; and launches that ECS refused for want of room. */
  readonly vcpuAtOnce: number;
  readonly refusedLaunches: number;
  /** Lambdas at once. */
  readonly lambdasAtOnce: number;
  /** The largest input or output of a function or an execution, and the largest event. Bytes. */
  readonly largestPayload: number;
  readonly largestEvent: number;
}

const RUN_MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:run";
const CONSUMER_MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:consumer";
const RUN_ID = "scale-run";

/** From RunTask to the container's first call: what Fargate takes. Milliseconds. */
const CONTAINER_START_MS = 40_000;

/** Step Functions and Lambda between StartExecution and the function's first line. Milliseconds. */
const BEGIN_MS = 100;

/** Lambdas that an account may run at once, unless it is new. */
const LAMBDA_PLACES = 1_000;

/** Beside the turns: started, entered and exited once more, ended. */
const OTHER_EVENTS = 10;

/**
 * One run of a generated project under a virtual clock: the real functions over a ledger in memory, machines that call
 * them turn by turn, containers that say what a scripted dbt says. Nothing goes wrong but what the project has failing.
 */
export async function modelRun(options: ModelOptions): Promise<ModelFigures> {
  return await new ModelRun(options).toItsEnd();
}

interface Called {
  serviceCalls: number;
  pausedMs: number;
}

class ModelRun {
  readonly #options: ModelOptions;
  readonly #plan: Plan;
  readonly #time = new TimeLine(1_700_000_000_000);
  readonly #store = new TableStore();
  readonly #ledgers = new Map<string, Ledger>();
  readonly #artefacts = new FakeArtefacts();
  readonly #events = new FakeEvents();
  readonly #lambda: ModelLambda;
  readonly #objects = { puts: 0, gets: 0, putBytes: 0, getBytes: 0 };
  readonly #turnsOf = new Map<string, number>();
  readonly #waits = new ModelWaits(this.#time);
  /** Consumers that came to their end. */
  readonly #ended = new Set<string>();
  readonly #starts: number[] = [];
  readonly #launches = new Map<string, { readonly arn: string; readonly atMs: number }>();
  readonly #seen: CheckRunDeps["seen"] = new Map();
  /** One warm instance of each function. */
  readonly #readPlan = planReader(this.#artefacts);
  #describes = 0;
  #vcpu = 0;
  #mostVcpu = 0;
  #refused = 0;
  #largestPayload = 0;
  #runTransitions = 1;
  #end: { state: "green" | "red"; verdict: string; atMs: number } | null = null;

  constructor(options: ModelOptions) {
    this.#options = options;
    this.#lambda = new ModelLambda(this.#time, options.places ?? LAMBDA_PLACES);
    const stream = new ModelStream(this.#time, (changes, done) => this.#wake(changes, done));
    if (options.watch === "wake") this.#store.onChange = (changed) => stream.tell(changed);
    this.#plan = planOf(options.project, { project: SCALE_PROJECT, runId: RUN_ID });
  }

  async toItsEnd(): Promise<ModelFigures> {
    const beganAtMs = this.#time.nowMs;
    this.#time.in(0, () => this.#start());
    await this.#time.run();
    if (this.#end === null) throw new Error("The run of the model came to no end.");
    if (this.#ended.size < this.#turnsOf.size) throw new Error("Consumers of the model came to no end.");
    const { tasks } = { tasks: await this.#ledgerOf("model").readTasks({ project: SCALE_PROJECT, runId: RUN_ID }) };
    const turns = [...this.#turnsOf.values()];
    return {
      vertices: this.#plan.vertices.length,
      nodes: this.#plan.vertices.filter(hasConsumer).length,
      tests: this.#plan.vertices.filter(({ resourceType }) => resourceType === "test").length,
      state: this.#end.state,
      verdict: this.#end.verdict,
      wallMs: this.#end.atMs - beganAtMs,
      consumers: turns.length,
      transitions: { run: this.#runTransitions, consumers: turns.reduce((sum, count) => sum + count, 0) },
      longestHistory: Math.max(this.#runTransitions, ...turns) * EVENTS_PER_TIMED_TURN + OTHER_EVENTS,
      functions: this.#lambda.uses,
      reads: this.#store.reads,
      writes: this.#store.writes,
      objects: this.#objects,
      tasks: tasks.map((task) => ({ seconds: ((task.end?.endedAtMs ?? task.claimedAtMs) - task.claimedAtMs) / 1000 })),
      startsAtMs: this.#starts,
      runTasksASecond: mostInASecond([...this.#launches.values()].map(({ atMs }) => atMs)),
      describeTasks: this.#describes,
      vcpuAtOnce: this.#mostVcpu,
      refusedLaunches: this.#refused,
      lambdasAtOnce: this.#lambda.mostAtOnce,
      largestPayload: this.#largestPayload,
      largestEvent: Math.max(0, ...this.#events.published.map((event) => JSON.stringify(event).length)),
    };
  }

  async #start(): Promise<void> {
    const settings = exampleSettings(SCALE_PROJECT, this.#options.policy);
    const maxTasks = this.#options.maxTasks ?? settings.executionQueue.maxTasks;
    const payload = {
      taskToken: "start",
      input: { project: SCALE_PROJECT },
      execution: { arn: executionArn(RUN_MACHINE, RUN_ID), name: RUN_ID, startTime: "" },
      projects: { [SCALE_PROJECT]: { ...settings, executionQueue: { ...settings.executionQueue, maxTasks } } },
      catchesLockFree: true as const,
    };
    await this.#call(
      "start-run",
      payload,
      (deps) => startRun(payload, deps),
      (reference) => {
        if (reference === null) throw new Error("The run of the model waits for a lock that nobody has.");
        return this.#check(reference);
      },
    );
  }

  #check(reference: RunReference): unknown {
    this.#runTransitions += 1;
    const { waits, waitSeconds } = this.#watching();
    const taskToken = `run, turn ${this.#runTransitions}`;
    this.#waits.open(taskToken, reference.waitSeconds ?? waitSeconds, (end) => {
      if (end.how !== "succeeded") return this.#check(reference);
      // A Choice leads on from an answer.
      this.#runTransitions += 1;
      const next = end.output as RunReference;
      return next.next === "settle" ? this.#settle(next) : this.#check(next);
    });
    const payload = { taskToken, run: reference, ...(waits === undefined ? {} : { waits }) };
    return this.#call(
      "check-run",
      payload,
      (deps) => checkTurn(payload, deps),
      (answer) => answer !== null && this.#waits.end(taskToken, { how: "succeeded", output: answer }),
    );
  }

  /** As infra/state-machines makes it of the stack's settings. */
  #watching() {
    const { watch, pollSeconds: pollIntervalSeconds } = this.#options;
    const { runTimeoutMinutes: longestRunMinutes } = exampleSettings(SCALE_PROJECT, this.#options.policy).policy;
    const { waitSeconds, averageSeconds } = runWait({ watch, pollIntervalSeconds, longestRunMinutes });
    return averageSeconds === null
      ? { waitSeconds }
      : { waitSeconds, waits: { netSeconds: waitSeconds, averageSeconds } };
  }

  #settle(reference: RunReference): unknown {
    this.#runTransitions += 1;
    const give = async (deps: ReturnType<ModelRun["deps"]>) => {
      try {
        const { verdict } = await settleRun(reference, deps);
        return { state: "green" as const, verdict };
      } catch (error) {
        if (error instanceof RetryableError) return null;
        if (!(error instanceof RunFailed)) throw error;
        this.#sees(error.message);
        return { state: "red" as const, verdict: error.message };
      }
    };
    return this.#call("settle-run", reference, give, (end) => {
      if (end === null) this.#time.in(2_000, () => this.#settle(reference));
      else this.#end = { ...end, atMs: this.#time.nowMs };
    });
  }

  #watch(arn: string, consumer: ConsumerReference, waits: ConsumerWaits = "patiently"): unknown {
    const turn = (this.#turnsOf.get(arn) ?? 0) + 1;
    this.#turnsOf.set(arn, turn);
    const taskToken = `${arn}, turn ${turn}`;
    const isWoken = this.#options.watch === "wake";
    const seconds = isWoken && waits === "patiently" ? CONSUMER_NET_SECONDS : this.#options.pollSeconds;
    this.#waits.open(taskToken, seconds, (end) => {
      if (end.how === "timeout") return this.#watch(arn, consumer, waits);
      if (end.how === "succeeded" || end.name === "NodeFailed") return this.#ended.add(arn);
      return this.#watch(arn, consumer, end.name === CLOSELY ? "closely" : "patiently");
    });
    return this.#call(
      "watch-node",
      consumer,
      (deps) => watchNode(taskToken, consumer, deps, 0, isWoken ? waits : null),
      () => undefined,
      () => this.#turnsOf.set(arn, (this.#turnsOf.get(arn) ?? 0) + 1),
    );
  }

  #wake(changes: LedgerChange[], done: () => void): unknown {
    return this.#call(
      "wake",
      changes,
      (deps) => wake(changes, deps),
      done,
      () => undefined,
    );
  }

  /** One call of a function, and what it used. */
  #call<T>(
    name: FunctionName,
    payload: unknown,
    work: (deps: ReturnType<ModelRun["deps"]>) => Promise<T>,
    then: (answer: T) => unknown,
    onRetry: () => unknown = () => {
      this.#runTransitions += 1;
    },
  ): Promise<void> | void {
    this.#sees(payload);
    const used = () => {
      const [read, written] = [this.#store.reads.get(name), this.#store.writes.get(name)];
      return { calls: (read?.calls ?? 0) + (written?.calls ?? 0), bytes: read?.bytes ?? 0 };
    };
    return this.#lambda.call(
      name,
      async (counted) => {
        const before = used();
        const answer = await work(this.deps(name, counted));
        const after = used();
        counted.serviceCalls += after.calls - before.calls;
        counted.readBytes += after.bytes - before.bytes;
        return answer;
      },
      then,
      onRetry,
    );
  }

  /** One warm instance for each caller. */
  #ledgerOf(caller: string): Ledger {
    const known = this.#ledgers.get(caller) ?? ledgerOn(new MemoryTable(this.#store, caller));
    this.#ledgers.set(caller, known);
    return known;
  }

  deps(name: string, use: Called) {
    return {
      ledger: this.#ledgerOf(name),
      artefacts: this.#counted(use),
      events: this.#events,
      warn: () => undefined,
      tasks: this.#ecs(use),
      executions: this.#executions(use),
      readPlan: this.#readPlan,
      consumerMachineArn: CONSUMER_MACHINE,
      nowMs: () => this.#time.nowMs,
      pause: async (ms: number) => {
        use.pausedMs += ms;
      },
      seen: this.#seen,
    };
  }

  #counted(use: Called): Artefacts {
    const objects = this.#objects;
    return new Proxy<Artefacts>(this.#artefacts, {
      get:
        (target, method) =>
        async (key: string, ...given: unknown[]) => {
          use.serviceCalls += 1;
          const act = Reflect.get(target, method) as (...given: unknown[]) => Promise<unknown>;
          const answer = await act.call(target, key, ...given);
          const bytes = this.#artefacts.texts.get(key)?.length ?? 0;
          if (String(method).startsWith("put"))
            Object.assign(objects, { puts: objects.puts + 1, putBytes: objects.putBytes + bytes });
          else Object.assign(objects, { gets: objects.gets + 1, getBytes: objects.getBytes + bytes });
          return answer;
        },
    });
  }

  #ecs(use: Called) {
    return {
      launch: async (launch: Launch) => {
        use.serviceCalls += 1;
        const known = this.#launches.get(launch.clientToken);
        if (known) return { taskArn: known.arn };
        if (this.#vcpu >= (this.#options.vcpu ?? Number.POSITIVE_INFINITY)) {
          this.#refused += 1;
          return { refused: "You've reached the limit on the number of vCPUs you can run concurrently" };
        }
        this.#vcpu += 1;
        this.#mostVcpu = Math.max(this.#mostVcpu, this.#vcpu);
        const arn = `arn:aws:ecs:us-east-1:000000000000:task/stepwatch/${this.#launches.size + 1}`;
        this.#launches.set(launch.clientToken, { arn, atMs: this.#time.nowMs });
        const task = Number(launch.environment.STEPWATCH_TASK);
        this.#time.in(CONTAINER_START_MS, () => this.#container(task, arn));
        return { taskArn: arn };
      },
      describe: async (_: string, __: string, arns: readonly string[]) => {
        use.serviceCalls += 1;
        this.#describes += 1;
        return new Map(arns.map((arn) => [arn, { state: "starting" as const }]));
      },
      stop: async () => undefined,
    };
  }

  #container(task: number, arn: string): Promise<void> {
    return runContainer({ project: SCALE_PROJECT, runId: RUN_ID }, task, arn, {
      ledger: this.#ledgerOf("runner"),
      artefacts: this.#counted({ serviceCalls: 0, pausedMs: 0 }),
      time: this.#time,
      project: this.#options.project,
      plan: this.#plan,
      threads: this.#options.threads,
      onEnd: () => {
        this.#vcpu -= 1;
      },
    });
  }

  #executions(use: Called): Pick<Executions, "start" | "describe" | "succeed" | "fail" | "redrive"> {
    const answer = async (token: string, words: unknown, end: WaitEnd) => {
      use.serviceCalls += 1;
      this.#sees(words);
      return this.#waits.end(token, end);
    };
    return {
      start: async (machine, name, input) => {
        use.serviceCalls += 1;
        const arn = executionArn(machine, name);
        if (this.#turnsOf.has(arn)) return { executionArn: arn, started: false };
        this.#sees(input);
        this.#starts.push(this.#time.nowMs);
        this.#turnsOf.set(arn, 0);
        this.#time.in(BEGIN_MS, () => this.#watch(arn, input as ConsumerReference));
        return { executionArn: arn, started: true };
      },
      succeed: (token, output) => answer(token, output, { how: "succeeded", output }),
      fail: (token, error) => answer(token, error, { how: "failed", name: error.name }),
      describe: async () => null,
      redrive: async () => false,
    };
  }

  #sees(payload: unknown): void {
    this.#largestPayload = Math.max(this.#largestPayload, Buffer.byteLength(JSON.stringify(payload ?? null)));
  }
}

/** The most of these moments in any one second of the clock. */
function mostInASecond(moments: readonly number[]): number {
  const seconds = Map.groupBy(moments, (ms) => Math.floor(ms / 1000));
  return Math.max(0, ...[...seconds.values()].map((all) => all.length));
}
