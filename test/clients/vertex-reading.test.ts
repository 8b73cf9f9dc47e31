import { expect, test } from "vitest";
import type { Key, Row } from "#clients/dynamo/table.ts";
import { ledgerOn } from "#clients/dynamo-ledger.ts";
import type { Ledger } from "#clients/ledger.ts";
import { MemoryTable, TableStore } from "../../bench/scale/memory-table.ts";
import { runRow, taskRow } from "../support/ledger-rows.ts";

const key = { project: "shop", runId: "run-1", round: 1 };
const A = "model.shop.a";
const word = (status: string) => ({ uniqueId: A, status, evidence: true, endedAtMs: 9 });

/** A table where something happens just before its n-th read. */
class Interrupted extends MemoryTable {
  #reads = 0;
  readonly #at: number;
  readonly #happens: () => Promise<unknown>;

  constructor(store: TableStore, at: number, happens: () => Promise<unknown>) {
    super(store, "reader");
    this.#at = at;
    this.#happens = happens;
  }

  async #before(): Promise<void> {
    if (this.#reads++ === this.#at) await this.#happens();
  }

  override async get(wanted: Key): Promise<Row | null> {
    await this.#before();
    return super.get(wanted);
  }

  override async query(pk: string, prefix: string): Promise<Row[]> {
    await this.#before();
    return super.query(pk, prefix);
  }

  override async getMany(wanted: readonly Key[]): Promise<Row[]> {
    await this.#before();
    return super.getMany(wanted);
  }
}

type Reading = (ledger: Ledger) => ReturnType<Ledger["readVertices"]>;
const READINGS: readonly (readonly [string, Reading])[] = [
  ["one vertex", (ledger) => ledger.readSomeVertices(key, [A])],
  ["all", (ledger) => ledger.readVertices(key)],
];

test.each(READINGS)(
  "E4, F10: a word that comes after a claim is never read, whenever both happen while %s is read",
  async (_, read) => {
    for (let at = 0; at < 6; at += 1) {
      const store = new TableStore();
      const others = ledgerOn(new MemoryTable(store, "others"));
      await others.createRun(runRow(key));
      await others.createTask(key, 0, taskRow(1));
      await others.writeVertex(key, 1, word("error"));
      const happens = async () => {
        await others.claimVertex(key, 2, { uniqueId: A, from: 1 });
        await others.writeVertex(key, 1, word("success"));
      };
      const [row] = await read(ledgerOn(new Interrupted(store, at, happens)));
      expect(row, `before read ${at}`).toMatchObject({ status: "error", statusTask: 1 });
      expect([1, 2]).toContain(row!.ownerTask);
    }
  },
);

test.each(READINGS)(
  "E4: what its new owner says is read, or what was kept, whenever it says it while %s is read",
  async (_, read) => {
    for (let at = 0; at < 6; at += 1) {
      const store = new TableStore();
      const others = ledgerOn(new MemoryTable(store, "others"));
      await others.createRun(runRow(key));
      await others.writeVertex(key, 1, word("error"));
      await others.claimVertex(key, 2, { uniqueId: A, from: 1 });
      const happens = () => others.writeVertex(key, 2, word("success"));
      const [row] = await read(ledgerOn(new Interrupted(store, at, happens)));
      expect([
        { ownerTask: 2, statusTask: 1, status: "error", tryTasks: [1] },
        { ownerTask: 2, statusTask: 2, status: "success", tryTasks: [1, 2] },
      ]).toContainEqual({
        ownerTask: row!.ownerTask,
        statusTask: row!.statusTask,
        status: row!.status,
        tryTasks: row!.tryTasks,
      });
    }
  },
);
