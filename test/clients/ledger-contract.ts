import { beforeEach, describe, expect, it } from "vitest";
import type { Ledger, RoundKey } from "#clients/ledger.ts";
import type { VertexRow } from "#core/contracts/ledger.ts";
import type { RoundRequest } from "#core/contracts/rounds.ts";
import { NO_COUNTS } from "#core/contracts/run-tally.ts";
import type { VertexWrite } from "#core/contracts/vertex-write.ts";
import { RowMissing } from "#core/errors.ts";
import { buildEnd, runRow, taskRow, taskStop } from "../support/ledger-rows.ts";

const ORDERS = "model.shop.orders";
const PRODUCER = "arn:aws:ecs:us-east-1:000000000000:task/stepwatch/aaa";
const ZOMBIE = "arn:aws:ecs:us-east-1:000000000000:task/stepwatch/zzz";

const started: VertexWrite = {
  uniqueId: ORDERS,
  resourceType: "model",
  status: "started",
  evidence: true,
  startedAtMs: 1000,
};
const failed: VertexWrite = {
  uniqueId: ORDERS,
  status: "error",
  evidence: true,
  endedAtMs: 2000,
  executionSeconds: 1.25,
  message: 'Database Error: relation "x" does not exist',
  failures: 3,
  relation: '"shop"."main"."orders"',
  batches: [{ name: "2026-01-01", status: "error" }],
};

let runs = 0;

/** What every ledger must hold. Each test has a run of its own, so that one ledger serves them all. */
export function ledgerContract(name: string, open: () => Promise<Ledger>): void {
  describe(name, () => {
    let ledger: Ledger;
    let key: RoundKey;

    beforeEach(async () => {
      ledger = await open();
      runs += 1;
      key = { project: `shop${runs}`, runId: `20260101-000000-${runs}`, round: 1 };
      await ledger.createRun(runRow(key));
    });

    const vertex = async (uniqueId = ORDERS) => (await ledger.readSomeVertices(key, [uniqueId]))[0];
    const launchable = async (task = 1, version = task - 1) => {
      await ledger.createTask(key, version, taskRow(task));
      await ledger.markClaimed(key, task);
    };
    const running = async () => {
      await launchable();
      await ledger.passFence(key, 1, { taskArn: PRODUCER, startedAtMs: 5, logStream: "dbt/dbt/aaa" });
    };

    describe("run", () => {
      it("D2: starting twice changes nothing, and the row comes back as it was written", async () => {
        expect(await ledger.createRun(runRow(key, { version: 7, lockKey: "other" }))).toBe(false);
        expect(await ledger.readRun(key)).toEqual(runRow(key));
        expect(await ledger.readRun({ ...key, runId: "unknown" })).toBeNull();
      });

      it("takes the first plan only", async () => {
        expect(await ledger.setPlan(key, { planKey: "a", plannedVertices: 3, plannedNodes: 2 })).toBe(true);
        expect(await ledger.setPlan(key, { planKey: "a", plannedVertices: 3, plannedNodes: 2 })).toBe(true);
        expect(await ledger.setPlan(key, { planKey: "a", plannedVertices: 3, plannedNodes: 3 })).toBe(false);
        expect(await ledger.setPlan(key, { planKey: "b", plannedVertices: 9, plannedNodes: 9 })).toBe(false);
        expect(await ledger.readRun(key)).toMatchObject({ planKey: "a", plannedVertices: 3, plannedNodes: 2 });
      });

      it("keeps the first stop request", async () => {
        await ledger.requestStop(key, { atMs: 10, reason: "by hand" });
        await ledger.requestStop(key, { atMs: 20, reason: "again" });
        expect(await ledger.readRun(key)).toMatchObject({ stopRequestedAtMs: 10, stopReason: "by hand" });
      });

      it("G12: a stop that lets builds end gives way to one that does not, and to no other", async () => {
        await ledger.requestStop(key, { atMs: 10, reason: "enough", by: "ada", afterCurrent: true });
        await ledger.requestStop(key, { atMs: 11, reason: "too", by: "bob", afterCurrent: true });
        const letting = { stopAfterCurrentAtMs: 10, stopReason: "enough", stopRequestedBy: "ada" };
        expect(await ledger.readRun(key)).toMatchObject(letting);
        expect((await ledger.readRun(key))?.stopRequestedAtMs).toBeUndefined();
        await ledger.requestStop(key, { atMs: 20, reason: "at once", by: "bob" });
        await ledger.requestStop(key, { atMs: 30, reason: "late", by: "ada", afterCurrent: true });
        const stopped = { stopRequestedAtMs: 20, stopReason: "at once", stopRequestedBy: "bob" };
        expect(await ledger.readRun(key)).toMatchObject(stopped);
      });

      it("G12: no task is made once the run is stopped, whatever the decision had seen", async () => {
        for (const [afterCurrent, runId] of [
          [false, "stopped"],
          [true, "let end"],
        ] as const) {
          const other = { ...key, runId: `${key.runId} ${runId}` };
          await ledger.createRun(runRow(other));
          expect(await ledger.createTask(other, 0, taskRow(1))).toBe(true);
          await ledger.requestStop(other, { atMs: 10, reason: "enough", afterCurrent });
          expect(await ledger.createTask(other, 1, taskRow(2))).toBe(false);
          expect(await ledger.readTasks(other)).toHaveLength(1);
        }
      });

      it("G12: a stop of which nobody is known does not keep the name of an earlier one", async () => {
        await ledger.requestStop(key, { atMs: 10, reason: "enough", by: "ada", afterCurrent: true });
        await ledger.requestStop(key, { atMs: 20, reason: "its execution was ended" });
        expect((await ledger.readRun(key))?.stopRequestedBy).toBeUndefined();
      });

      it("holds and releases under the version", async () => {
        expect(await ledger.setHeldSince(key, 1, 5)).toBe(false);
        expect(await ledger.setHeldSince(key, 0, 5)).toBe(true);
        expect((await ledger.readRun(key))?.heldSinceMs).toBe(5);
        expect(await ledger.setHeldSince(key, 0, null)).toBe(true);
        expect(await ledger.readRun(key)).toEqual(runRow(key));
      });

      it("F13: notes the wait of the present turn and counts the turns, of a run that there is", async () => {
        await ledger.keepRunWait({ ...key, runId: "none" }, { token: "t0", averageSeconds: 7 });
        expect(await ledger.readRun({ ...key, runId: "none" })).toBeNull();
        await ledger.keepRunWait(key, { token: "t1", averageSeconds: 7 });
        await ledger.keepRunWait(key, { token: "t2", averageSeconds: 7 });
        const waits = { wait: { token: "t2", averageSeconds: 7 }, turns: 2 };
        expect(await ledger.readRun(key)).toEqual({ ...runRow(key), ...waits });
      });

      it("notes once that nothing is left to wait for, and takes no decision of that version after it", async () => {
        expect(await ledger.setHeldSince(key, 0, 5)).toBe(true);
        expect(await ledger.markReady(key, 1, 40)).toBe(false);
        expect(await ledger.markReady(key, 0, 40)).toBe(true);
        expect(await ledger.readRun(key)).toEqual({ ...runRow(key), readyAtMs: 40, version: 1 });
        expect(await ledger.createTask(key, 0, taskRow(1))).toBe(false);
      });

      it("takes one verdict", async () => {
        const tally = { counts: { ...NO_COUNTS, good: 9 }, retried: 1, dbtMs: 40, usd: 0.01 };
        const end = { state: "green", verdict: "9 of 9 good.", summaryKey: null, endedAtMs: 50, tally } as const;
        expect(await ledger.endRun(key, end)).toBe(true);
        expect(await ledger.endRun(key, end)).toBe(true);
        expect(await ledger.endRun(key, { ...end, state: "red", summaryKey: "s" })).toBe(false);
        const run = await ledger.readRun(key);
        expect(run).toMatchObject({ state: "green", verdict: "9 of 9 good.", endedAtMs: 50, tally });
        expect(run).not.toHaveProperty("summaryKey");
      });

      it("notes once, and only of a run that has ended, that its events are published", async () => {
        await ledger.markEventsSent(key, 60);
        expect(await ledger.readRun(key)).toEqual(runRow(key));
        await ledger.endRun(key, { state: "green", verdict: "9 of 9 good.", summaryKey: null, endedAtMs: 50 });
        await ledger.markEventsSent(key, 60);
        await ledger.markEventsSent(key, 70);
        expect((await ledger.readRun(key))?.eventsSentAtMs).toBe(60);
      });

      const request: RoundRequest = {
        round: 1,
        by: "person",
        who: "ada",
        atMs: 60,
        downstream: false,
        force: false,
        fullRefresh: false,
      };
      const past = { round: 1, state: "red" as const, verdict: "Bad.", startedAtMs: 1, endedAtMs: 50 };
      const next = { opening: request, past, startedAtMs: 70, deadlineAtMs: 9_000, redrives: 2 };

      it("G8: opening a round voids everything that was marked in the one before, in one write", async () => {
        await ledger.requestStop(key, { atMs: 10, reason: "by hand" });
        await ledger.markFault(key, { atMs: 11, sentence: "no permission" });
        await ledger.setHeldSince(key, 0, 5);
        await ledger.markReady(key, 0, 40);
        await ledger.endRun(key, { state: "red", verdict: "Bad.", summaryKey: "s", endedAtMs: 50 });
        await ledger.markEventsSent(key, 55);
        const seen = (await ledger.readRun(key))!;
        expect(await ledger.openRound(seen, next)).toBe(true);
        expect(await ledger.readRun(key)).toEqual({
          ...runRow(key),
          round: 2,
          version: 2,
          opening: request,
          rounds: [past],
          roundStartedAtMs: 70,
          deadlineAtMs: 9_000,
          redrives: 2,
        });
        expect(await ledger.openRound(seen, next), "repeated by the SDK").toBe(true);
        expect(await ledger.openRound(seen, { ...next, startedAtMs: 71 }), "by somebody else").toBe(false);
        expect(await ledger.createTask(key, 1, taskRow(1)), "a decision of the round before").toBe(false);
      });

      it("G23: what comes late of an earlier round changes nothing in the present one", async () => {
        await ledger.endRun(key, { state: "red", verdict: "Bad.", summaryKey: null, endedAtMs: 50 });
        await ledger.openRound((await ledger.readRun(key))!, next);
        const opened = await ledger.readRun(key);
        await ledger.requestStop(key, { atMs: 80, reason: "late" });
        await ledger.markFault(key, { atMs: 80, sentence: "late" });
        await ledger.markRedriven(key, 9);
        expect(await ledger.endRun(key, { state: "stopped", verdict: "Late.", summaryKey: null, endedAtMs: 81 })).toBe(
          false,
        );
        await ledger.markEventsSent(key, 82);
        expect(await ledger.requestRound(key, request)).toBe(false);
        expect(await ledger.readRun(key)).toEqual(opened);
        await ledger.requestStop({ ...key, round: 2 }, { atMs: 90, reason: "in time" });
        expect((await ledger.readRun(key))?.stopReason).toBe("in time");
      });

      it("G8: no wish for a round is lost between its opening's look and its write", async () => {
        await ledger.endRun(key, { state: "red", verdict: "Bad.", summaryKey: null, endedAtMs: 50 });
        const seen = (await ledger.readRun(key))!;
        expect(await ledger.requestRound(key, request)).toBe(true);
        expect(await ledger.openRound(seen, next)).toBe(false);
        expect(await ledger.requestRound(key, { ...request, nodes: ["model.shop.orders"] })).toBe(true);
        const read = (await ledger.readRun(key))!;
        expect(read.requests).toHaveLength(2);
        expect(await ledger.openRound(read, next)).toBe(true);
        // They are answered by it, and a row does not grow with them.
        expect(await ledger.readRun(key)).not.toHaveProperty("requests");
      });

      it("G23: marks on a vertex carry their round, and an earlier round's does not stand over a later one's", async () => {
        const second = { ...key, round: 2 };
        await ledger.writeVertex(key, 1, failed);
        const dead = { uniqueId: ORDERS, final: "dead", finalReason: "tries used up" } as const;
        await ledger.setFinal(second, 1, { ...dead, finalReason: "again" });
        await ledger.setFinal(key, 1, dead);
        await ledger.markConsumerStarted(second, ORDERS, "node", 7);
        await ledger.markConsumerStarted(key, ORDERS, "node", 8);
        await ledger.setOutcome(second, ORDERS, "node", { outcome: "green", atMs: 9 });
        await ledger.setOutcome(key, ORDERS, "node", { outcome: "red", atMs: 10 });
        const marks = { consumerStartedAtMs: 7, consumerRound: 2, outcome: "green", outcomeAtMs: 9, outcomeRound: 2 };
        expect(await vertex()).toMatchObject({ ...marks, finalReason: "again", finalRound: 2 });
      });

      it("G8: rows of another run are adopted under a new one's key, once", async () => {
        const run = runRow({ ...key, runId: `${key.runId}-b` }, { resumed: key.runId, lastTask: 1, planKey: "plan" });
        await ledger.writeVertex(key, 1, failed);
        const [row] = await ledger.readVertices(key);
        const long = { ...row!, uniqueId: `model.shop.${"x".repeat(1_500)}`, tryTasks: [1, 2], lostTasks: [] };
        const task = taskRow(1, { round: 0, state: "over", end: buildEnd() });
        await ledger.adoptRows(run, [task], [row!, long]);
        await ledger.adoptRows(run, [{ ...task, round: 1 }], [{ ...row!, status: "other" }]);
        expect(await ledger.createRun(run)).toBe(true);
        expect(await ledger.readTasks(run)).toEqual([task]);
        const byId = (rows: VertexRow[]) => new Map(rows.map((one) => [one.uniqueId, one]));
        expect(byId(await ledger.readVertices(run))).toEqual(byId([row!, long]));
        expect(await ledger.claimVertex(run, 2, { uniqueId: long.uniqueId, from: 1 })).toBe(true);
      });

      it("G25: a person's word stands on the vertex until it is taken back or the vertex is claimed", async () => {
        const mark = { as: "good", by: "ada", atMs: 5, reason: "looked at the table" } as const;
        await ledger.setMark(key, ORDERS, 1, mark);
        expect(await vertex()).toMatchObject({ mark, ownerTask: 1 });
        await ledger.setMark(key, ORDERS, 1, null);
        expect(await vertex()).not.toHaveProperty("mark");
        await ledger.setMark(key, ORDERS, 1, mark);
        await ledger.claimVertex(key, 2, { uniqueId: ORDERS, from: 1 });
        expect(await vertex()).not.toHaveProperty("mark");
      });

      it("G8: a claim that forgets takes what was said of a vertex from its row, and leaves its tries", async () => {
        await ledger.writeVertex(key, 1, { ...started, status: "success", endedAtMs: 9, evidence: true });
        await ledger.claimVertex(key, 2, { uniqueId: ORDERS, from: 1, forget: true });
        expect(await vertex()).toMatchObject({ ownerTask: 2, tryTasks: [1] });
        for (const told of ["status", "statusTask", "evidence", "startedAtMs", "endedAtMs"])
          expect(await vertex()).not.toHaveProperty(told);
      });

      it("refuses rows of a run that is not there, by name", async () => {
        const unknown = { ...key, runId: "unknown" };
        await expect(ledger.requestStop(unknown, { atMs: 1, reason: "r" })).rejects.toThrow(RowMissing);
        await expect(ledger.writeVertex(unknown, 1, started)).rejects.toThrow(RowMissing);
        await expect(ledger.createTask(unknown, 0, taskRow(1))).rejects.toThrow(RowMissing);
        await expect(ledger.passFence(unknown, 1, { taskArn: PRODUCER, startedAtMs: 1 })).rejects.toThrow(RowMissing);
        expect(await ledger.readVertices(unknown)).toEqual([]);
        expect(await ledger.readTasks(unknown)).toEqual([]);
      });
    });

    describe("tasks", () => {
      it("G5: of two deciders with one version, one gets its task", async () => {
        const answers = await Promise.all([
          ledger.createTask(key, 0, taskRow(1, { reason: "left" })),
          ledger.createTask(key, 0, taskRow(1, { reason: "right" })),
        ]);
        expect(answers.filter(Boolean)).toHaveLength(1);
        expect(await ledger.readTasks(key)).toHaveLength(1);
        expect(await ledger.readRun(key)).toMatchObject({ version: 1, lastTask: 1 });
      });

      it("G5: a decider with an old version gets no task, whatever number it would take", async () => {
        expect(await ledger.createTask(key, 0, taskRow(1))).toBe(true);
        expect(await ledger.createTask(key, 0, taskRow(2))).toBe(false);
        expect(await ledger.createTask(key, 2, taskRow(2))).toBe(false);
        expect(await ledger.createTask(key, 1, taskRow(1))).toBe(false);
        expect(await ledger.readRun(key)).toMatchObject({ version: 1, lastTask: 1 });
      });

      it("gives no task to a run that has its verdict", async () => {
        await ledger.endRun(key, { state: "stopped", verdict: "Stopped.", summaryKey: null, endedAtMs: 1 });
        expect(await ledger.createTask(key, 0, taskRow(1))).toBe(false);
        expect(await ledger.readTask(key, 1)).toBeNull();
      });

      it("lists tasks by number, as they were written", async () => {
        const tasks = Array.from({ length: 11 }, (_, index) => taskRow(index + 1, { setKey: "s", setSize: 2 }));
        for (const [version, task] of tasks.entries()) await ledger.createTask(key, version, task);
        expect(await ledger.readTasks(key)).toEqual(tasks);
      });

      it("D11: a refused launch is counted once, and the next attempt has another token", async () => {
        await launchable();
        await ledger.markLaunched(key, 1, { taskArn: PRODUCER, launchedAtMs: 2 });
        const failure = { reason: "no capacity", nextLaunchAtMs: 9, launchFailures: 1, clientToken: "token-1-1" };
        await ledger.markLaunchFailed(key, 1, failure);
        await ledger.markLaunched(key, 1, { taskArn: ZOMBIE, launchedAtMs: 12 });
        await ledger.markLaunchFailed(key, 1, failure);
        expect(await ledger.readTask(key, 1)).toEqual(
          taskRow(1, {
            state: "launching",
            launchFailures: 1,
            lastLaunchFailure: "no capacity",
            nextLaunchAtMs: 9,
            clientToken: "token-1-1",
            taskArn: ZOMBIE,
            launchedAtMs: 12,
          }),
        );
      });

      it("takes a stop once and tells a repetition from another one", async () => {
        await running();
        expect(await ledger.markStopped(key, 1, taskStop)).toBe(true);
        expect(await ledger.markStopped(key, 1, taskStop)).toBe(true);
        expect(await ledger.markStopped(key, 1, { ...taskStop, exitCode: 1 })).toBe(false);
        expect(await ledger.readTask(key, 1)).toMatchObject({ state: "over", stop: taskStop });
      });

      it("D11: gives up the launch of a task only while no container has passed its fence", async () => {
        await running();
        expect(await ledger.markStopped(key, 1, { ...taskStop, neverStarted: true })).toBe(false);
        expect(await ledger.readTask(key, 1)).toMatchObject({ state: "running" });
      });

      it("leaves a task that moved on as it is", async () => {
        await running();
        await ledger.markClaimed(key, 1);
        await ledger.markLaunched(key, 1, { taskArn: ZOMBIE, launchedAtMs: 2 });
        expect(await ledger.readTask(key, 1)).toMatchObject({ state: "running", taskArn: PRODUCER });
        await expect(ledger.markClaimed(key, 9)).rejects.toThrow(RowMissing);
      });
    });

    describe("container", () => {
      it("D2: the fence lets one container in, and that one again while it has built nothing", async () => {
        await ledger.createTask(key, 0, taskRow(1));
        const ask = (taskArn: string) => ledger.passFence(key, 1, { taskArn, startedAtMs: 5 });
        expect(await ask(PRODUCER), "before check-run has claimed every vertex").toBe(false);
        await ledger.markClaimed(key, 1);
        expect(await ask(PRODUCER)).toBe(true);
        expect(await ask(ZOMBIE)).toBe(false);
        expect(await ask(PRODUCER)).toBe(true);
        expect(await ledger.readTask(key, 1)).toMatchObject({ fencedBy: PRODUCER, taskArn: PRODUCER });
        await ledger.heartbeat(key, 1, { taskArn: PRODUCER, atMs: 9, sequence: 0, invocationId: "i" });
        expect(await ask(PRODUCER), "after dbt was started").toBe(false);
      });

      it("D2: two containers at once, one passes", async () => {
        await launchable();
        const answers = await Promise.all(
          [PRODUCER, ZOMBIE].map((taskArn) => ledger.passFence(key, 1, { taskArn, startedAtMs: 5 })),
        );
        expect(answers.filter(Boolean)).toHaveLength(1);
      });

      it("beats under the fence and keeps what a later beat leaves out", async () => {
        await running();
        const first = { taskArn: PRODUCER, atMs: 9, sequence: 2, dbtVersion: "1.11.2", invocationId: "i" };
        expect(await ledger.heartbeat(key, 1, first)).toEqual({ fenced: true });
        const second = { taskArn: PRODUCER, atMs: 19, sequence: 4, dbtVersion: undefined };
        expect(await ledger.heartbeat(key, 1, second)).toEqual({ fenced: true });
        expect(await ledger.heartbeat(key, 1, { ...first, taskArn: ZOMBIE })).toEqual({ fenced: false });
        const seen = { heartbeatAtMs: 19, sequence: 4, dbtVersion: "1.11.2", invocationId: "i" };
        expect(await ledger.readTask(key, 1)).toMatchObject(seen);
      });

      it("A25: keeps what a beat says of a silence, and which of it an event has told, whatever comes late", async () => {
        await running();
        const runs = [{ uniqueId: ORDERS, startedAtMs: 3 }];
        const quiet = [{ sinceMs: 4, noticedAtMs: 9, running: runs, count: 1, interrupted: false }];
        await ledger.heartbeat(key, 1, { taskArn: PRODUCER, atMs: 9, sequence: 2, quiet });
        await ledger.heartbeat(key, 1, { taskArn: PRODUCER, atMs: 10, sequence: 2 });
        await ledger.markQuietTold(key, 1, 9);
        await ledger.markQuietTold(key, 1, 8);
        expect(await ledger.readTask(key, 1)).toMatchObject({ quiet, quietToldAtMs: 9 });
        await expect(ledger.markQuietTold(key, 7, 9)).rejects.toThrow(RowMissing);
      });

      it("tells its plan under the fence, and no longer than that", async () => {
        await running();
        expect(await ledger.tellPlan(key, 1, ZOMBIE, "forged")).toBe(false);
        expect(await ledger.tellPlan(key, 1, PRODUCER, "plan")).toBe(true);
        await ledger.endTask(key, 1, PRODUCER, buildEnd(), 9);
        expect(await ledger.tellPlan(key, 1, PRODUCER, "late")).toBe(false);
        expect(await ledger.readTask(key, 1)).toMatchObject({ toldPlanKey: "plan", state: "over" });
        expect(await ledger.readRun(key)).not.toHaveProperty("planKey");
      });

      it("D2: of a container at the fence and a launch that is given up, one is first, whoever it is", async () => {
        for (const order of ["container", "giving up", "at once"]) {
          const run = { ...key, runId: `${key.runId} ${order}` };
          await ledger.createRun(runRow(run));
          await ledger.createTask(run, 0, taskRow(1));
          await ledger.markClaimed(run, 1);
          const pass = () => ledger.passFence(run, 1, { taskArn: PRODUCER, startedAtMs: 5 });
          const giveUp = () => ledger.markStopped(run, 1, { ...taskStop, neverStarted: true });
          const steps = order === "giving up" ? [giveUp, pass] : [pass, giveUp];
          const answers: boolean[] = [];
          if (order === "at once") answers.push(...(await Promise.all(steps.map((step) => step()))));
          else for (const step of steps) answers.push(await step());
          expect(answers.filter(Boolean), order).toHaveLength(1);
          const isOver = (await ledger.readTask(run, 1))!.state === "over";
          expect(isOver).toBe(order === "giving up" || (order === "at once" && answers[1]));
          expect(await pass(), "and stays so").toBe(!isOver);
        }
      });

      it("D2: of a container's end and ECS' word, one is first, and the other changes nothing", async () => {
        await running();
        const steps = [ledger.endTask(key, 1, PRODUCER, buildEnd(), 9), ledger.markStopped(key, 1, taskStop)];
        expect((await Promise.all(steps)).filter(Boolean)).toHaveLength(1);
        const { end, stop, state } = (await ledger.readTask(key, 1))!;
        expect([end, stop].filter((one) => one !== undefined)).toHaveLength(1);
        expect(state).toBe("over");
      });

      it("D1: records the end once, under the fence", async () => {
        await running();
        expect(await ledger.endTask(key, 1, ZOMBIE, buildEnd({ exitCode: 2 }), 9)).toBe(false);
        expect(await ledger.endTask(key, 1, PRODUCER, buildEnd(), 9)).toBe(true);
        expect(await ledger.endTask(key, 1, PRODUCER, buildEnd(), 9)).toBe(true);
        expect(await ledger.readTask(key, 1)).toMatchObject({ state: "over", end: buildEnd(), sequence: 9 });
        expect(await ledger.markStopped(key, 1, taskStop)).toBe(false);
      });

      it("E4: a container whose task was ended is fenced off", async () => {
        await running();
        await ledger.markStopped(key, 1, taskStop);
        const beat = { taskArn: PRODUCER, atMs: 9, sequence: 2 };
        expect(await ledger.heartbeat(key, 1, beat)).toEqual({ fenced: false });
        expect(await ledger.endTask(key, 1, PRODUCER, buildEnd(), 9)).toBe(false);
        expect(await ledger.readTask(key, 1)).not.toHaveProperty("end");
      });
    });

    describe("vertices", () => {
      it("a status makes the row; later ones of the try overwrite only what they bring", async () => {
        await ledger.writeVertex(key, 1, started);
        await ledger.writeVertex(key, 1, { ...failed, message: undefined });
        await ledger.writeVertex(key, 1, { ...failed, failures: undefined });
        const { evidence: _, ...written } = { ...started, ...failed };
        expect(await vertex()).toEqual({
          ...written,
          evidence: true,
          ownerTask: 1,
          statusTask: 1,
          epoch: 0,
          tryTasks: [1],
          lostTasks: [],
        });
      });

      it("C11: a later word of the try takes back what an earlier one said, by null", async () => {
        await ledger.writeVertex(key, 1, failed);
        await ledger.writeVertex(key, 1, { ...failed, relation: null, message: null });
        const { relation: _, message: __, ...rest } = failed;
        expect(await vertex()).toEqual(expect.objectContaining(rest));
        expect(await vertex()).not.toHaveProperty("relation");
        expect(await vertex()).not.toHaveProperty("message");
      });

      it("D18: an id of 2,000 bytes is written, claimed, closed and read back whole, beside its neighbour", async () => {
        const long = `test.shop.accepted_values_${"aa__".repeat(500)}`;
        const write = { ...failed, uniqueId: long };
        await ledger.writeVertex(key, 1, write);
        await ledger.writeVertex(key, 1, { ...write, uniqueId: `${long}x` });
        expect(await ledger.claimVertex(key, 2, { uniqueId: long, from: 1 })).toBe(true);
        await ledger.setFinal(key, 2, { uniqueId: long, final: "dead", finalReason: "no" });
        const unseen = `${long}y`;
        await ledger.setFinal(key, 1, { uniqueId: unseen, final: "not_built", finalReason: "no" });
        const rows = await ledger.readSomeVertices(key, [long, unseen]);
        expect(rows.map((row) => [row.uniqueId, row.ownerTask, row.final]).sort()).toEqual([
          [long, 2, "dead"],
          [unseen, 1, "not_built"],
        ]);
        expect((await ledger.readVertices(key)).map((row) => row.uniqueId).sort()).toEqual([long, `${long}x`, unseen]);
      });

      it("C3: a replayed result is counted once", async () => {
        await ledger.writeVertex(key, 1, started);
        await ledger.writeVertex(key, 1, failed);
        const once = await vertex();
        await ledger.writeVertex(key, 1, failed);
        expect(await vertex()).toEqual(once);
        expect(once?.tryTasks).toEqual([1]);
      });

      it("C3: fifty results at once, none lost", async () => {
        const ids = Array.from({ length: 50 }, (_, index) => `test.shop.t${String(index).padStart(2, "0")}`);
        await Promise.all(ids.map((uniqueId) => ledger.writeVertex(key, 1, { ...failed, uniqueId })));
        expect((await ledger.readVertices(key)).map((row) => row.uniqueId)).toEqual(ids);
      });

      it("a start that the network held back does not reopen its ended try", async () => {
        await ledger.writeVertex(key, 1, failed);
        await ledger.writeVertex(key, 1, started);
        expect(await vertex()).toMatchObject({ status: "error" });
      });

      it("E1, C3: ends of one moment are one call, each as whole as if it had been written alone", async () => {
        const ids = Array.from({ length: 25 }, (_, index) => `test.shop.t${String(index).padStart(2, "0")}`);
        const long = `test.shop.${"x".repeat(1_500)}`;
        await ledger.writeVertex(key, 1, { ...started, uniqueId: ids[0]!, relation: "old" });
        const ends = [...ids.slice(1), long].map((uniqueId) => ({ ...failed, uniqueId }));
        expect(
          await ledger.writeEnds(key, 1, [{ ...failed, uniqueId: ids[0]!, relation: null }, ...ends.slice(1)]),
        ).toEqual([]);
        expect(await ledger.writeEnds(key, 1, ends.slice(0, 1))).toEqual([]);
        const rows = await ledger.readVertices(key);
        expect(rows.map((row) => row.uniqueId)).toEqual([...ids, long]);
        expect(new Set(rows.map((row) => row.status))).toEqual(new Set([failed.status]));
        expect(rows[0]?.relation ?? null).toBeNull();
        expect(rows[0]).toMatchObject({ message: failed.message, tryTasks: [1] });
      });

      it("E1: a start that the network held back does not reopen what ended with others", async () => {
        await ledger.writeEnds(key, 1, [failed, { ...failed, uniqueId: "model.shop.other" }]);
        await ledger.writeVertex(key, 1, started);
        expect(await vertex()).toMatchObject({ status: "error" });
      });

      it("G6: a start that ends as a skip is no try", async () => {
        await ledger.writeVertex(key, 1, started);
        await ledger.writeVertex(key, 1, { uniqueId: ORDERS, status: "skipped", evidence: false });
        expect(await vertex()).toMatchObject({ status: "skipped", evidence: false, tryTasks: [] });
      });

      it("D2: a repeated claim recognises itself, another one does not get the vertex", async () => {
        await ledger.writeVertex(key, 1, failed);
        const claim = { uniqueId: ORDERS, from: 1, lostTask: 1 };
        expect(await ledger.claimVertex(key, 2, claim)).toBe(true);
        expect(await ledger.claimVertex(key, 2, claim)).toBe(true);
        expect(await ledger.claimVertex(key, 3, claim)).toBe(false);
        expect(await vertex()).toMatchObject({
          ownerTask: 2,
          epoch: 1,
          tryTasks: [1],
          lostTasks: [1],
          status: "error",
        });
        expect(await ledger.claimVertex(key, 2, { uniqueId: "model.shop.new", from: null })).toBe(true);
        expect(await ledger.claimVertex(key, 3, { uniqueId: "model.shop.new", from: null })).toBe(false);
        expect(await ledger.claimVertex(key, 3, { uniqueId: "model.shop.none", from: 1 })).toBe(false);
        expect(await vertex("model.shop.none")).toBeUndefined();
      });

      it("G5: of two claims of one vertex, one wins", async () => {
        await ledger.writeVertex(key, 1, failed);
        const claim = { uniqueId: ORDERS, from: 1 };
        const answers = await Promise.all([2, 3].map((task) => ledger.claimVertex(key, task, claim)));
        expect(answers.filter(Boolean)).toHaveLength(1);
      });

      it("E4: a zombie's late write changes nothing", async () => {
        await ledger.writeVertex(key, 1, started);
        await ledger.claimVertex(key, 2, { uniqueId: ORDERS, from: 1 });
        await ledger.claimVertex(key, 2, { uniqueId: "model.shop.unreached", from: null });
        const before = await ledger.readVertices(key);
        await ledger.writeVertex(key, 1, { ...failed, status: "success" });
        await ledger.writeVertex(key, 1, { ...failed, uniqueId: "model.shop.unreached" });
        expect(await ledger.readVertices(key)).toEqual(before);
      });

      it("G17: a newer task's first status clears the older try's story, but for its batches", async () => {
        await ledger.writeVertex(key, 1, { ...started, checksum: "c" });
        await ledger.writeVertex(key, 1, failed);
        await ledger.claimVertex(key, 2, { uniqueId: ORDERS, from: 1 });
        await ledger.writeVertex(key, 2, { ...started, startedAtMs: 7000 });
        expect(await vertex()).toEqual({
          uniqueId: ORDERS,
          resourceType: "model",
          status: "started",
          evidence: true,
          startedAtMs: 7000,
          relation: failed.relation,
          batches: failed.batches,
          checksum: "c",
          ownerTask: 2,
          statusTask: 2,
          epoch: 1,
          tryTasks: [1, 2],
          lostTasks: [],
        });
        await ledger.writeVertex(key, 2, { uniqueId: ORDERS, status: "success", evidence: true, endedAtMs: 8000 });
        expect(await vertex()).toMatchObject({ status: "success", startedAtMs: 7000, endedAtMs: 8000 });
      });

      it("the last word makes a row, and a claim of a later round takes it back", async () => {
        const doomed = { uniqueId: ORDERS, final: "doomed", finalReason: "upstream failed", rootCause: "a" } as const;
        await ledger.setFinal(key, 1, doomed);
        expect(await vertex()).toMatchObject({ ...doomed, finalRound: 1, ownerTask: 1, tryTasks: [] });
        await ledger.setFinal(key, 1, { uniqueId: ORDERS, final: "dead", finalReason: "tries used up" });
        expect(await vertex()).toMatchObject({ final: "dead", ownerTask: 1 });
        expect(await vertex()).not.toHaveProperty("rootCause");
        expect(await ledger.claimVertex(key, 2, { uniqueId: ORDERS, from: 1 })).toBe(true);
        expect(await vertex()).not.toHaveProperty("final");
      });

      it("E4: after the last word the old owner, late or a zombie, writes nothing more", async () => {
        await ledger.writeVertex(key, 1, started);
        await ledger.setFinal(key, 1, { uniqueId: ORDERS, final: "dead", finalReason: "tries used up" });
        await ledger.writeVertex(key, 1, { uniqueId: ORDERS, status: "success", evidence: true });
        expect(await vertex()).toMatchObject({ final: "dead", status: "started" });
        expect(await ledger.readVertices(key)).toMatchObject([{ final: "dead", status: "started" }]);
      });

      it("E4: a producer that was launched again is heard, whatever the one before says late", async () => {
        await ledger.createTask(key, 0, taskRow(1));
        await ledger.createTask(key, 1, taskRow(2, { kind: "producer" }));
        await ledger.writeVertex(key, 1, { ...failed, message: "late" });
        expect(await vertex(), "nobody else has spoken").toMatchObject({ ownerTask: 1, statusTask: 1 });
        await ledger.writeVertex(key, 2, { ...started, status: "success", endedAtMs: 9 });
        await ledger.writeVertex(key, 1, { ...failed, message: "later" });
        const heard = { ownerTask: 2, statusTask: 2, status: "success", tryTasks: [2] };
        expect(await vertex()).toMatchObject(heard);
        expect(await ledger.readVertices(key)).toMatchObject([heard]);
        expect(await ledger.claimVertex(key, 3, { uniqueId: ORDERS, from: 1 })).toBe(false);
        expect(await ledger.claimVertex(key, 3, { uniqueId: ORDERS, from: 2 })).toBe(true);
      });

      it("E4: what a build says of what it has not claimed changes nothing, before a claim and after it", async () => {
        await ledger.createTask(key, 0, taskRow(1));
        await ledger.createTask(key, 1, taskRow(2));
        await ledger.writeVertex(key, 2, failed);
        expect(await vertex()).toBeUndefined();
        await ledger.claimVertex(key, 3, { uniqueId: ORDERS, from: null });
        expect(await vertex()).toEqual({ uniqueId: ORDERS, ownerTask: 3, epoch: 1, tryTasks: [], lostTasks: [] });
      });

      it("E4: the word of an owner is kept at the claim as it was, and its tries are the tasks that had evidence", async () => {
        await ledger.writeVertex(key, 1, failed);
        for (const task of [2, 3, 4]) {
          await ledger.claimVertex(key, task, { uniqueId: ORDERS, from: task - 1 });
          await ledger.writeVertex(key, task - 1, { ...failed, status: "success", message: "late" });
          if (task < 4) await ledger.writeVertex(key, task, { ...failed, message: `of task ${task}` });
        }
        const kept = { ownerTask: 4, statusTask: 3, status: "error", message: "of task 3", tryTasks: [1, 2, 3] };
        expect(await vertex()).toMatchObject(kept);
      });

      it("D2: a last word that was decided before a claim does not reach the claimed vertex", async () => {
        await ledger.writeVertex(key, 1, failed);
        await ledger.claimVertex(key, 2, { uniqueId: ORDERS, from: 1 });
        await ledger.setFinal(key, 1, { uniqueId: ORDERS, final: "dead", finalReason: "tries used up" });
        expect(await vertex()).not.toHaveProperty("final");
        await ledger.writeVertex(key, 2, started);
        expect(await vertex()).toMatchObject({ statusTask: 2, status: "started" });
      });

      it("consumer and owner write past each other", async () => {
        await ledger.writeVertex(key, 1, started);
        await ledger.markConsumerStarted(key, ORDERS, "node", 3);
        await ledger.setOutcome(key, ORDERS, "node", { outcome: "red", atMs: 4 });
        await ledger.writeVertex(key, 1, failed);
        await ledger.markConsumerStarted(key, ORDERS, "tests", 5);
        await ledger.setOutcome(key, ORDERS, "tests", { outcome: "green", atMs: 6 });
        const ofNode = { consumerStartedAtMs: 3, consumerRound: 1, outcome: "red", outcomeAtMs: 4, outcomeRound: 1 };
        const testsStarted = { testsConsumerStartedAtMs: 5, testsConsumerRound: 1 };
        const ofTests = { ...testsStarted, testsOutcome: "green", testsOutcomeAtMs: 6, testsOutcomeRound: 1 };
        const theirs = { ...ofNode, ...ofTests, status: "error" };
        expect(await vertex()).toMatchObject(theirs);
        const unknown = { ...key, runId: "unknown" };
        await expect(ledger.markConsumerStarted(unknown, ORDERS, "node", 3)).rejects.toThrow(RowMissing);
      });

      it("F17: one glance at a node says the same of it and its run as two reads, whoever owns it", async () => {
        expect(await ledger.glanceAtVertex(key, ORDERS)).toEqual({ run: await ledger.readRun(key), row: null });
        await ledger.writeVertex(key, 1, started);
        const glance = async () =>
          expect(await ledger.glanceAtVertex(key, ORDERS)).toEqual({
            run: await ledger.readRun(key),
            row: await vertex(),
          });
        await glance();
        await ledger.writeVertex(key, 1, failed);
        await ledger.claimVertex(key, 2, { uniqueId: ORDERS, from: 1 });
        await glance();
        await ledger.writeVertex(key, 2, started);
        await glance();
        expect(await ledger.glanceAtVertex({ ...key, runId: "unknown" }, ORDERS)).toEqual({ run: null, row: null });
      });

      it("F13: notes how each consumer of a node waits, whatever its builds say", async () => {
        await ledger.writeVertex(key, 1, started);
        const [first, second] = [
          { token: "t1", round: 1, redrives: 0 },
          { token: "t2", round: 2, redrives: 1 },
        ];
        await ledger.keepConsumerWait(key, ORDERS, "node", { ...first, atMs: 10 });
        await ledger.keepConsumerWait(key, ORDERS, "tests", { ...first, atMs: 10 });
        await ledger.writeVertex(key, 1, failed);
        await ledger.keepConsumerWait(key, ORDERS, "node", { ...second, atMs: 20 });
        expect(await vertex()).toMatchObject({ wait: second, testsWait: first, status: "error" });
      });

      it("F13: a slow call that was repeated notes its dead token over none of the later one's", async () => {
        await ledger.writeVertex(key, 1, started);
        const wait = (token: string) => ({ token, round: 1, redrives: 0 });
        await ledger.keepConsumerWait(key, ORDERS, "node", { ...wait("later"), atMs: 20 });
        await ledger.keepConsumerWait(key, ORDERS, "tests", { ...wait("of tests"), atMs: 5 });
        await ledger.keepConsumerWait(key, ORDERS, "node", { ...wait("earlier"), atMs: 10 });
        expect(await vertex()).toMatchObject({ wait: wait("later"), testsWait: wait("of tests") });
      });

      it("F13 G8: nor does a consumer of an earlier round note its wait over the present one's", async () => {
        await ledger.writeVertex(key, 1, started);
        const wait = (token: string, round: number) => ({ token, round, redrives: 0 });
        await ledger.keepConsumerWait(key, ORDERS, "node", { ...wait("of the present", 2), atMs: 10 });
        await ledger.keepConsumerWait(key, ORDERS, "node", { ...wait("of the first", 1), atMs: 20 });
        await ledger.keepConsumerWait(key, ORDERS, "tests", { ...wait("of tests", 1), atMs: 20 });
        expect(await vertex()).toMatchObject({ wait: wait("of the present", 2), testsWait: wait("of tests", 1) });
      });

      it("G25: the run's row counts what a person marks and takes back: no task moves by it", async () => {
        await ledger.writeVertex(key, 1, started);
        const mark = { as: "good" as const, by: "jane", atMs: 1, reason: "looked" };
        await ledger.setMark(key, ORDERS, 1, mark);
        await ledger.setMark(key, ORDERS, 1, null);
        expect(await ledger.readRun(key)).toMatchObject({ marks: 2 });
      });

      it("F13: what is told of a vertex that runs too long is noted by its task, whatever comes late", async () => {
        await ledger.writeVertex(key, 1, started);
        await ledger.markOverdueTold(key, ORDERS, 2);
        await ledger.markOverdueTold(key, ORDERS, 1);
        expect(await vertex()).toMatchObject({ overdueTold: 2, status: "started" });
      });

      it("H4: what an event has said of a failure stays with the vertex through claims and last words", async () => {
        await ledger.writeVertex(key, 1, started);
        const toldAs = { as: "retry" as const, round: 1, task: 1 };
        await ledger.markToldAs(key, ORDERS, toldAs);
        await ledger.setFinal(key, 1, { uniqueId: ORDERS, final: "dead", finalReason: "given up" });
        expect(await vertex()).toMatchObject({ toldAs, status: "started", final: "dead" });
      });

      it("reads some vertices: each once, the unknown left out, more than one batch", async () => {
        const ids = Array.from({ length: 130 }, (_, index) => `model.shop.m${index}`);
        await Promise.all(ids.map((uniqueId) => ledger.claimVertex(key, 1, { uniqueId, from: null })));
        const rows = await ledger.readSomeVertices(key, [...ids, ...ids, "model.shop.unknown"]);
        expect(new Set(rows.map((row) => row.uniqueId))).toEqual(new Set(ids));
        expect(rows).toHaveLength(130);
      });

      it("D9: ids that look alike, and runs of other projects, share nothing", async () => {
        const ids = ["model.shop.a.b", "model.shop.a_b", "model.shop.m.v1", "model.shop.m__v1", "model.shop.größe#1/ü"];
        const other = { ...key, project: `${key.project}x` };
        await ledger.createRun(runRow(other));
        for (const [index, uniqueId] of ids.entries()) {
          await ledger.writeVertex(key, 1, { ...failed, uniqueId, endedAtMs: index });
          await ledger.writeVertex(other, 1, { ...failed, uniqueId, endedAtMs: index + 100 });
        }
        const ends = async (run: RoundKey) =>
          Object.fromEntries((await ledger.readVertices(run)).map((row) => [row.uniqueId, row.endedAtMs]));
        expect(await ends(key)).toEqual(Object.fromEntries(ids.map((id, index) => [id, index])));
        expect(await ends(other)).toEqual(Object.fromEntries(ids.map((id, index) => [id, index + 100])));
      });
    });

    describe("project", () => {
      const lock = (runId: string, lockKey = "default") => ({
        project: key.project,
        lockKey,
        runId,
        executionArn: `arn:${runId}`,
        takenAtMs: 1,
      });

      it("the lock has one holder; a repeated taking recognises itself", async () => {
        expect(await ledger.takeLock(lock("one"))).toBeNull();
        expect(await ledger.takeLock({ ...lock("one"), takenAtMs: 2 })).toBeNull();
        expect(await ledger.takeLock(lock("two"))).toEqual(lock("one"));
        expect(await ledger.takeLock(lock("two", "prod"))).toBeNull();
        await ledger.releaseLock(key.project, "default", "two");
        expect(await ledger.readLock(key.project, "default")).toEqual(lock("one"));
        await ledger.releaseLock(key.project, "default", "one");
        await ledger.releaseLock(key.project, "default", "one");
        expect(await ledger.readLock(key.project, "default")).toBeNull();
      });

      it("G23: a lock that is kept for a later round is not given back by an earlier one", async () => {
        await ledger.takeLock(lock("one"));
        expect(await ledger.takeLock({ ...lock("one"), round: 2 })).toBeNull();
        expect(await ledger.takeLock({ ...lock("one"), round: 2 })).toBeNull();
        await ledger.releaseLock(key.project, "default", "one", 1);
        expect(await ledger.readLock(key.project, "default")).toEqual({ ...lock("one"), round: 2 });
        await ledger.releaseLock(key.project, "default", "one", 2);
        expect(await ledger.readLock(key.project, "default")).toBeNull();
        expect(await ledger.takeLock({ ...lock("one"), round: 2 })).toBeNull();
        await ledger.releaseLock(key.project, "default", "one");
        expect(await ledger.readLock(key.project, "default")).toBeNull();
      });

      it("the lock is replaced only while it is the gone holder's", async () => {
        expect(await ledger.replaceLock(lock("two"), { runId: "one" })).toBe(false);
        await ledger.takeLock(lock("one"));
        expect(await ledger.replaceLock(lock("two"), { runId: "one" })).toBe(true);
        expect(await ledger.replaceLock(lock("two"), { runId: "one" })).toBe(true);
        expect(await ledger.replaceLock(lock("three"), { runId: "one" })).toBe(false);
        expect(await ledger.readLock(key.project, "default")).toEqual(lock("two"));
      });

      it("G10: the queue is first in, first out, and holds a run once", async () => {
        const join = (runId: string, atMs: number, lockKey = "default") =>
          ledger.joinQueue(key.project, lockKey, { runId, atMs, executionArn: `arn:${runId}` });
        await join("late", 30);
        await join("early", 9);
        await join("elsewhere", 1, "default#other");
        const queue = await join("late", 99);
        expect(queue).toEqual([
          { runId: "early", atMs: 9, executionArn: "arn:early" },
          { runId: "late", atMs: 30, executionArn: "arn:late" },
        ]);
        await ledger.leaveQueue(key.project, "default", { runId: "late", atMs: 99 });
        await ledger.leaveQueue(key.project, "default", { runId: "late", atMs: 99 });
        expect((await join("early", 9)).map(({ runId }) => runId)).toEqual(["early"]);
      });

      it("G10: an entry of the queue holds the token of the run's present turn, and who replaces it", async () => {
        const entry = (runId: string, atMs: number, taskToken: string) => ({
          runId,
          atMs,
          executionArn: `arn:${runId}`,
          taskToken,
          work: "w",
        });
        await ledger.joinQueue(key.project, "default", entry("one", 1, "first"));
        await ledger.joinQueue(key.project, "default", entry("two", 2, "first"));
        const queue = await ledger.joinQueue(key.project, "default", entry("one", 3, "second"));
        expect(queue).toEqual([entry("one", 1, "second"), entry("two", 2, "first")]);
        await ledger.markReplaced(key.project, "default", queue[0]!, "two");
        await ledger.markReplaced(key.project, "default", queue[0]!, "three");
        await ledger.joinQueue(key.project, "default", entry("one", 9, "third"));
        expect(await ledger.readQueue(key.project, "default")).toEqual([
          { ...entry("one", 1, "third"), replacedBy: "two" },
          entry("two", 2, "first"),
        ]);
        await ledger.leaveQueue(key.project, "default", queue[0]!);
        await ledger.markReplaced(key.project, "default", queue[0]!, "two");
        expect((await ledger.readQueue(key.project, "default")).map(({ runId }) => runId)).toEqual(["two"]);
      });

      it("lists the locks of a project that are held, and no other rows", async () => {
        await ledger.takeLock(lock("one"));
        await ledger.takeLock({ ...lock("two", "prod"), runProject: "hourly" });
        await ledger.joinQueue(key.project, "prod", { runId: "three", atMs: 1, executionArn: "arn:three" });
        const held = await ledger.listLocks(key.project);
        expect(held.map((row) => [row.lockKey, row.runId, row.runProject]).sort()).toEqual([
          ["default", "one", undefined],
          ["prod", "two", "hourly"],
        ]);
        expect(await ledger.listLocks(`${key.project}x`)).toEqual([]);
      });

      it("G22: a trigger is one run's, for two weeks; a repeated claim recognises itself, and one that never began is replaced", async () => {
        const trigger = (runId: string, atMs = 1_000_000) => ({ runId, executionArn: `arn:${runId}`, atMs });
        const claim = (runId: string, atMs?: number, dedupeKey = "k") =>
          ledger.claimTrigger(key.project, dedupeKey, trigger(runId, atMs));
        expect(await claim("one")).toBeNull();
        expect(await claim("one", 2_000_000)).toBeNull();
        expect(await claim("two", 2_000_000)).toEqual(trigger("one"));
        expect(await claim("two", 2_000_000, "K")).toBeNull();
        expect(await claim("two", 2_000_000, `${"k".repeat(1_023)}ü`)).toBeNull();
        expect(await ledger.claimTrigger(`${key.project}x`, "k", trigger("two"))).toBeNull();
        expect(await ledger.replaceTrigger(key.project, "k", trigger("three"), { runId: "two" })).toBe(false);
        expect(await ledger.replaceTrigger(key.project, "k", trigger("three"), { runId: "one" })).toBe(true);
        expect(await ledger.replaceTrigger(key.project, "k", trigger("three"), { runId: "one" })).toBe(true);
        expect(await claim("one")).toEqual(trigger("three"));
        expect(await claim("late", 1_000_000 + 15 * 86_400_000)).toBeNull();
      });

      it("G13: what a run goes on with is that run's word: another one that takes the key over, or a forgotten one, has its own", async () => {
        const day = 86_400_000;
        const trigger = (runId: string, atMs = day) => ({ runId, executionArn: `arn:${runId}`, atMs });
        await ledger.claimTrigger(key.project, "work", trigger("one"), 60);
        const second = { ...trigger("two"), goesOnWith: "one" };
        expect(await ledger.replaceTrigger(key.project, "work", second, { runId: "one" }, 60)).toBe(true);
        expect(await ledger.readTrigger(key.project, "work")).toEqual(second);
        expect(await ledger.claimTrigger(key.project, "work", trigger("three", 59 * day), 60)).toEqual(second);
        expect(await ledger.replaceTrigger(key.project, "work", trigger("three"), { runId: "two" }, 60)).toBe(true);
        expect(await ledger.readTrigger(key.project, "work")).toEqual(trigger("three"));
        await ledger.replaceTrigger(
          key.project,
          "work",
          { ...trigger("four"), goesOnWith: "three" },
          { runId: "three" },
        );
        expect(await ledger.claimTrigger(key.project, "work", trigger("five", 16 * day))).toBeNull();
        expect(await ledger.readTrigger(key.project, "work")).toEqual(trigger("five", 16 * day));
      });

      it("G25: a pause is one person's until it is taken back", async () => {
        const pause = { project: key.project, by: "jane", atMs: 5, reason: "the warehouse moves" };
        expect(await ledger.readPause(key.project)).toBeNull();
        expect(await ledger.pause(pause)).toBe(true);
        expect(await ledger.pause(pause)).toBe(true);
        expect(await ledger.pause({ ...pause, by: "joe" })).toBe(false);
        expect(await ledger.readPause(key.project)).toEqual(pause);
        expect(await ledger.readPause(`${key.project}x`)).toBeNull();
        expect(await ledger.resume(key.project)).toBe(true);
        expect(await ledger.resume(key.project)).toBe(false);
        expect(await ledger.readPause(key.project)).toBeNull();
      });

      it("D14: the image that a person has chosen stands until another is chosen or it is taken back", async () => {
        const arn = (n: number) => `arn:aws:ecs:us-east-1:000000000000:task-definition/shop:${n}`;
        const row = (image: string) => ({
          project: key.project,
          image,
          over: { producer: arn(1), executionQueue: arn(2) },
          producer: arn(3),
          executionQueue: arn(4),
          by: "jane",
          atMs: 5,
          reason: "",
        });
        expect(await ledger.readImage(key.project)).toBeNull();
        await ledger.chooseImage(row("a"));
        await ledger.chooseImage(row("b"));
        expect(await ledger.readImage(key.project)).toEqual(row("b"));
        expect(await ledger.readImage(`${key.project}x`)).toBeNull();
        expect(await ledger.dropImage(key.project)).toBe(true);
        expect(await ledger.dropImage(key.project)).toBe(false);
        expect(await ledger.readImage(key.project)).toBeNull();
      });

      it("H9: the latest artefacts are those of the run that began last, whichever ends last, of each kind apart", async () => {
        const { project } = key;
        const row = (runId: string, startedAtMs: number) => ({ project, kind: "latest" as const, runId, startedAtMs });
        expect(await ledger.readLatest(project, "latest")).toBeNull();
        expect(await ledger.claimLatest(row("newer", 9))).toBe(true);
        expect(await ledger.claimLatest(row("older", 5))).toBe(false);
        expect(await ledger.claimLatest(row("newer", 9)), "again, in a further round").toBe(true);
        expect(await ledger.readLatest(project, "latest")).toEqual(row("newer", 9));
        expect(await ledger.readLatest(project, "latest-green")).toBeNull();
        expect(await ledger.claimLatest(row("newest", 11))).toBe(true);
        expect(await ledger.readLatest(project, "latest")).toEqual(row("newest", 11));
        expect(await ledger.readLatest(`${project}x`, "latest")).toBeNull();
      });

      it("a schedule is known since it was first seen as it is, for each project", async () => {
        expect(await ledger.knowSchedule(key.project, "rate(1 day) UTC", 5)).toBe(5);
        expect(await ledger.knowSchedule(key.project, "rate(1 day) UTC", 9)).toBe(5);
        expect(await ledger.knowSchedule(`${key.project}x`, "rate(1 day) UTC", 9)).toBe(9);
        expect(await ledger.knowSchedule(key.project, "rate(2 days) UTC", 11)).toBe(11);
        expect(await ledger.knowSchedule(key.project, "rate(2 days) UTC", 12)).toBe(11);
      });

      it("G25: what people did is kept, newest first", async () => {
        const hand = (atMs: number, action: "pause" | "resume") => ({
          project: key.project,
          action,
          by: "jane",
          atMs,
          reason: "r",
          sentence: "s",
        });
        await ledger.addHand(hand(9, "pause"), 60);
        await ledger.addHand(hand(10, "resume"), 60);
        await ledger.addHand(hand(10, "pause"), 60);
        expect((await ledger.listHands(key.project, 9)).map(({ atMs }) => atMs)).toEqual([10, 10, 9]);
        expect(await ledger.listHands(key.project, 1)).toHaveLength(1);
      });

      it("G33: lists every waiting run of a project, and of no other", async () => {
        const waits = (runId: string, lockKey: string) => ({ runId, atMs: 5, executionArn: `arn:${runId}`, lockKey });
        for (const { lockKey, ...entry } of [waits("a", "default"), waits("b", "prod")])
          await ledger.joinQueue(key.project, lockKey, entry);
        expect(await ledger.listWaiting(key.project)).toEqual([waits("a", "default"), waits("b", "prod")]);
        expect(await ledger.listWaiting("nobody")).toEqual([]);
      });

      it("lists past runs, newest first, and never turns an ended one back", async () => {
        const row = (runId: string, startedAtMs: number) => ({
          project: key.project,
          runId,
          executionArn: `arn:${runId}`,
          startedAtMs,
          state: "running" as const,
        });
        const ended = { ...row("b", 20), state: "green" as const, endedAtMs: 30, verdict: "Good." };
        await ledger.putRunIndex(row("a", 10), 60);
        await ledger.putRunIndex(row("b", 20), 60);
        await ledger.putRunIndex(ended, 60);
        await ledger.putRunIndex(row("b", 20), 60);
        await ledger.putRunIndex(row("c", 100), 60);
        expect(await ledger.listRuns(key.project, 2)).toEqual([
          { ...row("c", 100), round: 1 },
          { ...ended, round: 1 },
        ]);
        expect(await ledger.listRuns(key.project, 10)).toHaveLength(3);
      });

      it("G8: a run that goes on in another round runs again in the list, and no late end of the round before ends it", async () => {
        const row = { project: key.project, runId: "r", executionArn: "arn:r", startedAtMs: 10 };
        const red = { ...row, state: "red" as const, endedAtMs: 30, verdict: "Bad." };
        await ledger.putRunIndex({ ...red, round: 1 }, 60);
        await ledger.putRunIndex({ ...row, state: "running", round: 2 }, 60);
        await ledger.putRunIndex({ ...red, round: 1 }, 60);
        expect(await ledger.listRuns(key.project, 1)).toEqual([{ ...row, state: "running", round: 2 }]);
        const green = { ...row, state: "green" as const, endedAtMs: 50, verdict: "Good.", round: 2 };
        await ledger.putRunIndex(green, 60);
        await ledger.putRunIndex({ ...row, state: "running", round: 2 }, 60);
        expect(await ledger.listRuns(key.project, 1)).toEqual([green]);
      });
    });
  });
}
