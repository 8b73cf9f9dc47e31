import { PRICES } from "#core/prices.ts";
import { transitionsFor } from "./billing.ts";
import { emulatorShareTable } from "./emulator-share.ts";
import { GOALS, PEER } from "./goals.ts";
import type { Overhead } from "./overhead.ts";
import { priceTable, reads } from "./price-tables.ts";
import { secondsTables } from "./seconds.ts";
import { dollars, fixed, mib, seconds, type Table } from "./table.ts";

/** The tables of the first benchmark, one for each question that a person has. */
export function overheadTables(rows: readonly Overhead[]): Table[] {
  return [
    wallClock(rows),
    whereTimeGoes(rows),
    ...(rows.some(({ alone }) => alone) ? [emulatorShareTable(rows)] : []),
    ...secondsTables(rows),
    lag(rows),
    usage(rows),
    ledger(rows),
    reads(rows),
    billing(rows),
    priceTable(rows),
  ];
}

const peerOf = ({ project, models }: Overhead) => (project === `postgres_${models}` ? PEER[models] : undefined);

const turnOf = (rows: readonly Overhead[]): number => rows[0]?.turnSeconds ?? 0;

const withTurn = (goal: string, rows: readonly Overhead[]): string =>
  turnOf(rows) === 0 ? goal : `${goal} and one turn (${fixed(turnOf(rows), 0)} s)`;

function wallClock(rows: readonly Overhead[]): Table {
  return {
    title: "Wall clock against plain dbt build, run just before (seconds)",
    columns: ["project", "verdict", "plain dbt", "stepwatch", "container", "ratio", "goal", "peer", "load before"],
    rows: rows.map((row) => {
      const peer = peerOf(row);
      const goal = GOALS.ratio + (row.turnSeconds * 1000) / row.plain.wallMs;
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
      `ratio: (stepwatch − container) / plain dbt. goal: ${withTurn(`${GOALS.ratio} ×`, rows)}; of 185 models with 8 threads.`,
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
      const goal = row.turnSeconds * 1000 + GOALS.tailBeyondIntervalMs;
      const peer = peerOf(row);
      return [row.project, ...parts.map((part) => seconds(part, 2)), `≤ ${seconds(goal)}`, seconds(peer?.tailMs)];
    }),
    notes: [
      "to claim: StartExecution → the producer's row. to dbt: fence → dbt is spawned. dbt: its process' life.",
      "to end: dbt reaped → the end recorded (reconciling). to verdict: recorded → verdict.",
      `tail: end of the last vertex → verdict; it holds dbt's own last words and exit. goal: ${withTurn("2 s", rows)}.`,
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
        `≤ ${fixed(row.turnSeconds === 0 ? GOALS.wakeLagMs / 1000 : row.turnSeconds)}`,
        seconds(peerOf(row)?.lagP95Ms),
        seconds(begun.p50, 2),
        seconds(begun.p95, 2),
      ];
    }),
    notes: [
      "lag: dbt printed the last status of a node and its tests → the last event of the execution's history; open: stopped, without an end a minute after the verdict.",
      "begun: dbt printed the node's start → its execution began.",
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
      "ms/vertex",
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
        fixed(row.seconds.runnerMsPerVertex, 2),
        ...[functions, emulator].map((part) => seconds(part.cpuMs, 2)),
        fixed(all / row.plain.cpuMs, 2),
        fixed(peerOf(row)?.cpuTimesDbt),
        ...[dbt, runner, functions, emulator].map((part) => mib(part.peakRssBytes)),
      ];
    }),
    notes: [
      `runner: the supervisor without dbt, Node's start in it; goal: ≤ ${mib(GOALS.runnerRssBytes)} MiB. ms/vertex: beyond its start, as its own rows tell; goal: ≤ ${GOALS.runnerMsPerVertex}.`,
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
  const turn = turnOf(rows);
  const stretched = turn === 0 ? 0 : transitionsFor(GOAL_BUILD.nodes, GOAL_BUILD.seconds, GOAL_BUILD.threads, turn);
  return {
    title: "Step Functions",
    columns: ["project", "executions", "transitions", "events", "run turns", "node turns", "turns/node", "longest"],
    rows: rows.map((row) => {
      const of = row.stepFunctions;
      const counts = [of.executions, of.transitions, of.events, of.runTurns, of.consumerTurns].map(String);
      return [row.project, ...counts, fixed(of.consumerTurns / (of.executions - 1), 2), String(of.longestHistory)];
    }),
    notes: [
      "transitions: states entered, as billed. longest: events of the longest history (25,000 are allowed).",
      ...(turn === 0
        ? []
        : [
            `185 nodes in 330 s would take about ${stretched} transitions by turns of ${turn} s, ${dollars(stretched * PRICES.stepFunctionsTransition)} (computed).`,
          ]),
    ],
  };
}
