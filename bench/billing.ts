import { taskSizeSchema } from "#core/contracts/settings.ts";
import type { Consumption } from "#core/prices.ts";
import type { FunctionName } from "../infra/deployed-names.ts";
import { FUNCTION_SIZES } from "../infra/function-sizes.ts";
import type { Histories } from "./histories.ts";
import { billedSeconds } from "./lambda-time.ts";
import type { LedgerFigures } from "./ledger-figures.ts";
import type { MeasuredRun } from "./measured-run.ts";

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

/**
 * What the run would have used on AWS, with tasks of the default size and public addresses. Counted are calls, rows and
 * bytes; what Lambda bills for them is assumed (bench/lambda-time).
 */
export function consumptionOf(measured: MeasuredRun, ledger: LedgerFigures): Consumption {
  const { histories, tasks, services, functionCalls, logs } = measured;
  const size = taskSizeSchema.parse({});
  const s3 = services.filter(({ service }) => service === "s3");
  const calls = Object.entries(functionCalls).map(([name, count]) => {
    const memoryMiB = FUNCTION_SIZES[name as FunctionName].memoryMiB;
    const own = services.filter(({ caller }) => caller === name);
    const written = measured.traffic.writes.filter(({ caller }) => caller === name).length;
    const read = ledger.readsBy[name];
    const serviceCalls = own.length + written + (read?.calls ?? 0);
    const seconds = billedSeconds({ count, memoryMiB, serviceCalls, readBytes: read?.bytes ?? 0 });
    return { count, memoryMiB, seconds };
  });
  const called = calls.reduce((total, { count }) => total + count, 0);
  const printed = [...logs.values()].reduce((total, log) => total + log.bytes + log.lines * LOG_LINE_BYTES, 0);
  const { transitions, executions } = stepFunctionsFigures(histories);
  return {
    transitions,
    calls,
    writeUnits: ledger.writeUnits,
    readUnits: ledger.readUnits,
    s3Puts: s3.filter(({ what }) => what === "PUT" || what === "POST").length,
    s3Gets: s3.filter(({ what }) => what === "GET" || what === "HEAD").length,
    logBytes: printed + called * FUNCTION_LOG_BYTES + executions * EXECUTION_LOG_BYTES,
    events: 0,
    tasks: tasks.map((task) => ({
      seconds: ((task.end?.endedAtMs ?? 0) - (task.claimedAtMs ?? 0)) / 1000,
      vcpu: size.cpu / 1024,
      gib: size.memoryMiB / 1024,
      publicAddress: true,
    })),
  };
}

/** CloudWatch Logs bills 26 bytes with each line. */
const LOG_LINE_BYTES = 26;

/** START, END and REPORT of a call, as Lambda writes them in its text format. */
export const FUNCTION_LOG_BYTES = 330 + 3 * LOG_LINE_BYTES;

/** The end of an execution that failed; one that ended well is not logged. Counted for each all the same. */
export const EXECUTION_LOG_BYTES = 700;

/**
 * Transitions of the same run with a build of `buildSeconds` under `threads` threads: each node's consumer makes one
 * turn and one for each interval that a thread is busy with it, the run's own loop one for each interval.
 */
export function transitionsFor(nodes: number, buildSeconds: number, threads: number, intervalSeconds: number): number {
  const intervals = buildSeconds / intervalSeconds;
  return Math.ceil(nodes + threads * intervals + intervals + 3);
}
