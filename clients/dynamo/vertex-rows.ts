import { isDeepStrictEqual } from "node:util";
import type { RunKey, VertexRows } from "#clients/ledger.ts";
import type { DecidedVertex } from "#core/contracts/ledger.ts";
import { isTerminal } from "#core/dbt/status.ts";
import { LedgerUnavailable } from "#core/errors.ts";
import { keptStory, missingOf, type Story } from "#core/run/judging/joined-rows.ts";
import { absent, allOf, type Condition, equals, notLater, present, type RowChange } from "./expressions.ts";
import { type RunExpiry, requireRow, runKey, vertexKey, wholeId, wholeIdOfWord, wordKey } from "./rows.ts";
import { runOf } from "./run-rows.ts";
import type { DynamoTable, Refusal, Row } from "./table.ts";
import { type Look, lookAtOne, readAll, readSome } from "./vertex-reading.ts";

/**
 * Writes of one claim or last word, at most: each more means that somebody else decided the vertex at that moment, which
 * a run's version lets happen once.
 */
const WRITE_ATTEMPTS = 3;

/** What a claim takes from a vertex. */
const UNTIL_CLAIMED = ["final", "finalReason", "finalRound", "rootCause", "mark"];

/** Vertices: what is decided of them, and the words of tasks, each in rows of its own (docs/adr/0043). */
export function vertexRows(table: DynamoTable, expiries: RunExpiry): VertexRows {
  return {
    async writeVertex(run, task, { uniqueId, ...said }) {
      const attributes = { ...wholeIdOfWord(task, uniqueId), ...said, expiresAt: await expiries.of(run) };
      // A start that comes after the end of its own try (a request that the network held back) would reopen the vertex.
      const when = isTerminal(said.status) ? {} : { when: absent("endedAtMs") };
      await table.update(wordKey(run, task, uniqueId), { set: attributes, ...when });
    },

    async writeEnds(run, task, writes) {
      const expiresAt = await expiries.of(run);
      const rows = writes.map(({ uniqueId, ...said }) => {
        // null stays: it takes back what an older task's word has left (core/run/judging/joined-rows).
        const told = Object.entries(said).filter(([, value]) => value !== undefined);
        return {
          ...wordKey(run, task, uniqueId),
          ...wholeIdOfWord(task, uniqueId),
          ...Object.fromEntries(told),
          expiresAt,
        };
      });
      const left = new Set((await table.putMany(rows)).map(({ sk }) => sk));
      return writes.filter((_, at) => left.has(rows[at]!.sk)).map(({ uniqueId }) => uniqueId);
    },

    readVertices: (run) => readAll(table, run),

    readSomeVertices: (run, uniqueIds) => readSome(table, run, uniqueIds),

    async glanceAtVertex(run, uniqueId) {
      const { runRow, row } = await lookAtOne(table, run, uniqueId, 1);
      return { run: runRow === null ? null : runOf(runRow, expiries), row };
    },

    async claimVertex(run, task, claim) {
      const { uniqueId, from, lostTask } = claim;
      const expiresAt = await expiries.of(run);
      return decide(run, uniqueId, from ?? 1, (look) => {
        if (look.decided?.ownerTask === task) return true;
        if (!isOwnedBy(from, look)) return false;
        const story = stored(keptStory(look.row, claim.forget));
        return {
          set: { ...wholeId(uniqueId), ...story, ownerTask: task, expiresAt },
          add: { epoch: 1, ...(lostTask === undefined ? {} : { lostTasks: new Set([lostTask]) }) },
          remove: [...UNTIL_CLAIMED, ...missingOf(story)],
          when: asSeen(look.decided),
        };
      });
    },

    async setFinal(run, ownerTask, { uniqueId, ...final }) {
      const expiresAt = await expiries.of(run);
      await decide(run, uniqueId, ownerTask, (look) => {
        const isOthers = !isOwnedBy(ownerTask, look) && !isOwnedBy(null, look);
        if (isOthers || (look.decided?.finalRound ?? 0) > run.round) return false;
        const kept = keptStory(look.row);
        if (isGiven(look, { ...kept, ...final, ownerTask, finalRound: run.round })) return true;
        const story = stored(kept);
        return {
          set: { ...wholeId(uniqueId), ...story, ...final, ownerTask, finalRound: run.round, expiresAt },
          remove: [...(final.rootCause === undefined ? ["rootCause"] : []), ...missingOf(story)],
          when: allOf(asSeen(look.decided), notLater("finalRound", run.round)),
        };
      });
    },

    async markConsumerStarted(run, uniqueId, part, atMs) {
      const ofTests = { testsConsumerStartedAtMs: atMs, testsConsumerRound: run.round };
      const started = part === "node" ? { consumerStartedAtMs: atMs, consumerRound: run.round } : ofTests;
      await mark(run, uniqueId, started, notLater(part === "node" ? "consumerRound" : "testsConsumerRound", run.round));
    },

    async setOutcome(run, uniqueId, part, { outcome, atMs }) {
      const ofTests = { testsOutcome: outcome, testsOutcomeAtMs: atMs, testsOutcomeRound: run.round };
      const ofNode = { outcome, outcomeAtMs: atMs, outcomeRound: run.round };
      const when = notLater(part === "node" ? "outcomeRound" : "testsOutcomeRound", run.round);
      await mark(run, uniqueId, part === "node" ? ofNode : ofTests, when);
    },

    async keepConsumerWait(run, uniqueId, part, { atMs, ...wait }) {
      const { round } = wait;
      const ofTests = { testsWait: wait, testsWaitAtMs: atMs, testsWaitRound: round };
      const noted = part === "node" ? { wait, waitAtMs: atMs, waitRound: round } : ofTests;
      const [ofTime, ofRound] = part === "node" ? ["waitAtMs", "waitRound"] : ["testsWaitAtMs", "testsWaitRound"];
      await mark(run, uniqueId, noted, allOf(notLater(ofTime!, atMs), notLater(ofRound!, round)));
    },

    async markRedrivenConsumer(run, uniqueId, part, redriven) {
      await mark(run, uniqueId, part === "node" ? { redriven } : { testsRedriven: redriven });
    },

    async markOverdueTold(run, uniqueId, task) {
      await mark(run, uniqueId, { overdueTold: task }, notLater("overdueTold", task));
    },

    async markToldAs(run, uniqueId, toldAs) {
      await mark(run, uniqueId, { toldAs });
    },

    async setMark(run, uniqueId, ownerTask, mark) {
      const refusal = await table.update(vertexKey(run, uniqueId), {
        set: { ...wholeId(uniqueId), ...(mark === null ? {} : { mark }), expiresAt: await expiries.of(run) },
        setOnce: { ownerTask },
        remove: mark === null ? ["mark"] : [],
      });
      if (refusal !== null) requireRow(refusal, vertexKey(run, uniqueId));
      // The run's own row tells whoever waits: records of vertices are as many as dbt's words.
      await table.update(runKey(run), { add: { marks: 1 }, when: present("pk") });
    },
  };

  /** Attributes beside what is decided of the vertex; the row is made if there is none. A mark that comes late stays out. */
  async function mark(run: RunKey, uniqueId: string, attributes: Row, when?: Condition): Promise<Refusal | null> {
    const set = { ...wholeId(uniqueId), ...attributes, expiresAt: await expiries.of(run) };
    return table.update(vertexKey(run, uniqueId), when === undefined ? { set } : { set, when });
  }

  /** One decision on a vertex as it is seen, written if it is still decided so; a boolean is the answer without a write. */
  async function decide(
    run: RunKey,
    uniqueId: string,
    guess: number,
    change: (look: Look) => boolean | RowChange,
  ): Promise<boolean> {
    for (let attempt = 0; attempt < WRITE_ATTEMPTS; attempt += 1) {
      const decision = change(await lookAtOne(table, run, uniqueId, guess));
      if (typeof decision === "boolean") return decision;
      if ((await table.update(vertexKey(run, uniqueId), decision)) === null) return true;
    }
    throw new LedgerUnavailable(`Others decide ${uniqueId} at the same moment: call again in a moment.`);
  }
}

/** Whose word counts; null: nobody has claimed it or spoken of it. */
function isOwnedBy(task: number | null, { decided, row }: Look): boolean {
  if (task !== null && row !== null) return row.ownerTask === task;
  return task === null && decided?.ownerTask === undefined && row?.statusTask === undefined;
}

/** The same last word stands already, as where two checks of a large run give it beside each other. */
function isGiven({ decided }: Look, word: Story & Partial<DecidedVertex>): boolean {
  const gone = ["rootCause", ...missingOf(word)].filter((name) => !(name in word));
  if (decided === null || gone.some((name) => name in decided)) return false;
  return isDeepStrictEqual({ ...decided, ...word }, decided);
}

/** Nobody has claimed the vertex, closed it or kept a story of it since it was read. */
const asSeen = (decided: DecidedVertex | null): Condition =>
  allOf(
    as("ownerTask", decided?.ownerTask),
    as("statusTask", decided?.statusTask),
    decided?.final === undefined ? absent("final") : present("final"),
  );

const as = (attribute: string, value: number | undefined): Condition =>
  value === undefined ? absent(attribute) : equals(attribute, value);

/** DynamoDB has no empty sets. */
function stored({ tryTasks = [], ...story }: Story): Row {
  return { ...story, ...(tryTasks.length === 0 ? {} : { tryTasks: new Set(tryTasks) }) };
}
