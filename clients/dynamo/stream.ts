import { unmarshall } from "@aws-sdk/util-dynamodb";
import type { DynamoDBRecord } from "aws-lambda";
import type { RunKey } from "#clients/ledger.ts";
import { isTerminal } from "#core/dbt/status.ts";
import { keys, partsOfWord } from "#core/names.ts";
import type { LedgerChange } from "#core/run/watching/ledger-change.ts";
import type { Row } from "./table.ts";

/** What a record says, or null: nobody waits for it. Throws for one that is none of this table. */
export function changeOf(record: DynamoDBRecord): LedgerChange | null {
  const { Keys: key, NewImage: after, OldImage: before } = record.dynamodb ?? {};
  if (after === undefined) return null;
  const [kind, project, runId] = String(key?.pk?.S).split("#");
  if (project === undefined || runId === undefined) return null;
  const run = { project, runId };
  const change = kind === "BUILD" ? told : kind === "RUN" ? decided : () => null;
  return change(run, String(key?.sk?.S), row(after), row(before ?? {}));
}

const row = (image: object): Row => unmarshall(image as Parameters<typeof unmarshall>[0]);

/** What a container has told: of a vertex, or of its task. */
function told(run: RunKey, sk: string, now: Row, was: Row): LedgerChange | null {
  const word = partsOfWord(sk);
  if (word === null) {
    if (now.end !== undefined && was.end === undefined) return { ...run, kind: "task over" };
    return now.toldPlanKey !== undefined && was.toldPlanKey === undefined ? { ...run, kind: "plan told" } : null;
  }
  if (now.status === undefined || (now.status === was.status && now.evidence === was.evidence)) return null;
  const uniqueId = String(now.uniqueId ?? word.uniqueId);
  const status = String(now.status);
  return { ...run, kind: "vertex", uniqueId, is: isTerminal(status) ? "ended" : "started", status };
}

/** What has been decided: of a vertex, of a task, or of the run. */
function decided(run: RunKey, sk: string, now: Row, was: Row): LedgerChange | null {
  if (sk.startsWith(keys.vertexPrefix)) {
    const uniqueId = String(now.uniqueId ?? sk.slice(keys.vertexPrefix.length));
    return now.final !== undefined && was.final === undefined
      ? { ...run, kind: "vertex", uniqueId, is: "closed" }
      : null;
  }
  if (sk.startsWith(keys.taskPrefix))
    return now.state === "over" && was.state !== "over" ? { ...run, kind: "task over" } : null;
  if (sk !== keys.run) return null;
  const isNew = (attribute: string) => now[attribute] !== undefined && was[attribute] === undefined;
  if (isNew("stopRequestedAtMs") || isNew("stopAfterCurrentAtMs")) return { ...run, kind: "stop" };
  if (now.marks !== was.marks) return { ...run, kind: "marked" };
  return isNew("planKey") ? { ...run, kind: "planned" } : null;
}
