import type { DbtCode } from "./dbt-code.ts";

/** dbt's own level of a line. A word that dbt never used so far is read as `info`. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** What a line says about a vertex, whatever happened to it. */
export interface VertexFacts {
  uniqueId: string;
  /** dbt's word: model, seed, snapshot, test, unit_test, exposure, function, source …; empty when the line has none. */
  resourceType: string;
  /** view, table, incremental, ephemeral, test …; empty when the line has none. */
  materialized: string;
  name: string;
  /** Relation as dbt prints it, quotes and all; null for tests and when the line has none. */
  relationName: string | null;
  checksum: string | null;
  startedAtMs: number | null;
  endedAtMs: number | null;
}

export interface LineFacts {
  /** dbt's name of the event, such as `LogModelResult`. */
  name: string;
  level: LogLevel;
  /** `info.msg`, colour codes stripped, cut at {@link MAX_MESSAGE_CHARACTERS}. */
  text: string;
  /** Time at which dbt wrote the line, ms since 1970; null when the line has none that can be read. */
  atMs: number | null;
  thread: string | null;
  invocationId: string | null;
  /** dbt 2's own code of an error or warning; null where the line has none. */
  code: DbtCode | null;
}

/** A vertex began, or went a step further (compiling, executing). dbt 2 prints this for what it then skips. */
export interface StartedEvent extends LineFacts {
  kind: "started";
  vertex: VertexFacts;
  /** Which of dbt's words: started, compiling or executing. */
  status: string;
  /**
   * False for 1.x's `NodeStart` (debug level), which is printed for vertices that dbt then skips, and for
   * `NodeCompiling`, which 2.0 prints of a model for its unit test's sake. 2.0 prints all other starts for what it skips
   * too and gives no way to tell before the end.
   */
  proves: boolean;
  /** Number of vertices dbt set out to run, where the line has it. */
  total: number | null;
}

/** A vertex ended, by dbt's word. */
export interface EndedEvent extends LineFacts {
  kind: "ended";
  vertex: VertexFacts;
  /** dbt's status word, verbatim. */
  status: string;
  /**
   * `line`: printed once per vertex (`Log…Result`, `SkippingDetails`). `finish`: `NodeFinished`, which 1.x also
   * prints once per microbatch batch under the model's id, so that it is no proof of an end while batches exist.
   */
  source: "line" | "finish";
  /** dbt's error or result text, where this line has it (1.x debug: `run_result.message`). */
  message: string | null;
  executionSeconds: number | null;
  failures: number | null;
  rowsAffected: number | null;
  index: number | null;
  total: number | null;
}

/** A text about a vertex, which may come long after its end. */
export interface MessageEvent extends LineFacts {
  kind: "message";
  vertex: VertexFacts;
  message: string | null;
  /**
   * `failed`: dbt prints such a line for a vertex that failed and for no other (`RunResultError`, `RunResultFailure` in
   * 1.x, an error with the vertex's id in 2.0); it turns a success of the same build into an error.
   * `failedInDbt2`: an error-level line that nobody knows: of 2.0 it is such an error, of 1.x it may be an adapter's
   * complaint about something that it tries once more.
   * `cancelled`: the error says that dbt itself cancelled the vertex: nothing of it may count, and nobody is to blame.
   * `skipped`: the same line, but its text says that dbt never ran the vertex (1.8 to 1.10 print it so for a child of a
   * failed ephemeral model, and after a fail-fast even for vertices that had ended well), so that it is the weakest word.
   * null: a text alone.
   */
  says: "failed" | "failedInDbt2" | "cancelled" | "skipped" | null;
  /** dbt prints nothing more about the vertex (1.x's `RunResult…`). */
  final: boolean;
  /** What to believe where several texts are there: a higher one is nearer to dbt's final word. */
  weight: number;
  /** Where dbt wrote the compiled SQL, relative to the project; null when the line does not say. */
  compiledPath: string | null;
}

/** One batch of a microbatch model began or ended. Never the end of the vertex. */
export interface BatchEvent extends LineFacts {
  kind: "batch";
  vertex: VertexFacts;
  batch: { name: string; index: number | null; total: number | null; status: string };
}

export interface VersionEvent extends LineFacts {
  kind: "version";
  /** `1.11.16`, `2.0.0-preview.196`: what dbt says it is. */
  version: string;
}

export interface ConcurrencyEvent extends LineFacts {
  kind: "concurrency";
  /** Vertices that dbt will run; null where the version does not say (1.8 to 1.10, and 1.11 except where printed). */
  nodeCount: number | null;
  threads: number | null;
}

export interface SummaryEvent extends LineFacts {
  kind: "summary";
  /** `counts`: 1.x's `StatsLine`, its last line; `end`: `EndOfRunSummary`; `command`: `CommandCompleted`. */
  part: "counts" | "end" | "command";
  /** Only `command` says it; null otherwise. */
  success: boolean | null;
  keyboardInterrupt: boolean;
}

/** 1.x skips a child of an ephemeral model that failed with a line that has no id, only the relation's name. */
export interface SkippedWithoutIdEvent extends LineFacts {
  kind: "skippedWithoutId";
  relation: string;
  schema: string;
  index: number | null;
}

export interface HookEvent extends LineFacts {
  kind: "hook";
  /** Empty where dbt names only the phase (`DatabaseErrorRunningHook`). */
  hookId: string;
  hookName: string;
  phase: "start" | "end" | "unknown";
  /** dbt's word; `started` at a start. */
  status: string;
  message: string | null;
}

/** dbt 2: why a hook of the run failed; the line names no hook, only that it is of one. */
export interface HookTextEvent extends LineFacts {
  kind: "hookText";
  message: string;
}

/** dbt gave up as a whole: parse, profile, connection, hook crash … */
export interface FatalEvent extends LineFacts {
  kind: "fatal";
  message: string;
  part: "error" | "trace";
}

/** dbt cancels a query (fail-fast or an interrupt), or says that it cancels everything. */
export interface CancelEvent extends LineFacts {
  kind: "cancel";
  /** All that is left of the build is cancelled (dbt 2): by fail-fast, or else by a signal. */
  all: boolean;
  /** The cancelled vertex where the line names one; null otherwise. */
  uniqueId: string | null;
}

export interface FailFastEvent extends LineFacts {
  kind: "failFast";
}

export interface EmptySelectionEvent extends LineFacts {
  kind: "emptySelection";
  /** `criterion`: one criterion matched nothing; `nothing`: the whole selection is empty. */
  part: "criterion" | "nothing";
}

/** dbt's arguments as it understood them (2.0 at info, 1.x at debug). */
export interface ArgsEvent extends LineFacts {
  kind: "args";
  failFast: boolean;
}

/**
 * dbt masked a secret in this line where the reader must not guess: in an id, or in the characters of JSON, so that it
 * is an event no more. Nothing in it counts.
 */
export interface MaskedEvent extends LineFacts {
  kind: "masked";
}

/** Anything else: for the log alone. */
export interface TextEvent extends LineFacts {
  kind: "text";
}

export type LogEvent =
  | StartedEvent
  | EndedEvent
  | MessageEvent
  | BatchEvent
  | VersionEvent
  | ConcurrencyEvent
  | SummaryEvent
  | SkippedWithoutIdEvent
  | HookEvent
  | HookTextEvent
  | FatalEvent
  | CancelEvent
  | FailFastEvent
  | EmptySelectionEvent
  | ArgsEvent
  | MaskedEvent
  | TextEvent;
