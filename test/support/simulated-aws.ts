import { planReader } from "#clients/plan-reader.ts";
import type { CheckRunPayload, SettleRunPayload, StartRunPayload, WatchNodePayload } from "#core/contracts/payloads.ts";
import { StepwatchError, Unforeseen } from "#core/errors.ts";
import { answerTurn } from "../../functions/answer-turn.ts";
import { checkRun } from "../../functions/check-run/check-run.ts";
import { settleRun } from "../../functions/settle-run/settle-run.ts";
import { startRun } from "../../functions/start-run/start-run.ts";
import { watchNode } from "../../functions/watch-node/watch-node.ts";
import { CONSUMER_MACHINE, FUNCTION_ARNS, RUN_MACHINE } from "../asl/machines.ts";
import { AslInterpreter, type Execution, type TaskFunction } from "./asl-interpreter.ts";
import { FakeArtefacts, FakeEvents } from "./fake-clients.ts";
import { memoryLedger } from "./memory-ledger.ts";
import { SimulatedWarehouse } from "./simulated-dbt.ts";
import { SimulatedEcs } from "./simulated-ecs.ts";
import type { SimulatedProject } from "./simulated-project.ts";
import { Random } from "./simulated-random.ts";
import { VirtualClock } from "./virtual-clock.ts";

const NO_TROUBLES = { refusedPercent: 0, neverStartedPercent: 0, forgottenTokenPercent: 0, most: 0 };

/** The rendered machines with the logic of the functions behind them, ECS and dbt simulated, time virtual. */
export class SimulatedAws {
  readonly clock = new VirtualClock();
  readonly ledger = memoryLedger();
  readonly artefacts = new FakeArtefacts();
  readonly warehouse = new SimulatedWarehouse();
  readonly errors: unknown[] = [];
  readonly machines: AslInterpreter;
  readonly #ecs: SimulatedEcs;
  /** Whether the functions' call of this method is refused for good, as by a permission that is missing. */
  refuses: (method: string) => boolean = () => false;
  readonly #seen = new Map<string, string>();

  constructor(project: SimulatedProject, seed: number) {
    const { clock, ledger, artefacts, warehouse } = this;
    const schedule = {
      get nowMs() {
        return clock.nowMs();
      },
      pause: clock.sleep,
    };
    const onError = (error: unknown) => void this.errors.push(error);
    const heard = { onFence: () => undefined, onExit: () => undefined, onError };
    this.#ecs = new SimulatedEcs(
      { project, warehouse, schedule, random: new Random(seed), ledger, artefacts, ...heard },
      NO_TROUBLES,
    );
    const functions = { ...this.#runFunctions(), [FUNCTION_ARNS.watchNode]: this.#watchNode } as Record<
      string,
      TaskFunction
    >;
    this.machines = new AslInterpreter({ clock, machines: [RUN_MACHINE, CONSUMER_MACHINE], functions });
  }

  async start(runId: string): Promise<Execution> {
    const { executionArn } = await this.machines.start(RUN_MACHINE.arn, runId, { project: "shop" });
    return this.machines.executions.get(executionArn)!;
  }

  /** Executions of the consumer machine by the node that they watch. */
  consumers(): Map<string, Execution> {
    const all = [...this.machines.executions.values()].filter((one) => one.arn.includes(":stepwatch-consumer:"));
    return new Map(all.map((one) => [(one.input as { uniqueId: string }).uniqueId, one]));
  }

  #runFunctions() {
    const ledger = this.#refusable(this.ledger);
    const artefacts = this.#refusable(this.artefacts);
    const tasks = this.#refusable<SimulatedEcs>(this.#ecs);
    const start: AslInterpreter["start"] = (...given) => this.machines.start(...given);
    const describe: AslInterpreter["describe"] = (...given) => this.machines.describe(...given);
    const executions = this.#refusable({ start, describe });
    const common = { ledger, artefacts, tasks, readPlan: planReader(artefacts), nowMs: this.clock.nowMs };
    return {
      [FUNCTION_ARNS.startRun]: (payload: StartRunPayload) =>
        this.#answering(payload.taskToken, () => startRun(payload, { ...common, executions })),
      [FUNCTION_ARNS.checkRun]: ({ run, taskToken }: CheckRunPayload) =>
        this.#answering(taskToken, async () => {
          const more = { executions, consumerMachineArn: CONSUMER_MACHINE.arn, seen: this.#seen };
          return (await checkRun(run, { ...common, ...more })) === "settle" ? {} : null;
        }),
      [FUNCTION_ARNS.settleRun]: ({ run }: SettleRunPayload) =>
        settleRun(run, { ...common, events: new FakeEvents(), warn: () => undefined }).catch((error) => {
          throw error instanceof StepwatchError ? error : new Unforeseen(error);
        }),
    };
  }

  readonly #watchNode = ({ taskToken, consumer }: WatchNodePayload) =>
    this.#answering(taskToken, async () => {
      const ledger = this.#refusable(this.ledger);
      const deps = { ledger, executions: this.machines, readPlan: planReader(this.#refusable(this.artefacts)) };
      await watchNode(taskToken, consumer, { ...deps, nowMs: this.clock.nowMs });
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

  readonly #answering = (taskToken: string, call: () => Promise<unknown>): Promise<void> =>
    answerTurn(this.machines, taskToken, call);
}
