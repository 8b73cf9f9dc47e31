import { beforeEach, describe, expect, it } from "vitest";
import type { Ledger, RunKey } from "#clients/ledger.ts";
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
    let key: RunKey;

    beforeEach(async () => {
      ledger = await open();
      runs += 1;
      key = { project: `shop${runs}`, runId: `20260101-000000-${runs}` };
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

      it("holds and releases under the version", async () => {
        expect(await ledger.setHeldSince(key, 1, 5)).toBe(false);
        expect(await ledger.setHeldSince(key, 0, 5)).toBe(true);
        expect((await ledger.readRun(key))?.heldSinceMs).toBe(5);
        expect(await ledger.setHeldSince(key, 0, null)).toBe(true);
        expect(await ledger.readRun(key)).toEqual(runRow(key));
      });

      it("notes once that nothing is left to wait for, and takes no decision of that version after it", async () => {
        expect(await ledger.setHeldSince(key, 0, 5)).toBe(true);
        expect(await ledger.markReady(key, 1, 40)).toBe(false);
        expect(await ledger.markReady(key, 0, 40)).toBe(true);
        expect(await ledger.readRun(key)).toEqual({ ...runRow(key), readyAtMs: 40, version: 1 });
        expect(await ledger.createTask(key, 0, taskRow(1))).toBe(false);
      });

      it("takes one verdict", async () => {
        const end = { state: "green", verdict: "9 of 9 good.", summaryKey: null, endedAtMs: 50 } as const;
        expect(await ledger.endRun(key, end)).toBe(true);
        expect(await ledger.endRun(key, end)).toBe(true);
        expect(await ledger.endRun(key, { ...end, state: "red", summaryKey: "s" })).toBe(false);
        const run = await ledger.readRun(key);
        expect(run).toMatchObject({ state: "green", verdict: "9 of 9 good.", endedAtMs: 50 });
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
        expect(await ledger.writeVertex(key, 1, started)).toBe(true);
        expect(await ledger.writeVertex(key, 1, { ...failed, message: undefined })).toBe(true);
        expect(await ledger.writeVertex(key, 1, { ...failed, failures: undefined })).toBe(true);
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
        expect(await ledger.writeVertex(key, 1, write)).toBe(true);
        expect(await ledger.writeVertex(key, 1, { ...write, uniqueId: `${long}x` })).toBe(true);
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
        expect(await ledger.writeVertex(key, 1, started)).toBe(true);
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

      it("E4: a zombie's late write is refused and changes nothing", async () => {
        await ledger.writeVertex(key, 1, started);
        await ledger.claimVertex(key, 2, { uniqueId: ORDERS, from: 1 });
        await ledger.claimVertex(key, 2, { uniqueId: "model.shop.unreached", from: null });
        const before = await ledger.readVertices(key);
        expect(await ledger.writeVertex(key, 1, { ...failed, status: "success" })).toBe(false);
        expect(await ledger.writeVertex(key, 1, { ...failed, uniqueId: "model.shop.unreached" })).toBe(false);
        expect(await ledger.readVertices(key)).toEqual(before);
      });

      it("G17: a newer task's first status clears the older try's story, but for its batches", async () => {
        await ledger.writeVertex(key, 1, { ...started, checksum: "c" });
        await ledger.writeVertex(key, 1, failed);
        await ledger.claimVertex(key, 2, { uniqueId: ORDERS, from: 1 });
        expect(await ledger.writeVertex(key, 2, { ...started, startedAtMs: 7000 })).toBe(true);
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
        expect(await vertex()).toMatchObject({ ...doomed, ownerTask: 1, tryTasks: [] });
        await ledger.setFinal(key, 1, { uniqueId: ORDERS, final: "dead", finalReason: "tries used up" });
        expect(await vertex()).toMatchObject({ final: "dead", ownerTask: 1 });
        expect(await vertex()).not.toHaveProperty("rootCause");
        expect(await ledger.claimVertex(key, 2, { uniqueId: ORDERS, from: 1 })).toBe(true);
        expect(await vertex()).not.toHaveProperty("final");
      });

      it("E4: after the last word the old owner, late or a zombie, writes nothing more", async () => {
        await ledger.writeVertex(key, 1, started);
        await ledger.setFinal(key, 1, { uniqueId: ORDERS, final: "dead", finalReason: "tries used up" });
        expect(await ledger.writeVertex(key, 1, { uniqueId: ORDERS, status: "success", evidence: true })).toBe(false);
        expect(await vertex()).toMatchObject({ final: "dead", status: "started" });
      });

      it("D2: a last word that was decided before a claim does not reach the claimed vertex", async () => {
        await ledger.writeVertex(key, 1, failed);
        await ledger.claimVertex(key, 2, { uniqueId: ORDERS, from: 1 });
        await ledger.setFinal(key, 1, { uniqueId: ORDERS, final: "dead", finalReason: "tries used up" });
        expect(await vertex()).not.toHaveProperty("final");
        expect(await ledger.writeVertex(key, 2, started)).toBe(true);
      });

      it("consumer and owner write past each other", async () => {
        await ledger.writeVertex(key, 1, started);
        await ledger.markConsumerStarted(key, ORDERS, "node", 3);
        await ledger.setOutcome(key, ORDERS, "node", { outcome: "red", atMs: 4 });
        await ledger.writeVertex(key, 1, failed);
        await ledger.markConsumerStarted(key, ORDERS, "tests", 5);
        await ledger.setOutcome(key, ORDERS, "tests", { outcome: "green", atMs: 6 });
        const ofNode = { consumerStartedAtMs: 3, outcome: "red", outcomeAtMs: 4 };
        const ofTests = { testsConsumerStartedAtMs: 5, testsOutcome: "green", testsOutcomeAtMs: 6 };
        const theirs = { ...ofNode, ...ofTests, status: "error" };
        expect(await vertex()).toMatchObject(theirs);
        await expect(ledger.markConsumerStarted(key, "model.shop.none", "node", 3)).rejects.toThrow(RowMissing);
        await expect(ledger.setOutcome(key, "model.shop.none", "node", { outcome: "red", atMs: 4 })).rejects.toThrow(
          RowMissing,
        );
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
        const ends = async (run: RunKey) =>
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
        expect(await ledger.listRuns(key.project, 2)).toEqual([row("c", 100), ended]);
        expect(await ledger.listRuns(key.project, 10)).toHaveLength(3);
      });
    });
  });
}
