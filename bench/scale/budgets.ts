import type { FunctionName } from "../../infra/deployed-names.ts";
import { FUNCTION_SIZES } from "../../infra/function-sizes.ts";
import { TURN_BUDGET } from "../../infra/state-machines/turns.ts";
import { GOALS } from "../goals.ts";
import type { ModelFigures } from "./model.ts";

/** What an account may do at once. */
export interface Quotas {
  readonly name: string;
  readonly lambdasAtOnce: number;
  /** StartExecution: as many at once, and as many a second after that. */
  readonly startBucket: number;
  readonly startRefill: number;
  readonly runTasksASecond: number;
  readonly fargateVcpu: number;
}

/** The regions with the smallest quotas. */
export const SMALLEST_REGION: Quotas = {
  name: "smallest region",
  lambdasAtOnce: 1_000,
  startBucket: 800,
  startRefill: 150,
  runTasksASecond: 20,
  fargateVcpu: 6,
};

/** An account of the first days. */
export const NEW_ACCOUNT: Quotas = { ...SMALLEST_REGION, name: "new account", lambdasAtOnce: 10 };

/** Step Functions, Lambda and EventBridge take 256 KiB. */
const PAYLOAD_BYTES = 200 * 1024;

/** Share of its timeout that a function's longest call may take: the rest is for a service that hiccups. */
const SHARE_OF_TIMEOUT = 0.25;

/** Task rows, the run's row, lock and index of a run, beside those of its vertices: beats are counted apart. */
const OTHER_WRITES = 100;

/** What of a run lies beyond its budget, one sentence each. */
export function brokenBudgets(figures: ModelFigures, quotas: Quotas = SMALLEST_REGION): string[] {
  const { functions, longestHistory, largestPayload, largestEvent, runTasksASecond, lambdasAtOnce, vcpuAtOnce } =
    figures;
  const over = (what: string, value: number, most: number) =>
    value > most ? [`${what}: ${Math.round(value)}, at most ${Math.round(most)}`] : [];
  const times = [...functions].flatMap(([name, { longest }]) =>
    over(`seconds of ${name}`, longest, FUNCTION_SIZES[name as FunctionName].timeoutSeconds * SHARE_OF_TIMEOUT),
  );
  return [
    ...over("bytes of a payload", largestPayload, PAYLOAD_BYTES),
    ...over("bytes of an event", largestEvent, PAYLOAD_BYTES),
    ...over("events of a history", longestHistory, TURN_BUDGET),
    ...times,
    ...over("starts beyond the bucket", startsBeyond(figures.startsAtMs, quotas), 0),
    ...over("RunTask in a second", runTasksASecond, quotas.runTasksASecond),
    ...over("vCPUs at once", vcpuAtOnce, quotas.fargateVcpu),
    ...over("Lambdas at once", lambdasAtOnce, quotas.lambdasAtOnce),
    ...over("writes of rows", writesOf(figures), mostWrites(figures)),
  ];
}

function writesOf({ writes }: ModelFigures): number {
  return [...writes.values()].reduce((sum, use) => sum + use.calls, 0);
}

/** Five a node and two a test by dbt's words and consumers; claims and last words; one beat a second and container. */
function mostWrites({ nodes, tests, vertices, tasks }: ModelFigures): number {
  const beats = tasks.reduce((sum, { seconds }) => sum + seconds, 0);
  const words = nodes * GOALS.writesPerNode + tests * GOALS.writesPerTest;
  return words + vertices + beats + tasks.length * 12 + OTHER_WRITES;
}

/** How many starts Step Functions would have refused. */
function startsBeyond(startsAtMs: readonly number[], { startBucket, startRefill }: Quotas): number {
  let [left, atMs, refused] = [startBucket, startsAtMs[0] ?? 0, 0];
  for (const nowMs of startsAtMs) {
    left = Math.min(startBucket, left + ((nowMs - atMs) / 1000) * startRefill);
    atMs = nowMs;
    if (left < 1) refused += 1;
    else left -= 1;
  }
  return refused;
}
