import { unmarshall } from "@aws-sdk/util-dynamodb";
import type { DynamoDBRecord } from "aws-lambda";
import { type RunRow, runRowSchema } from "#core/contracts/ledger.ts";
import { classOfStatus, isTerminal } from "#core/dbt/status.ts";
import { keys, partsOfWord } from "#core/names.ts";
import type { EventChange } from "#core/run/events/event-change.ts";
import { readRow } from "./rows.ts";
import { fromTexts } from "./run-rows.ts";
import type { Row } from "./table.ts";

/** What events tell of a record: several, one, or nothing. Throws for one that is none of this table. */
export function eventChangesOf(record: DynamoDBRecord): EventChange[] {
  const {
    Keys: key,
    NewImage: after,
    OldImage: before,
    ApproximateCreationDateTime: seconds = 0,
  } = record.dynamodb ?? {};
  if (after === undefined) return [];
  const [kind, project, runId] = String(key?.pk?.S).split("#");
  if (project === undefined || runId === undefined) return [];
  const sk = String(key?.sk?.S);
  const head = { project, runId, atMs: Number(seconds) * 1_000 };
  const [now, was] = [row(after), row(before ?? {})];
  if (kind === "BUILD") return failedWord(head, sk, now, was);
  if (kind !== "RUN") return [];
  if (sk === keys.run) return ofRun(head, now, was);
  return sk.startsWith(keys.vertexPrefix) ? ofConsumer(head, sk, now, was) : [];
}

type Head = Pick<EventChange, "project" | "runId" | "atMs">;

const row = (image: object): Row => unmarshall(image as Parameters<typeof unmarshall>[0]);

function failedWord(head: Head, sk: string, now: Row, was: Row): EventChange[] {
  const word = partsOfWord(sk);
  const status = String(now.status ?? "");
  if (word === null || now.status === was.status || !isTerminal(status)) return [];
  if (!["failed", "interrupted"].includes(classOfStatus(status))) return [];
  return [{ ...head, kind: "vertex failed", uniqueId: String(now.uniqueId ?? word.uniqueId), task: word.task }];
}

function ofConsumer(head: Head, sk: string, now: Row, was: Row): EventChange[] {
  const uniqueId = String(now.uniqueId ?? sk.slice(keys.vertexPrefix.length));
  const parts = [
    { part: "node", outcome: now.outcome, round: now.outcomeRound, before: [was.outcome, was.outcomeRound] },
    {
      part: "tests",
      outcome: now.testsOutcome,
      round: now.testsOutcomeRound,
      before: [was.testsOutcome, was.testsOutcomeRound],
    },
  ] as const;
  return parts.flatMap(({ part, outcome, round, before }) =>
    isOutcome(outcome) && (outcome !== before[0] || round !== before[1])
      ? [{ ...head, kind: "node ended" as const, uniqueId, part, outcome }]
      : [],
  );
}

const isOutcome = (value: unknown): value is "green" | "red" | "skipped" =>
  value === "green" || value === "red" || value === "skipped";

function ofRun(head: Head, now: Row, was: Row): EventChange[] {
  const isNewRound = now.round !== was.round;
  const isEnd = now.state !== "running" && (was.state === "running" || was.state === undefined);
  if (!isNewRound && !isEnd) return [];
  const run: RunRow = readRow(runRowSchema, fromTexts(now));
  return [
    ...(isNewRound && run.state === "running" ? [{ ...head, kind: "run started" as const, run }] : []),
    ...(isEnd ? [{ ...head, kind: "run ended" as const, run }] : []),
  ];
}
