import { transitionsFor } from "./billing.ts";
import { GOALS, PEER } from "./goals.ts";
import type { Overhead } from "./overhead.ts";
import { ASSUMED_LAMBDA_SECONDS, PRICES } from "./prices.ts";
import { dollars, fixed, mib, seconds, type Table } from "./table.ts";

/** The tables of the first benchmark, one for each question that a person has. */
export function overheadTables(rows: readonly Overhead[]): Table[] {
  return [wallClock(rows), whereTimeGoes(rows), lag(rows), usage(rows), ledger(rows), billing(rows)];
}

const peerOf = ({ project, models }: Overhead) => (project === `postgres_${models}` ? PEER[models] : undefined);

const intervalMs = (rows: readonly Overhead[]): number => (rows[0]?.pollIntervalSeconds ?? 0) * 1000;

function wallClock(rows: readonly Overhead[]): Table {
  return {
    title: "Wall clock against plain dbt build, run just before (seconds)",
    columns: ["project", "verdict", "plain dbt", "stepwatch", "container", "ratio", "goal", "peer", "load before"],
    rows: rows.map((row) => {
      const peer = peerOf(row);
      const goal = GOALS.ratio + (row.pollIntervalSeconds * 1000) / row.plain.wallMs;
      return [
        row.project,
        row.state,
        seconds(row.plain.wallMs),
        seconds(row.timeline.wallMs),
        seconds(row.timeline.containerStartMs),
        fixed(row.ratio, 2),
        `≤ ${fixed(goal, 2)}`,
        peer ? fixed(peer.wallMs / peer.plainMs, 2) : "-",
        row.load.map((load) => fixed(load)).join(" / "),
      ];
    }),
    notes: [
      "plain dbt: `dbt build` in the project's folder, its partial parse warm, the warehouse's schema dropped before.",
      "stepwatch: StartExecution to the verdict in the run's row, from the same partial parse and an empty schema.",
      "container: from the producer's row (RunTask follows at once) to the fence; a child process here, 20–60 s on Fargate.",
      `ratio: (stepwatch − container) / plain dbt. goal: ${GOALS.ratio} × and one poll interval (${fixed(intervalMs(rows) / 1000, 0)} s), by polls alone.`,
      "load before: the machine's load average before plain dbt and before the run; above the cores, both are inflated.",
    ],
  };
}

function whereTimeGoes(rows: readonly Overhead[]): Table {
  return {
    title: "Where the time goes (seconds)",
    columns: ["project", "to claim", "container", "to dbt", "dbt", "to end", "to verdict", "tail", "goal", "peer"],
    rows: rows.map((row) => {
      const { toClaimMs, containerStartMs, toDbtMs, dbtMs, toRecordedMs, toVerdictMs, tailMs } = row.timeline;
      const parts = [toClaimMs, containerStartMs, toDbtMs, dbtMs, toRecordedMs, toVerdictMs, tailMs];
      const goal = row.pollIntervalSeconds * 1000 + GOALS.tailBeyondIntervalMs;
      const peer = peerOf(row);
      return [row.project, ...parts.map((part) => seconds(part, 2)), `≤ ${seconds(goal)}`, seconds(peer?.tailMs)];
    }),
    notes: [
      "to claim: StartExecution → the producer's row. to dbt: fence → dbt is spawned. dbt: its process' life.",
      "to end: dbt reaped → the end recorded (reconciling, artefacts). to verdict: recorded → verdict (the run's poll).",
      "tail: end of the last vertex → verdict; it holds dbt's own last words and exit. goal: poll interval + 2 s.",
    ],
  };
}

function lag(rows: readonly Overhead[]): Table {
  return {
    title: "Lag of consumers (seconds)",
    columns: ["project", "consumers", "open", "p50", "p95", "max", "goal p95", "peer p95", "begun p50", "begun p95"],
    rows: rows.map((row) => {
      const { ended, begun, consumers, stopped } = row.lags;
      return [
        row.project,
        String(consumers),
        String(stopped),
        ...[ended.p50, ended.p95, ended.max].map((value) => seconds(value, 2)),
        `≤ ${fixed(row.pollIntervalSeconds)}`,
        seconds(peerOf(row)?.lagP95Ms),
        seconds(begun.p50, 2),
        seconds(begun.p95, 2),
      ];
    }),
    notes: [
      "lag: dbt printed the last status of a node and its tests → the last event of the execution's history; open: stopped, without an end a minute after the verdict.",
      "begun: dbt printed the node's start → its execution began; it is found by the run's own poll.",
    ],
  };
}

function usage(rows: readonly Overhead[]): Table {
  return {
    title: "CPU (seconds) and peak memory (MiB)",
    columns: [
      "project",
      "plain dbt",
      "dbt",
      "runner",
      "of dbt",
      "functions",
      "emulator",
      "all/plain",
      "peer",
      "dbt MiB",
      "runner MiB",
      "functions MiB",
      "emulator MiB",
    ],
    rows: rows.map((row) => {
      const { dbt, runner, functions, emulator } = row.usage;
      const all = dbt.cpuMs + runner.cpuMs + functions.cpuMs + emulator.cpuMs;
      return [
        row.project,
        ...[row.plain, dbt, runner].map((part) => seconds(part.cpuMs, 2)),
        `${fixed((100 * runner.cpuMs) / dbt.cpuMs)} %`,
        ...[functions, emulator].map((part) => seconds(part.cpuMs, 2)),
        fixed(all / row.plain.cpuMs, 2),
        fixed(peerOf(row)?.cpuTimesDbt),
        ...[dbt, runner, functions, emulator].map((part) => mib(part.peakRssBytes)),
      ];
    }),
    notes: [
      `runner: the supervisor without dbt; goal: ≤ ${GOALS.runnerCpuShare * 100} % of dbt's CPU, ≤ ${mib(GOALS.runnerRssBytes)} MiB; Node's own start is in it.`,
      "functions: the process that runs all functions, and the embedded ECS and log shipping with them.",
      "emulator: MiniStack (Step Functions, DynamoDB, S3, …); on AWS neither of the two runs on a machine of yours.",
      "all/plain: dbt, runner, functions and emulator together over plain dbt's CPU.",
    ],
  };
}

function ledger(rows: readonly Overhead[]): Table {
  return {
    title: "Ledger, counted on the wire",
    columns: [
      "project",
      "vertices",
      "writes",
      "per node",
      "per test",
      "task rows",
      "other",
      "refused",
      "kB",
      "B/vertex",
      "reads",
      "ms p95",
    ],
    rows: rows.map((row) => {
      const of = row.ledger;
      return [
        row.project,
        String(row.vertices),
        String(of.writes),
        fixed(of.perNode, 2),
        fixed(of.perTest, 2),
        String(of.taskWrites),
        String(of.otherWrites),
        String(of.refused),
        fixed(of.bytes / 1000),
        fixed(of.bytesPerVertex, 0),
        String(of.reads),
        fixed(of.writeMsP95, 0),
      ];
    }),
    notes: [
      `per node, per test: writes to the rows of nodes and tests; goals: ≤ ${GOALS.writesPerNode} and ≤ ${GOALS.writesPerTest}. task rows: heartbeats and a task's moves.`,
      "kB: bodies of all writes. B/vertex: bodies of the writes to one vertex; the same at every size if bytes are linear.",
      "ms p95: the emulator's time for a write, as its caller sees it.",
    ],
  };
}

/** The build that the goal speaks of: 185 nodes in 330 s under 8 threads. */
const GOAL_BUILD = { nodes: 187, seconds: 330, threads: 8 };

function billing(rows: readonly Overhead[]): Table {
  const interval = intervalMs(rows) / 1000;
  const stretched = transitionsFor(GOAL_BUILD.nodes, GOAL_BUILD.seconds, GOAL_BUILD.threads, interval);
  return {
    title: `Step Functions, and the price on AWS (${PRICES.region}, list prices of ${PRICES.asOf})`,
    columns: [
      "project",
      "executions",
      "transitions",
      "events",
      "run turns",
      "node turns",
      "longest",
      "orchestration",
      "tasks",
    ],
    rows: rows.map((row) => {
      const of = row.stepFunctions;
      const counts = [of.executions, of.transitions, of.events, of.runTurns, of.consumerTurns, of.longestHistory];
      return [row.project, ...counts.map(String), dollars(row.price.orchestration), dollars(row.price.tasks)];
    }),
    notes: [
      "transitions: states entered, as billed. longest: events of the longest history (25,000 are allowed).",
      `orchestration: Step Functions, Lambda (${ASSUMED_LAMBDA_SECONDS * 1000} ms a call, assumed), DynamoDB; tasks: Fargate, 1 vCPU and 2 GiB, a minute at least.`,
      `goal: ≤ $${GOALS.orchestrationDollars} for 185 nodes in 330 s; that build would take about ${stretched} transitions at ${interval} s, ${dollars(stretched * PRICES.stepFunctionsTransition)} (computed).`,
    ],
  };
}
