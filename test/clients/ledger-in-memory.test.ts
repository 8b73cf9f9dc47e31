import { ledgerOn } from "#clients/dynamo-ledger.ts";
import { MemoryTable, TableStore } from "../../bench/scale/memory-table.ts";
import { ledgerContract } from "./ledger-contract.ts";

ledgerContract("DynamoDB ledger over a table in memory", async () =>
  ledgerOn(new MemoryTable(new TableStore(), "test")),
);
