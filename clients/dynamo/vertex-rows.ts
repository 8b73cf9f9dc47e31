import type { RunKey, VertexRows } from "#clients/ledger.ts";
import { type VertexRow, vertexRowSchema } from "#core/contracts/ledger.ts";
import type { VertexWrite } from "#core/contracts/vertex-write.ts";
import { isTerminal } from "#core/dbt/status.ts";
import { LedgerUnavailable } from "#core/errors.ts";
import { isWholeId, keys } from "#core/names.ts";
import { absent, allOf, anyOf, type Condition, equals, present, type RowChange } from "./expressions.ts";
import { type RunExpiry, readRow, requireRow, vertexKey } from "./rows.ts";
import type { DynamoTable, Refusal, Row } from "./table.ts";

/**
 * What a task's first status of a vertex clears, unless it brings its own: an older try's story. Not the batches of a
 * microbatch model: a try that ends before it names one must not lose their window (core/run/event-window).
 */
const TOLD_BY_A_TRY = [
  "startedAtMs",
  "endedAtMs",
  "message",
  "failures",
  "executionSeconds",
  "rowsAffected",
  "compiledKey",
] as const;

/**
 * Writes of one status, at most: one as if the task had spoken of the vertex before, one that clears an older try, and
 * one for a repetition by the SDK that meets its own first success. Each more would mean a second writer of the task.
 */
const WRITE_ATTEMPTS = 3;

/** Vertex rows. Status attributes belong to the owner task, `final` to check-run, consumer attributes to its own. */
export function vertexRows(table: DynamoTable, expiries: RunExpiry): VertexRows {
  return {
    async writeVertex(run, task, write) {
      const key = vertexKey(run, write.uniqueId);
      const given = statusAttributes(task, write, await expiries.of(run));
      let row: Row = {};
      for (let attempt = 0; attempt < WRITE_ATTEMPTS; attempt += 1) {
        const { remove = [], ...place } = within(task, write, row);
        const taken = [...new Set([...remove, ...takenBack(write)])];
        const refusal = await table.update(key, { ...given, ...place, remove: taken });
        if (refusal === null) return true;
        row = refusal.row ?? {};
        if (row.final !== undefined || (row.ownerTask !== undefined && row.ownerTask !== task)) return false;
        if (row.statusTask === task && row.endedAtMs !== undefined && !isTerminal(write.status)) return true;
      }
      throw new LedgerUnavailable(`Two writers of task ${task} met at ${write.uniqueId}: write again in a moment.`);
    },

    async readVertices(run) {
      const rows = await table.query(keys.runPartition(run.project, run.runId), keys.vertexPrefix);
      return rows.map(vertexRow);
    },

    async readSomeVertices(run, uniqueIds) {
      const rows = await table.getMany(uniqueIds.map((uniqueId) => vertexKey(run, uniqueId)));
      return rows.map(vertexRow);
    },

    async claimVertex(run, task, claim) {
      const refusal = await table.update(vertexKey(run, claim.uniqueId), {
        set: { ...wholeId(claim.uniqueId), ownerTask: task, expiresAt: await expiries.of(run) },
        add: { epoch: 1, ...(claim.lostTask === undefined ? {} : { lostTasks: new Set([claim.lostTask]) }) },
        remove: ["final", "finalReason", "rootCause"],
        when: claim.from === null ? absent("ownerTask") : equals("ownerTask", claim.from),
      });
      return refusal === null || refusal.row?.ownerTask === task;
    },

    async setFinal(run, ownerTask, { uniqueId, ...final }) {
      await table.update(vertexKey(run, uniqueId), {
        set: { ...wholeId(uniqueId), ...final, expiresAt: await expiries.of(run) },
        setOnce: { ownerTask },
        remove: final.rootCause === undefined ? ["rootCause"] : [],
        when: free(ownerTask),
      });
    },

    async markConsumerStarted(run, uniqueId, part, atMs) {
      const started = part === "node" ? { consumerStartedAtMs: atMs } : { testsConsumerStartedAtMs: atMs };
      mustExist(run, uniqueId, await table.update(vertexKey(run, uniqueId), onExisting(started)));
    },

    async setOutcome(run, uniqueId, part, { outcome, atMs }) {
      const ofTests = { testsOutcome: outcome, testsOutcomeAtMs: atMs };
      const change = onExisting(part === "node" ? { outcome, outcomeAtMs: atMs } : ofTests);
      mustExist(run, uniqueId, await table.update(vertexKey(run, uniqueId), change));
    },
  };
}

/** Nobody's, or this task's. */
const free = (task: number): Condition => anyOf(absent("ownerTask"), equals("ownerTask", task));

/** The same, and the decision maker has not closed it: a zombie's word must not contradict what was decided by that. */
const open = (task: number): Condition => allOf(free(task), absent("final"));

/**
 * How a status goes into the row that was last seen: over the story of an older try, which it clears, or into this
 * task's own. A start that comes after the end of its own try (a request that the network held back) would reopen the
 * vertex, so it needs a row without an end.
 */
function within(task: number, write: VertexWrite, row: Row): RowChange {
  if (row.statusTask !== undefined && row.statusTask !== task)
    return {
      remove: TOLD_BY_A_TRY.filter((attribute) => write[attribute] === undefined),
      when: allOf(open(task), equals("statusTask", row.statusTask)),
    };
  const sameTry = anyOf(absent("statusTask"), equals("statusTask", task));
  return { when: allOf(open(task), isTerminal(write.status) ? sameTry : allOf(sameTry, absent("endedAtMs"))) };
}

/** What the word says to be nothing, of which an earlier word of the try said something. */
function takenBack(write: VertexWrite): string[] {
  return Object.entries(write).flatMap(([attribute, value]) => (value === null ? [attribute] : []));
}

function statusAttributes(task: number, { uniqueId, ...status }: VertexWrite, expiresAt: number): RowChange {
  const tried = { tryTasks: new Set([task]) };
  const said = Object.fromEntries(Object.entries(status).filter(([, value]) => value !== null));
  return {
    set: { ...wholeId(uniqueId), ...said, ownerTask: task, statusTask: task, expiresAt },
    // dbt 2.0 prints starts for what it then skips: the skip takes the try back.
    ...(status.evidence ? { add: tried } : { takeOut: tried }),
  };
}

/** An id that is too long for a key stands in the row itself. */
const wholeId = (uniqueId: string): { uniqueId?: string } => (isWholeId(uniqueId) ? {} : { uniqueId });

const onExisting = (attributes: Row): RowChange => ({ set: attributes, when: present("pk") });

function mustExist(run: RunKey, uniqueId: string, refusal: Refusal | null): void {
  if (refusal !== null) requireRow(refusal, vertexKey(run, uniqueId));
}

function vertexRow(row: Row): VertexRow {
  const uniqueId = row.uniqueId ?? String(row.sk).slice(keys.vertexPrefix.length);
  return readRow(vertexRowSchema, {
    ...row,
    uniqueId,
    tryTasks: sorted(row.tryTasks),
    lostTasks: sorted(row.lostTasks),
  });
}

/** DynamoDB has no empty sets: an absent one is empty. */
const sorted = (numbers: unknown): number[] => (numbers instanceof Set ? [...numbers].sort((a, b) => a - b) : []);
