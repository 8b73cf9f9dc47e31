import type { ClaimedTasks, FencedTasks, RunKey } from "#clients/ledger.ts";
import { decidedTaskSchema, type TaskRow, toldTaskSchema } from "#core/contracts/ledger.ts";
import { keys } from "#core/names.ts";
import { joinTask } from "#core/run/judging/joined-rows.ts";
import { absent, allOf, anyOf, atMost, below, type Condition, equals, oneOf, present } from "./expressions.ts";
import { isSame, lateIsFine, type RunExpiry, readRow, requireRow, runKey, taskKey, toldTaskKey } from "./rows.ts";
import type { DynamoTable, Row } from "./table.ts";

const launching = equals("state", "launching");
/** Whoever decided before somebody stopped the run launches nothing after that (behaviour G12). */
const notStopped = [absent("stopRequestedAtMs"), absent("stopAfterCurrentAtMs")];
const notOver = oneOf("state", ["claiming", "launching", "running"]);

/** Only the container that passed the fence, and only until the task is over, by its own word or by somebody else's. */
const fencedBy = (taskArn: string): Condition =>
  allOf(equals("fencedBy", taskArn), absent("closedAtMs"), absent("end"));

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
            ...(task.kind === "producer" ? { append: { producers: [task.task] } } : {}),
            when: allOf(equals("version", version), equals("state", "running"), ...notStopped),
          },
        },
        { insert: { ...taskKey(run, task.task), ...task, expiresAt } },
      ]);
    },

    async readTasks(run) {
      const decided = await table.query(keys.runPartition(run.project, run.runId), keys.taskPrefix);
      const told = await table.getMany(decided.map((row) => toldTaskKey(run, Number(row.task))));
      const toldBy = new Map(told.map((row) => [row.sk, row]));
      return decided.map((row) => joined(row, toldBy.get(row.sk) ?? null));
    },

    async readTask(run, task) {
      const [decided, told] = await Promise.all([table.get(taskKey(run, task)), table.get(toldTaskKey(run, task))]);
      return decided === null ? null : joined(decided, told);
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
      const expiresAt = await expiries.of(run);
      // With the fence in one write: whoever passes it, or ends under it, is before this or never.
      const stopped = await table.transact([
        { update: key, change: { set: { state: "over", stop }, when: notOver } },
        {
          update: toldTaskKey(run, task),
          change: {
            set: { closedAtMs: stop.stoppedAtMs, expiresAt },
            when: absent(stop.neverStarted ? "fencedBy" : "end"),
          },
        },
      ]);
      if (stopped) return true;
      const { state, stop: standing } = requireRow({ row: await table.get(key) }, key);
      return state === "over" && isSame(standing, stop);
    },

    async markQuietTold(run, task, noticedAtMs) {
      const when = allOf(present("state"), anyOf(absent("quietToldAtMs"), atMost("quietToldAtMs", noticedAtMs)));
      await changeUnlessLate(run, task, { set: { quietToldAtMs: noticedAtMs }, when });
    },
  };

  async function changeUnlessLate(run: RunKey, task: number, change: Parameters<DynamoTable["update"]>[1]) {
    const key = taskKey(run, task);
    lateIsFine(await table.update(key, change), key);
  }
}

/**
 * What the container of a task tells, in a row that nothing is decided in: each write is refused once the fence is
 * another's, or closed.
 */
export function fencedTasks(table: DynamoTable, expiries: RunExpiry): FencedTasks {
  return {
    async passFence(run, task, container) {
      const key = taskKey(run, task);
      // Once launching it can only be over, and the fence is closed by the same write.
      const decided = requireRow({ row: await table.get(key) }, key);
      if (decided.state !== "launching") return false;
      const refusal = await table.update(toldTaskKey(run, task), {
        set: { ...fence(container), sequence: 0, expiresAt: await expiries.of(run) },
        when: allOf(absent("fencedBy"), absent("closedAtMs")),
      });
      if (refusal === null) return true;
      const told = requireRow(refusal, toldTaskKey(run, task));
      return told.fencedBy === container.taskArn && told.closedAtMs === undefined && nothingBuilt(told);
    },

    async heartbeat(run, task, { taskArn, atMs, ...beat }) {
      return { fenced: await tell(run, task, taskArn, { heartbeatAtMs: atMs, ...beat }) };
    },

    async tellPlan(run, task, taskArn, planKey) {
      return tell(run, task, taskArn, { toldPlanKey: planKey });
    },

    async endTask(run, task, taskArn, end, sequence) {
      const key = toldTaskKey(run, task);
      const refusal = await table.update(key, { set: { end, sequence }, when: fencedBy(taskArn) });
      if (refusal === null) return true;
      const row = requireRow(refusal, key);
      return row.fencedBy === taskArn && row.end !== undefined;
    },
  };

  async function tell(run: RunKey, task: number, taskArn: string, facts: Row): Promise<boolean> {
    const key = toldTaskKey(run, task);
    const refusal = await table.update(key, { set: facts, when: fencedBy(taskArn) });
    if (refusal !== null) requireRow(refusal, key);
    return refusal === null;
  }
}

const fence = ({ taskArn, ...container }: Parameters<FencedTasks["passFence"]>[2]): Row => ({
  fencedBy: taskArn,
  ...container,
});

/** No status was noted and no dbt was seen: the same container may ask for the fence again. */
const nothingBuilt = (row: Row): boolean =>
  row.sequence === 0 && row.invocationId === undefined && row.end === undefined;

const joined = (decided: Row, told: Row | null): TaskRow =>
  joinTask(readRow(decidedTaskSchema, decided), told === null ? null : readRow(toldTaskSchema, told));
