import type { Ledger } from "#clients/ledger.ts";
import { planReader } from "#clients/plan-reader.ts";
import type { CheckRunPayload, SettleRunPayload, StartRunPayload, WatchNodePayload } from "#core/contracts/payloads.ts";
import { StepwatchError, Unforeseen } from "#core/errors.ts";
import type { LedgerChange } from "#core/run/watching/ledger-change.ts";
import { answerTurn } from "../../functions/answer-turn.ts";
import { type CheckRunDeps, checkTurn, tellLaterTurn } from "../../functions/check-run/check-run.ts";
import { settleRun } from "../../functions/settle-run/settle-run.ts";
import { startRun } from "../../functions/start-run/start-run.ts";
import { wake } from "../../functions/wake/wake.ts";
import { watchNode } from "../../functions/watch-node/watch-node.ts";
import { CONSUMER_MACHINE, FUNCTION_ARNS, RUN_MACHINE } from "../asl/machines.ts";
import { AslInterpreter, type Execution, type TaskFunction } from "./asl-interpreter.ts";
import { FakeArtefacts, FakeEvents } from "./fake-clients.ts";
import { memoryLedger } from "./memory-ledger.ts";
import { SimulatedWarehouse } from "./simulated-dbt.ts";
import { SimulatedEcs } from "./simulated-ecs.ts";
import type { SimulatedProject } from "./simulated-project.ts";
import { Random } from "./simulated-random.ts";
import { withStream } from "./simulated-stream.ts";
import { VirtualClock } from "./virtual-clock.ts";

const NO_TROUBLES = { refusedPercent: 0, neverStartedPercent: 0, forgottenTokenPercent: 0, most: 0 };

/** From a write to the call of wake: as Lambda polls a stream, a quarter of a second at most. Milliseconds. */
const STREAM_MS = 250;

/** Whose calls they are: a function's, or a task's own container. */
export type Caller = "start-run" | "check-run" | "settle-run" | "watch-node" | "wake" | "stop-run" | "container";

/** Gives a caller a client of its own in the place of one that all share. */
export type ClientsOf = <T extends object>(
  caller: Caller,
  service: "ledger" | "artefacts" | "tasks" | "executions" | "events",
  shared: T,
) => T;

/** The rendered machines with the logic of the functions behind them, ECS and dbt simulated, time virtual. */
export class SimulatedAws {
  readonly clock = new VirtualClock();
  readonly ledger: Ledger;
  readonly artefacts = new FakeArtefacts();
  readonly warehouse = new SimulatedWarehouse();
  readonly errors: unknown[] = [];
  readonly machines: AslInterpreter;
  readonly #ecs: SimulatedEcs;
  /** Whether the functions' call of this method is refused for good, as by a permission that is missing. */
  refuses: (method: string) => boolean = () => false;
  readonly #seen: CheckRunDeps["seen"] = new Map();

  readonly #as: ClientsOf;

  constructor(
    project: SimulatedProject,
    seed: number,
    as: ClientsOf = (_caller, _service, shared) => shared,
    ledger: Ledger = memoryLedger(),
    /** False: the table's stream is taken away, and nothing is ever woken by it. */
    streams = true,
  ) {
    this.#as = as;
    this.ledger = streams ? withStream(ledger, (change) => this.#stream(change)) : ledger;
    const { clock, warehouse } = this;
    const artefacts = as("container", "artefacts", this.artefacts);
    const schedule = {
      get nowMs() {
        return clock.nowMs();
      },
      pause: clock.sleep,
    };
    const onError = (error: unknown) => void this.errors.push(error);
    const told = as("container", "ledger", this.ledger);
    const heard = { onFence: () => undefined, onExit: () => undefined, onError };
    this.#ecs = new SimulatedEcs(
      { project, warehouse, schedule, random: new Random(seed), ledger: told, artefacts, ...heard },
      NO_TROUBLES,
    );
    const functions = { ...this.#runFunctions(), [FUNCTION_ARNS.watchNode]: this.#watchNode } as Record<
      string,
      TaskFunction
    >;
    this.machines = new AslInterpreter({ clock, machines: [RUN_MACHINE, CONSUMER_MACHINE], functions });
  }

  /** A change reaches wake a moment later; what wake can not do then is dropped, as an old record is. */
  #stream(change: LedgerChange): void {
    this.clock.after(STREAM_MS, () => {
      const deps = { ...this.#clients("wake"), consumerMachineArn: CONSUMER_MACHINE.arn };
      wake([change], deps).catch(() => undefined);
    });
  }

  async start(runId: string, policy: Readonly<Record<string, unknown>> = {}): Promise<Execution> {
    const { executionArn } = await this.machines.start(RUN_MACHINE.arn, runId, { project: "shop", policy });
    return this.machines.executions.get(executionArn)!;
  }

  /** Executions of the consumer machine by the node that they watch. */
  consumers(): Map<string, Execution> {
    const all = [...this.machines.executions.values()].filter((one) => one.arn.includes(":stepwatch-consumer:"));
    return new Map(all.map((one) => [(one.input as { uniqueId: string }).uniqueId, one]));
  }

  #clients(caller: Caller) {
    const start: AslInterpreter["start"] = (...given) => this.machines.start(...given);
    const describe: AslInterpreter["describe"] = (...given) => this.machines.describe(...given);
    const succeed: AslInterpreter["succeed"] = (...given) => this.machines.succeed(...given);
    const fail: AslInterpreter["fail"] = (...given) => this.machines.fail(...given);
    const artefacts = this.#as(caller, "artefacts", this.#refusable(this.artefacts));
    return {
      ledger: this.#as(caller, "ledger", this.#refusable(this.ledger)),
      artefacts,
      tasks: this.#as(caller, "tasks", this.#refusable<SimulatedEcs>(this.#ecs)),
      executions: this.#as(caller, "executions", this.#refusable({ start, describe, succeed, fail })),
      events: this.#as(caller, "events", new FakeEvents()),
      readPlan: planReader(artefacts),
      nowMs: this.clock.nowMs,
      warn: () => undefined,
    };
  }

  #runFunctions() {
    const as = (caller: Caller) => this.#clients(caller);
    return {
      [FUNCTION_ARNS.startRun]: (payload: StartRunPayload) =>
        this.#answering("start-run", payload.taskToken, () => startRun(payload, as("start-run"))),
      [FUNCTION_ARNS.checkRun]: (payload: CheckRunPayload) =>
        this.#answering(
          "check-run",
          payload.taskToken,
          () => {
            const more = { consumerMachineArn: CONSUMER_MACHINE.arn, seen: this.#seen, pause: this.clock.sleep };
            return checkTurn(payload, { ...as("check-run"), ...more });
          },
          (answer) => tellLaterTurn(payload, answer, as("check-run")),
        ),
      [FUNCTION_ARNS.settleRun]: ({ run, execution: context, roundsSeconds }: SettleRunPayload) =>
        settleRun(run, as("settle-run"), { context, roundsSeconds }).catch((error) => {
          throw error instanceof StepwatchError ? error : new Unforeseen(error);
        }),
    };
  }

  readonly #watchNode = ({ taskToken, consumer, execution, waits }: WatchNodePayload) =>
    this.#answering("watch-node", taskToken, async () => {
      const ledger = this.#as("watch-node", "ledger", this.#refusable(this.ledger));
      const artefacts = this.#as("watch-node", "artefacts", this.#refusable(this.artefacts));
      const executions = this.#as("watch-node", "executions", this.machines);
      const deps = { ledger, executions, readPlan: planReader(artefacts) };
      await watchNode(taskToken, consumer, { ...deps, nowMs: this.clock.nowMs }, execution.RedriveCount, waits);
      return null;
    });

  #refusable<T extends object>(target: T): T {
    return new Proxy(target, {
      get: (from, name) => {
        const value = Reflect.get(from, name, from) as unknown;
        if (typeof value !== "function") return value;
        return async (...given: unknown[]) => {
          if (this.refuses(String(name)))
            throw Object.assign(new Error(`not allowed: ${String(name)}`), {
              name: "AccessDeniedException",
              $fault: "client",
            });
          return await Reflect.apply(value, from, given);
        };
      },
    });
  }

  #answering<Answer>(
    caller: Caller,
    taskToken: string,
    call: () => Promise<Answer | null>,
    tooLate?: (answer: Answer) => Promise<void>,
  ): Promise<void> {
    return answerTurn(this.#as(caller, "executions", this.machines), taskToken, call, tooLate);
  }
}
