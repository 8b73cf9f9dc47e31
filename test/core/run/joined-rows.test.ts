import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { ledgerOn } from "#clients/dynamo-ledger.ts";
import type { Ledger } from "#clients/ledger.ts";
import type { DecidedVertex, VertexRow, VertexWord } from "#core/contracts/ledger.ts";
import type { VertexWrite } from "#core/contracts/vertex-write.ts";
import { joinTask, joinVertex, keptStory, tasksHeard } from "#core/run/judging/joined-rows.ts";
import { MemoryTable, TableStore } from "../../../bench/scale/memory-table.ts";
import { ConditionalRow } from "../../support/conditional-rule.ts";
import { buildEnd, runRow, taskRow, taskStop } from "../../support/ledger-rows.ts";
import { memoryLedger } from "../../support/memory-ledger.ts";

const A = "model.shop.a";
const decided = (changes: Partial<DecidedVertex> = {}): DecidedVertex => ({
  uniqueId: A,
  epoch: 0,
  tryTasks: [],
  lostTasks: [],
  ...changes,
});
const word = (task: number, status: string, changes: Partial<VertexWord> = {}): VertexWord => ({
  uniqueId: A,
  task,
  status,
  evidence: status !== "skipped",
  ...changes,
});

describe("whose word on a vertex counts", () => {
  const story = { statusTask: 1, status: "error", tryTasks: [1] };
  it.each<[string, DecidedVertex | null, VertexWord[], number[], Partial<VertexRow> | null]>([
    ["nobody's: there is no vertex", null, [], [1], null],
    ["the producer's, before any claim", null, [word(1, "started")], [1], { ownerTask: 1, status: "started" }],
    ["E4: no word of a build that has not claimed it", null, [word(2, "success")], [1], null],
    [
      "E4: the newer producer's",
      null,
      [word(1, "error"), word(3, "success")],
      [1, 3],
      { ownerTask: 3, status: "success", tryTasks: [3] },
    ],
    [
      "E4: an older one's while the newer is silent",
      null,
      [word(1, "error")],
      [1, 3],
      { ownerTask: 1, status: "error" },
    ],
    ["the owner's", decided({ ownerTask: 2 }), [word(2, "success")], [1], { ownerTask: 2, status: "success" }],
    [
      "G19: not that of whom it was claimed from",
      decided({ ownerTask: 2 }),
      [word(1, "success")],
      [1],
      { ownerTask: 2 },
    ],
    ["E4: what was kept at the claim stands", decided({ ownerTask: 2, ...story }), [word(1, "success")], [1], story],
    [
      "the owner's over what was kept",
      decided({ ownerTask: 2, ...story }),
      [word(2, "success")],
      [1],
      { status: "success", statusTask: 2, tryTasks: [1, 2] },
    ],
    [
      "none after the last word",
      decided({ ownerTask: 1, final: "dead" }),
      [word(1, "success")],
      [1],
      { final: "dead", ownerTask: 1 },
    ],
    [
      "none after the last word of what had spoken",
      decided({ ownerTask: 1, ...story, final: "dead" }),
      [word(1, "success")],
      [1],
      { ...story, final: "dead" },
    ],
    ["none over an adopted story", decided({ ownerTask: 1, ...story }), [word(1, "success")], [1], story],
    [
      "G6: a skip takes the owner's try back",
      decided({ ownerTask: 2, ...story }),
      [word(2, "skipped")],
      [1],
      { status: "skipped", tryTasks: [1] },
    ],
    [
      "a consumer's mark makes nobody the owner",
      decided({ consumerStartedAtMs: 5 }),
      [word(1, "started")],
      [1],
      { ownerTask: 1, status: "started", consumerStartedAtMs: 5 },
    ],
    ["a mark alone leaves it the producer's", decided({ consumerStartedAtMs: 5 }), [], [1, 2], { ownerTask: 2 }],
  ])("%s", (_, row, words, producers, expected) => {
    const joined = joinVertex(row, words, producers);
    if (expected === null) expect(joined).toBeNull();
    else expect(joined).toMatchObject(expected);
    if (expected !== null && expected.status === undefined) expect(joined).not.toHaveProperty("status");
  });

  it("G17: a newer try clears the older one's story, but for what is the vertex' own", () => {
    const older = { startedAtMs: 1, endedAtMs: 2, message: "m", failures: 3, executionSeconds: 4, rowsAffected: 5 };
    const own = {
      compiledKey: "k",
      relation: "r",
      checksum: "c",
      resourceType: "model",
      batches: [{ name: "b", status: "s" }],
    };
    const row = decided({ ownerTask: 2, statusTask: 1, status: "error", tryTasks: [1], ...older, ...own });
    const { compiledKey: _, ...kept } = own;
    const expected = { uniqueId: A, epoch: 0, lostTasks: [], ...kept, ownerTask: 2, statusTask: 2, status: "started" };
    expect(joinVertex(row, [word(2, "started")], [1])).toEqual({ ...expected, evidence: true, tryTasks: [1, 2] });
  });

  it("C11: what the owner takes back is gone, also of an older try", () => {
    const row = decided({ ownerTask: 2, statusTask: 1, status: "error", relation: "r", tryTasks: [1] });
    expect(joinVertex(row, [word(2, "pass", { relation: null, message: null })], [1])).not.toHaveProperty("relation");
  });

  it("asks for the words of those alone that may be heard", () => {
    expect(tasksHeard(null, [1])).toEqual([1]);
    expect(tasksHeard(decided({ outcome: "green" }), [2, 1])).toEqual([2, 1]);
    expect(tasksHeard(decided({ ownerTask: 3 }), [1])).toEqual([3]);
    expect(tasksHeard(decided({ ownerTask: 3, final: "doomed" }), [1])).toEqual([]);
    expect(tasksHeard(decided({ ownerTask: 3, statusTask: 3 }), [1])).toEqual([]);
  });

  it("keeps a story, or its tries alone", () => {
    const row = joinVertex(null, [word(1, "error", { message: "m", relation: "r" })], [1]);
    const said = { statusTask: 1, status: "error", evidence: true, message: "m" };
    expect(keptStory(row)).toEqual({ ...said, relation: "r", tryTasks: [1] });
    expect(keptStory(row, true)).toEqual({ relation: "r", tryTasks: [1] });
  });
});

describe("what counts of what a container tells of its task", () => {
  const launched = taskRow(1, { state: "launching", taskArn: "arn:1" });
  it("is nothing before the fence, then its facts, then its end", () => {
    expect(joinTask(launched, null)).toEqual(launched);
    expect(joinTask(launched, { sequence: 3 })).toEqual(launched);
    const fenced = { fencedBy: "arn:2", startedAtMs: 5, sequence: 3 };
    const running = { ...launched, ...fenced, taskArn: "arn:2", state: "running" };
    expect(joinTask(launched, fenced)).toEqual(running);
    expect(joinTask(launched, { ...fenced, end: buildEnd() })).toEqual({ ...running, end: buildEnd(), state: "over" });
  });

  it("D22: is nothing from a container of another cluster or account", () => {
    const arn = "arn:aws:ecs:us-east-1:000000000000:task/stepwatch/1";
    const here = { ...launched, taskArn: arn };
    for (const fencedBy of [arn.replace("stepwatch/", "other/"), arn.replace("0:task", "1:task"), "arn:1", "any"])
      expect(joinTask(here, { fencedBy, sequence: 3 }), fencedBy).toEqual(here);
    expect(joinTask(here, { fencedBy: `${arn}2`, sequence: 3 }).state).toBe("running");
  });

  it("never brings back what is decided to be over, nor changes a row that was adopted", () => {
    const stopped = { ...launched, state: "over" as const, stop: taskStop };
    const told = { fencedBy: "arn:1", sequence: 3, closedAtMs: 9 };
    expect(joinTask(stopped, told)).toMatchObject({ state: "over", stop: taskStop, sequence: 3 });
    expect(joinTask(stopped, told)).not.toHaveProperty("closedAtMs");
    const adopted = { ...stopped, round: 0, fencedBy: "arn:0", end: buildEnd() };
    expect(joinTask(adopted, { ...told, end: buildEnd({ exitCode: 1 }) })).toEqual(adopted);
  });
});

/** One step about one vertex, by whom it may come: words of any task at any time, late ones too. */
type Step =
  | { readonly kind: "say"; readonly task: number; readonly write: VertexWrite }
  | { readonly kind: "claim"; readonly lost: boolean; readonly forget: boolean; readonly asSeen: boolean }
  | { readonly kind: "close"; readonly round: number; readonly asSeen: boolean };

const sentence = fc.constantFrom(undefined, "m", "n", null);
const write: fc.Arbitrary<VertexWrite> = fc.record({
  uniqueId: fc.constant(A),
  status: fc.constantFrom("started", "success", "error", "skipped"),
  evidence: fc.boolean(),
  startedAtMs: fc.constantFrom(undefined, 1, 2),
  endedAtMs: fc.constantFrom(undefined, 3),
  message: sentence,
  relation: sentence,
  compiledKey: fc.constantFrom(undefined, "k"),
  batches: fc.constantFrom(undefined, [{ name: "b", status: "error" }]),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("say" as const), task: fc.integer({ min: 1, max: 6 }), write }),
  },
  fc.record({ kind: fc.constant("claim" as const), lost: fc.boolean(), forget: fc.boolean(), asSeen: fc.boolean() }),
  fc.record({ kind: fc.constant("close" as const), round: fc.integer({ min: 1, max: 2 }), asSeen: fc.boolean() }),
);

const LEDGERS: readonly (readonly [string, () => Ledger])[] = [
  ["", memoryLedger],
  [", by the client of DynamoDB too", () => ledgerOn(new MemoryTable(new TableStore(), "test"))],
];

test.each(LEDGERS)(
  "E4, G19: whatever the order of words, claims and last words, a vertex is as if each late word had been refused%s",
  async (_, open) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const key = { project: "shop", runId: "run-1", round: 2 };
        const ledger = open();
        await ledger.createRun(runRow(key));
        const rule = new ConditionalRow();
        let newest = 1;
        for (const one of steps) {
          const seen = rule.row;
          if (one.kind === "say") {
            // A task speaks when it has been made. What nobody has claimed is the producer's, by the old rule whoever spoke first.
            const task = Math.min(one.task, newest);
            if (task === 1 || seen !== null) rule.write(task, one.write);
            await ledger.writeVertex(key, task, one.write);
          } else if (one.kind === "claim") {
            newest += 1;
            const from = one.asSeen ? (seen?.ownerTask ?? null) : 1;
            const claim = { uniqueId: A, from, forget: one.forget, ...(one.lost ? { lostTask: newest - 1 } : {}) };
            expect(await ledger.claimVertex(key, newest, claim)).toBe(rule.claim(newest, claim));
          } else {
            const owner = one.asSeen ? (seen?.ownerTask ?? 1) : newest;
            const final = {
              uniqueId: A,
              final: "dead",
              finalReason: "no",
              rootCause: one.round === 1 ? "r" : undefined,
            } as const;
            await ledger.setFinal({ ...key, round: one.round }, owner, final);
            rule.close(one.round, owner, final);
          }
          const [joined] = await ledger.readSomeVertices(key, [A]);
          expect(joined ?? null).toEqual(rule.row);
          expect((await ledger.readVertices(key))[0] ?? null).toEqual(rule.row);
        }
      }),
      { numRuns: 1_000 },
    );
  },
);
