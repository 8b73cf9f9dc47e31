import type { HookResult } from "#core/contracts/task-set.ts";
import { JsonMembers } from "./json-members.ts";
import { type ResultEntry, resultEntry } from "./result-entry.ts";

/** What stands beside the results in dbt's file. */
interface FileHead {
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly args: Readonly<Record<string, unknown>>;
}

/** Of the run that the results are of. */
export interface MergedRun {
  readonly runId: string;
  readonly endedAtMs: number;
  readonly elapsedSeconds: number;
  readonly dbtVersion: string | null;
  /** Of the build whose manifest lies beside, so that tools that join the two by it find each other. */
  readonly invocationId: string | null;
}

const SCHEMA = "https://schemas.getdbt.com/dbt/run-results/v6.json";

/**
 * One run_results.json of a whole run (behaviour H9): each vertex once, as the build left it whose word counts, under one
 * invocation id. dbt's own entries are taken from the files of the builds, which come piece by piece, so that no more of
 * them is held than what is kept; what no file has is made of what the ledger knows. Compiled SQL stays in the files of
 * the tasks: of ten thousand nodes it is fifty megabytes and more, and no state comparison reads it.
 */
export class MergedResults {
  readonly #wanted: ReadonlyMap<string, HookResult>;
  readonly #entries = new Map<string, string>();
  #head: FileHead = { metadata: {}, args: {} };

  constructor(results: readonly HookResult[]) {
    this.#wanted = new Map(results.map((result) => [result.uniqueId, result]));
  }

  /** Tasks whose files are asked for. */
  get tasks(): number[] {
    const tasks = [...this.#wanted.values()].flatMap(({ task }) => (task === null ? [] : [task]));
    return [...new Set(tasks)].sort((a, b) => a - b);
  }

  /**
   * Takes what counts from one file, once for each.
   * @param isOf whether the word that counts of a vertex is of the build, or of the builds, that wrote the file
   */
  reader(isOf: (task: number) => boolean, isHead: boolean): { push: (bytes: Uint8Array) => void } {
    let broken = false;
    const head = { metadata: {}, args: {} } as { -readonly [K in keyof FileHead]: FileHead[K] };
    const members = new JsonMembers({
      whole: new Set(["metadata", "args"]),
      each: new Set(["results"]),
      onObject: (member, value) => {
        if (member === "results") this.#take(value as ResultEntry, isOf);
        else head[member as keyof FileHead] = value as Record<string, unknown>;
        if (isHead) this.#head = head;
      },
    });
    return {
      push: (bytes) => {
        if (broken) return;
        try {
          members.push(bytes);
        } catch {
          // A file that was cut off: what the ledger knows is told of the rest.
          broken = true;
        }
      },
    };
  }

  #take(entry: ResultEntry, isOf: (task: number) => boolean): void {
    const wanted = this.#wanted.get(entry.unique_id);
    if (wanted === undefined || wanted.task === null || !isOf(wanted.task) || wanted.status !== entry.status) return;
    const { compiled_code: _, ...kept } = entry;
    this.#entries.set(entry.unique_id, JSON.stringify({ ...kept, compiled_code: null }));
  }

  /** The file's text. */
  text(run: MergedRun): string {
    const metadata = {
      dbt_schema_version: SCHEMA,
      ...this.#head.metadata,
      ...(run.dbtVersion !== null && { dbt_version: run.dbtVersion }),
      generated_at: new Date(run.endedAtMs).toISOString(),
      ...(run.invocationId !== null && { invocation_id: run.invocationId }),
      env: { ...(this.#head.metadata.env as object | undefined), STEPWATCH_RUN_ID: run.runId },
    };
    const results = [...this.#wanted.values()].map(
      (one) => this.#entries.get(one.uniqueId) ?? JSON.stringify(resultEntry(one)),
    );
    const [head, tail] = [JSON.stringify(metadata), JSON.stringify(this.#head.args)];
    return `{"metadata":${head},"results":[${results.join(",")}],"elapsed_time":${run.elapsedSeconds},"args":${tail}}`;
  }
}
