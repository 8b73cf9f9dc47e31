import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { callSettings } from "./aws-settings.ts";
import { adoptedRows } from "./dynamo/adopted-rows.ts";
import { alertRows } from "./dynamo/alert-rows.ts";
import { handRows } from "./dynamo/hand-rows.ts";
import { latestRows } from "./dynamo/latest-rows.ts";
import { lockRows, queueRows, runIndexRows } from "./dynamo/project-rows.ts";
import { RunExpiry } from "./dynamo/rows.ts";
import { runRows } from "./dynamo/run-rows.ts";
import { scheduleRows } from "./dynamo/schedule-rows.ts";
import { DynamoTable } from "./dynamo/table.ts";
import { claimedTasks, fencedTasks } from "./dynamo/task-rows.ts";
import { triggerRows } from "./dynamo/trigger-rows.ts";
import { vertexRows } from "./dynamo/vertex-rows.ts";
import type { Ledger } from "./ledger.ts";
import { withinLimits } from "./within-limits.ts";

/**
 * The ledger on DynamoDB. Every write names its own attributes and its condition; a failed condition comes back with
 * the row that made it fail, so that a repeated write recognises itself. What containers tell lies in partitions of its
 * own (docs/adr/0043). Rows of a run expire together, as its run row
 * says (attribute `expiresAt`).
 */
export function dynamoLedger(options: { table: string; client?: DynamoDBClient }): Ledger {
  return ledgerOn(new DynamoTable(options.table, withinLimits(options.client ?? new DynamoDBClient(callSettings))));
}

/** The same on a table that somebody else has made. */
export function ledgerOn(table: DynamoTable): Ledger {
  const expiries = new RunExpiry(table);
  return {
    ...runRows(table, expiries),
    ...adoptedRows(table),
    ...claimedTasks(table, expiries),
    ...fencedTasks(table, expiries),
    ...vertexRows(table, expiries),
    ...lockRows(table),
    ...queueRows(table),
    ...runIndexRows(table),
    ...triggerRows(table),
    ...handRows(table),
    ...scheduleRows(table),
    ...latestRows(table),
    ...alertRows(table),
  };
}
