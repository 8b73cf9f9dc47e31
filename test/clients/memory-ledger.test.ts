import { expect, it } from "vitest";
import { runRow } from "../support/ledger-rows.ts";
import { memoryLedger } from "../support/memory-ledger.ts";
import { ledgerContract } from "./ledger-contract.ts";

ledgerContract("memory ledger", async () => memoryLedger());

it("hands out copies: a row that was read is nobody else's", async () => {
  const ledger = memoryLedger();
  const key = { project: "shop", runId: "r" };
  await ledger.createRun(runRow(key));
  const read = await ledger.readRun(key);
  Object.assign(read ?? {}, { state: "green" });
  expect(await ledger.readRun(key)).toMatchObject({ state: "running" });
});
