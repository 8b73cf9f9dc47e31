import type { RunKey } from "#clients/ledger.ts";
import type { BuildEnd, RunRow, TaskRow, TaskStop } from "#core/contracts/ledger.ts";
import { policySchema } from "#core/contracts/settings.ts";

const target = {
  cluster: "arn:aws:ecs:us-east-1:000000000000:cluster/stepwatch",
  taskDefinitionArn: "arn:aws:ecs:us-east-1:000000000000:task-definition/shop:3",
  containerName: "dbt",
  subnets: ["subnet-1"],
  securityGroups: ["sg-1"],
  assignPublicIp: true,
};

/** A run row as start-run writes it. */
export function runRow(key: RunKey, changes: Partial<RunRow> = {}): RunRow {
  return {
    ...key,
    executionArn: `arn:aws:states:us-east-1:000000000000:execution:run:${key.runId}`,
    input: { project: key.project, vars: { huge: 1e300, text: "'\"", empty: "" } },
    settings: {
      project: key.project,
      producer: target,
      executionQueue: { ...target, maxTasks: 4 },
      policy: policySchema.parse({}),
      build: { fullRefresh: false },
      threads: 4,
      defaultTarget: null,
    },
    lockKey: "default",
    round: 1,
    state: "running",
    version: 0,
    lastTask: 0,
    startedAtMs: 1_700_000_000_000,
    deadlineAtMs: 1_700_014_400_000,
    ...changes,
  };
}

/** A task row as check-run writes it. */
export function taskRow(task: number, changes: Partial<TaskRow> = {}): TaskRow {
  return {
    task,
    kind: task === 1 ? "producer" : "fallback",
    round: 1,
    reason: "The run's first build.",
    setSample: [],
    size: task === 1 ? "producer" : "queue",
    state: "claiming",
    claimedAtMs: 1_700_000_001_000,
    clientToken: `token-${task}-0`,
    launchFailures: 0,
    sequence: 0,
    ...changes,
  };
}

export function buildEnd(changes: Partial<BuildEnd> = {}): BuildEnd {
  return {
    unnamedSkips: 0,
    endedAtMs: 1_700_000_100_000,
    exitCode: 0,
    signal: null,
    inOrder: true,
    cause: { kind: "none", sentence: "Every vertex is good.", lines: [] },
    retryableLaunch: false,
    failFast: false,
    lostWarehouse: false,
    hookFailures: [],
    endHooksDone: [],
    ranUnseen: 0,
    filled: [],
    contradictions: [],
    strays: [],
    dbtMs: 99_000,
    ...changes,
  };
}

export const taskStop: TaskStop = {
  stoppedAtMs: 1_700_000_120_000,
  stopCode: "EssentialContainerExited",
  stoppedReason: "Essential container in task exited",
  exitCode: 137,
  outOfMemory: true,
  neverStarted: false,
};
