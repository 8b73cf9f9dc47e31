import { taskSizeSchema } from "#core/contracts/settings.ts";
import type { Histories } from "./histories.ts";
import type { LedgerFigures } from "./ledger-figures.ts";
import type { MeasuredRun } from "./measured-run.ts";
import { type Price, priceOf } from "./prices.ts";

export interface StepFunctionsFigures {
  readonly executions: number;
  readonly transitions: number;
  readonly events: number;
  /** Turns of the run's own loop. */
  readonly runTurns: number;
  readonly consumerTurns: number;
  /** The longest history of one execution. */
  readonly longestHistory: number;
}

export function stepFunctionsFigures({ run, consumers }: Histories): StepFunctionsFigures {
  const all = [run, ...consumers.values()];
  const sum = (pick: (execution: typeof run) => number) => all.reduce((total, execution) => total + pick(execution), 0);
  return {
    executions: all.length,
    transitions: sum((execution) => execution.transitions),
    events: sum((execution) => execution.events),
    runTurns: run.calls["Check run"] ?? 0,
    consumerTurns: sum((execution) => execution.calls["Watch node"] ?? 0),
    longestHistory: Math.max(...all.map((execution) => execution.events)),
  };
}

/** Memory of the functions behind the states, in MiB, as infra/functions.ts deploys them. */
const MEMORY_MIB: Readonly<Record<string, number>> = {
  "Start run": 512,
  "Check run": 1024,
  "Settle run": 1024,
  "Watch node": 256,
};

/** What the run would have cost on AWS, with tasks of the default size. */
export function priceOfRun(measured: MeasuredRun, ledger: LedgerFigures): Price {
  const { histories, tasks } = measured;
  const size = taskSizeSchema.parse({});
  const calls = [histories.run, ...histories.consumers.values()].flatMap((execution) =>
    Object.entries(execution.calls).map(([state, count]) => ({ count, memoryMiB: MEMORY_MIB[state] ?? 1024 })),
  );
  return priceOf({
    transitions: stepFunctionsFigures(histories).transitions,
    calls,
    writeUnits: ledger.writeUnits,
    readUnits: ledger.readUnits,
    tasks: tasks.map((task) => ({
      seconds: ((task.end?.endedAtMs ?? 0) - (task.claimedAtMs ?? 0)) / 1000,
      vcpu: size.cpu / 1024,
      gib: size.memoryMiB / 1024,
    })),
  });
}

/**
 * Transitions of the same run with a build of `buildSeconds` under `threads` threads: each node's consumer makes one
 * turn and one for each interval that a thread is busy with it, the run's own loop one for each interval.
 */
export function transitionsFor(nodes: number, buildSeconds: number, threads: number, intervalSeconds: number): number {
  const intervals = buildSeconds / intervalSeconds;
  return Math.ceil(nodes + threads * intervals + intervals + 3);
}
