import type { ClaimedTasks, FencedTasks, RunKey } from "#clients/ledger.ts";
import { taskRowSchema } from "#core/contracts/ledger.ts";
import { keys } from "#core/names.ts";
import { absent, allOf, below, type Condition, equals, oneOf } from "./expressions.ts";
import { isSame, lateIsFine, type RunExpiry, readRow, requireRow, runKey, taskKey } from "./rows.ts";
import type { DynamoTable, Row } from "./table.ts";

const launching = equals("state", "launching");
const notBegun = oneOf("state", ["claiming", "launching"]);
const notOver = oneOf("state", ["claiming", "launching", "running"]);

/** Only the container that passed the fence, and only until the task is over. */
const fencedBy = (taskArn: string): Condition => allOf(equals("state", "running"), equals("fencedBy", taskArn));

/** Task rows as check-run writes them. */
export function claimedTasks(table: DynamoTable, expiries: RunExpiry): ClaimedTasks {
  return {
    async createTask(run, version, task) {
      const expiresAt = await expiries.of(run);
      return table.transact([
        {
          update: runKey(run),
          change: {
            set: { version: version + 1, lastTask: task.task },
            when: allOf(equals("version", version), equals("state", "running")),
          },
        },
        { insert: { ...taskKey(run, task.task), ...task, expiresAt } },
      ]);
    },

    async readTasks(run) {
      const rows = await table.query(keys.runPartition(run.project, run.runId), keys.taskPrefix);
      return rows.map((row) => readRow(taskRowSchema, row));
    },

    async readTask(run, task) {
      const row = await table.get(taskKey(run, task));
      return row === null ? null : readRow(taskRowSchema, row);
    },

    async markClaimed(run, task) {
      await changeUnlessLate(run, task, { set: { state: "launching" }, when: equals("state", "claiming") });
    },

    async markLaunched(run, task, launch) {
      await changeUnlessLate(run, task, { set: launch, when: launching });
    },

    async markLaunchFailed(run, task, { reason, ...failure }) {
      await changeUnlessLate(run, task, {
        set: { ...failure, lastLaunchFailure: reason },
        remove: ["taskArn", "launchedAtMs"],
        when: allOf(launching, below("launchFailures", failure.launchFailures)),
      });
    },

    async markStopped(run, task, stop) {
      const key = taskKey(run, task);
      const when = stop.neverStarted ? notBegun : notOver;
      const refusal = await table.update(key, { set: { state: "over", stop }, when });
      return refusal === null || isSame(requireRow(refusal, key).stop, stop);
    },
  };

  async function changeUnlessLate(run: RunKey, task: number, change: Parameters<DynamoTable["update"]>[1]) {
    const key = taskKey(run, task);
    lateIsFine(await table.update(key, change), key);
  }
}

/** Task rows as the container of the task writes them: each write is refused once the fence is another's. */
export function fencedTasks(table: DynamoTable): FencedTasks {
  return {
    async passFence(run, task, { taskArn, ...container }) {
      const key = taskKey(run, task);
      const refusal = await table.update(key, {
        set: { state: "running", fencedBy: taskArn, taskArn, ...container },
        when: allOf(launching, absent("fencedBy")),
      });
      if (refusal === null) return true;
      const row = requireRow(refusal, key);
      return row.state === "running" && row.fencedBy === taskArn && nothingBuilt(row);
    },

    async heartbeat(run, task, { taskArn, atMs, ...beat }) {
      const key = taskKey(run, task);
      const refusal = await table.update(key, { set: { heartbeatAtMs: atMs, ...beat }, when: fencedBy(taskArn) });
      if (refusal !== null) requireRow(refusal, key);
      return { fenced: refusal === null };
    },

    async endTask(run, task, taskArn, end, sequence) {
      const key = taskKey(run, task);
      const refusal = await table.update(key, { set: { state: "over", end, sequence }, when: fencedBy(taskArn) });
      if (refusal === null) return true;
      const row = requireRow(refusal, key);
      return row.fencedBy === taskArn && row.end !== undefined;
    },
  };
}

/** No status was noted and no dbt was seen: the same container may ask for the fence again. */
const nothingBuilt = (row: Row): boolean => row.sequence === 0 && row.invocationId === undefined;
