import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { callSettings } from "./aws-settings.ts";
import { lockRows, queueRows, runIndexRows } from "./dynamo/project-rows.ts";
import { RunExpiry } from "./dynamo/rows.ts";
import { runRows } from "./dynamo/run-rows.ts";
import { DynamoTable } from "./dynamo/table.ts";
import { claimedTasks, fencedTasks } from "./dynamo/task-rows.ts";
import { vertexRows } from "./dynamo/vertex-rows.ts";
import type { Ledger } from "./ledger.ts";
import { withinLimits } from "./within-limits.ts";

/**
 * The ledger on DynamoDB. Every write names its own attributes and its condition; a failed condition comes back with
 * the row that made it fail, so that a repeated write recognises itself. Rows of a run expire together, as its run row
 * says (attribute `expiresAt`).
 */
export function dynamoLedger(options: { table: string; client?: DynamoDBClient }): Ledger {
  const table = new DynamoTable(options.table, withinLimits(options.client ?? new DynamoDBClient(callSettings)));
  const expiries = new RunExpiry(table);
  return {
    ...runRows(table, expiries),
    ...claimedTasks(table, expiries),
    ...fencedTasks(table),
    ...vertexRows(table, expiries),
    ...lockRows(table),
    ...queueRows(table),
    ...runIndexRows(table),
  };
}
