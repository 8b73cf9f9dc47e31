/** Partitions of what containers tell, and of what is decided. */
const TOLD = "BUILD#";
const DECIDED = "RUN#";

/**
 * The records of the table's stream that somebody may wait for, as Lambda's filter patterns: any of them, five at most. A
 * heartbeat, a claim, a consumer's mark and its token pass none of them; clients/dynamo/stream.ts looks closer.
 */
export const STREAM_FILTERS: readonly object[] = [
  // A task's word on a vertex.
  { dynamodb: { Keys: { pk: startsWith(TOLD) }, NewImage: { status: exists("S") } } },
  // A build's end, and a plan, both as its container tells them. `exists` sees leaves alone: a map is asked by a field
  // that it always has.
  {
    dynamodb: {
      Keys: { pk: startsWith(TOLD) },
      NewImage: { end: { M: { endedAtMs: exists("N") } } },
      OldImage: { end: { M: { endedAtMs: missing("N") } } },
    },
  },
  {
    dynamodb: {
      Keys: { pk: startsWith(TOLD) },
      NewImage: { toldPlanKey: exists("S") },
      OldImage: { toldPlanKey: missing("S") },
    },
  },
  // A last word on a vertex.
  {
    dynamodb: {
      Keys: { pk: startsWith(DECIDED) },
      NewImage: { final: exists("S") },
      OldImage: { final: missing("S") },
    },
  },
  // What is decided of the run and its tasks: its plan, a stop, a task that ECS says is over. A turn of its loop too.
  { dynamodb: { Keys: { pk: startsWith(DECIDED) }, NewImage: { state: exists("S") } } },
];

/** dbt's words that no event of a failure follows: those on the way, the good ones, and the skip, whose root has one. */
const NO_FAILURE = [...["started", "compiling", "executing", "success", "pass", "warn", "no-op", "reused", "skipped"]];

/**
 * The records that events tell of (functions/publish): a word that is not good, the end of a consumer, a run's own row.
 * clients/dynamo/event-stream.ts looks closer.
 */
export const EVENT_FILTERS: readonly object[] = [
  // `evidence` stands on words alone: an emulator takes what has no status for anything but these.
  {
    dynamodb: {
      Keys: { pk: startsWith(TOLD) },
      NewImage: { status: { S: [{ "anything-but": NO_FAILURE }] }, evidence: { BOOL: [{ exists: true }] } },
    },
  },
  { dynamodb: { Keys: { pk: startsWith(DECIDED) }, NewImage: { outcome: exists("S") } } },
  { dynamodb: { Keys: { pk: startsWith(DECIDED) }, NewImage: { testsOutcome: exists("S") } } },
  // Of a run its own row alone has it; each turn of its loop passes too.
  { dynamodb: { Keys: { pk: startsWith(DECIDED) }, NewImage: { executionArn: exists("S") } } },
];

function startsWith(prefix: string) {
  return { S: [{ prefix }] };
}

function exists(type: "S" | "N") {
  return { [type]: [{ exists: true }] };
}

function missing(type: "S" | "N") {
  return { [type]: [{ exists: false }] };
}
