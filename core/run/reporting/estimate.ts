import type { RunRow, TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import type { LaunchTarget } from "#core/contracts/settings.ts";
import { type Consumption, PRICES, type Price, priceOf } from "#core/prices.ts";

/**
 * What a run has used as far as its rows tell, or will as far as a plan does. The numbers below were counted in a model of
 * the real functions (bench/scale), and a test holds them to it: no bill was seen.
 */
export interface RunFacts {
  /** Nodes with a consumer. */
  readonly consumers: number;
  readonly vertices: number;
  /** Seconds in which dbt builds, of all tasks together. */
  readonly buildSeconds: number;
  /** Turns of the run's own loop. */
  readonly turns: number;
  /** With `watch: poll`: turns of all consumers; null: each is woken once. */
  readonly consumerTurns: number | null;
  readonly tasks: Consumption["tasks"];
  /** Events of our own. */
  readonly events: number;
}

/** MiB of the functions; a test holds them to infra/function-sizes. */
export const ESTIMATED_MEMORY_MIB = { small: 512, whole: 1769 } as const;

/** Bytes of dbt's lines of a vertex, and of the START, END and REPORT of a function's call. */
const LOG_BYTES = { vertex: 2_200, call: 408, execution: 700 } as const;

/**
 * Wakes in a second, of so many changes: the stream brings those of one moment in one batch, hence never many more than
 * this.
 */
const MOST_WAKES_A_SECOND = 5;

function wakesOf({ vertices, buildSeconds, consumerTurns }: RunFacts): number {
  if (consumerTurns !== null || vertices === 0) return 0;
  const rate = vertices / Math.max(1, buildSeconds);
  return Math.max(1, buildSeconds) * (rate / (1 + rate / MOST_WAKES_A_SECOND));
}

/** Units, calls and bytes of a run, part by part. */
export function consumptionOf(facts: RunFacts): Consumption {
  const { consumers, vertices, buildSeconds, turns, consumerTurns, tasks, events } = facts;
  const wakes = wakesOf(facts);
  const looks = consumerTurns ?? consumers;
  const others = Math.max(0, vertices - consumers);
  const { small, whole } = ESTIMATED_MEMORY_MIB;
  const calls = [
    { count: 2, memoryMiB: whole, seconds: 0.3 },
    { count: turns, memoryMiB: whole, seconds: turns * (0.06 + vertices * 0.000_05) },
    { count: looks, memoryMiB: small, seconds: looks * 0.06 },
    { count: wakes, memoryMiB: small, seconds: wakes * 0.075 },
  ];
  const isWoken = consumerTurns === null;
  const testsOfANode = consumers === 0 ? 0 : others / consumers;
  return {
    // Start, settle, and a Choice behind each answer: a wake that is something to decide.
    transitions: looks + turns + (isWoken ? 5 + 1.5 * tasks.length : 3),
    calls,
    // A node: two words of its container, its consumer's start, wait and outcome.
    writeUnits: (isWoken ? 5.8 : 3.8) * consumers + 1.85 * others + 20 + 2.3 * turns + 15 * tasks.length,
    // A look reads the node's row and the run's; a wake also rows of the node's tests.
    readUnits:
      (isWoken ? 8 : 10.5) * looks +
      wakes * (12 + 11 * testsOfANode) +
      turns * (5 + vertices / 40) +
      1.1 * buildSeconds +
      30,
    s3Puts: 12 + 6 * tasks.length,
    s3Gets: 6 + 4 * tasks.length,
    logBytes: vertices * LOG_BYTES.vertex + (looks + turns + wakes) * LOG_BYTES.call + consumers * LOG_BYTES.execution,
    events,
    tasks,
  };
}

/** What a run costs, estimated. US dollars at list prices: no free tier, no discount, no bill that was seen. */
export interface RunCost extends Price {
  readonly total: number;
  readonly currency: "USD";
  /** Whose list, and of which month. */
  readonly region: string;
  readonly asOf: string;
  /** Some of its tasks ran on Spot, which costs less than is counted here. */
  readonly spot: boolean;
}

export function costOf(facts: RunFacts, spot = false): RunCost {
  const price = priceOf(consumptionOf(facts));
  const { region, asOf } = PRICES;
  return { ...price, total: price.orchestration + price.tasks, currency: "USD", region, asOf, spot };
}

export interface EstimateInput {
  readonly run: RunRow;
  readonly rows: readonly VertexRow[];
  readonly tasks: readonly TaskRow[];
  readonly warnings: number;
  readonly nowMs: number;
}

/**
 * The cost of a run by its rows, so far if it goes on. What it adopted of another run cost that one. Null where the size
 * of its tasks is not known: it was deployed by an earlier version.
 */
export function estimateRun({ run, rows, tasks, warnings, nowMs }: EstimateInput): RunCost | null {
  const own = tasks.filter(({ round, stop }) => round > 0 && stop?.neverStarted !== true);
  const begun = own.filter(({ launchedAtMs, startedAtMs }) => (launchedAtMs ?? startedAtMs) !== undefined);
  const billed = begun.map((task) => billedTask(task, targetOf(run, task), nowMs));
  if (billed.some((task) => task === null)) return null;
  const builtHere = rows.filter(({ consumerStartedAtMs: atMs = 0 }) => atMs >= run.startedAtMs);
  const withTests = rows.filter(({ testsConsumerStartedAtMs: atMs = 0 }) => atMs >= run.startedAtMs);
  const consumers = builtHere.length + withTests.length;
  const wallSeconds = ((run.endedAtMs ?? nowMs) - run.startedAtMs) / 1_000;
  const { pollSeconds } = run.settings;
  const facts: RunFacts = {
    consumers,
    vertices: rows.filter(({ startedAtMs, endedAtMs }) => (endedAtMs ?? startedAtMs ?? 0) >= run.startedAtMs).length,
    buildSeconds: begun.reduce((sum, task) => sum + secondsOf(task, nowMs), 0),
    turns: run.turns ?? Math.ceil(wallSeconds / (pollSeconds ?? 60)),
    consumerTurns: pollSeconds === undefined ? null : polls(builtHere, pollSeconds, nowMs) + withTests.length,
    tasks: billed.filter((task) => task !== null),
    events: warnings,
  };
  return costOf(
    facts,
    begun.some((task) => isSpot(task, targetOf(run, task))),
  );
}

const polls = (rows: readonly VertexRow[], pollSeconds: number, nowMs: number): number =>
  rows.reduce((sum, { startedAtMs = nowMs, outcomeAtMs, endedAtMs }) => {
    const lasts = Math.max(0, (outcomeAtMs ?? endedAtMs ?? nowMs) - startedAtMs);
    return sum + 1 + lasts / 1_000 / pollSeconds;
  }, 0);

const targetOf = ({ settings }: RunRow, { size }: TaskRow): LaunchTarget =>
  size === "producer" ? settings.producer : settings.executionQueue;

const isSpot = ({ onDemand }: TaskRow, { capacity = "on_demand" }: LaunchTarget): boolean =>
  capacity !== "on_demand" && onDemand !== true;

/** From the launch, since Fargate bills the pull of the image too, to the moment in which ECS or the container saw the end. */
const secondsOf = ({ launchedAtMs, startedAtMs, stop, end }: TaskRow, nowMs: number): number =>
  Math.max(0, (stop?.stoppedAtMs ?? end?.endedAtMs ?? nowMs) - (launchedAtMs ?? startedAtMs ?? nowMs)) / 1_000;

function billedTask(task: TaskRow, target: LaunchTarget, nowMs: number): Consumption["tasks"][number] | null {
  const { cpu, memoryMiB, assignPublicIp } = target;
  if (cpu === undefined || memoryMiB === undefined) return null;
  return {
    seconds: secondsOf(task, nowMs),
    vcpu: cpu / 1_024,
    gib: memoryMiB / 1_024,
    publicAddress: assignPublicIp,
  };
}
