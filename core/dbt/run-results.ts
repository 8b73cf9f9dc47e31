import { z } from "zod";
import { JsonMembers } from "./json-members.ts";
import { fieldsOf, messageOf, numberOf, timeOf } from "./line-fields.ts";

/** Windows of a microbatch model's batches, as ISO start and end. */
export interface BatchResults {
  successful: [string, string][];
  failed: [string, string][];
}

/** One entry of run_results.json. */
export interface RunResult {
  uniqueId: string;
  status: string;
  message: string | null;
  failures: number | null;
  executionSeconds: number | null;
  startedAtMs: number | null;
  endedAtMs: number | null;
  relationName: string | null;
  compiledCode: string | null;
  rowsAffected: number | null;
  batches: BatchResults | null;
}

export interface RunResults {
  invocationId: string | null;
  dbtVersion: string | null;
  results: RunResult[];
}

const windowsSchema = z.array(z.tuple([z.string(), z.string()])).catch([]);

const metadataSchema = z.object({ invocation_id: z.string().nullish(), dbt_version: z.string().nullish() });

const resultSchema = z.object({
  unique_id: z.string().min(1),
  status: z.string(),
  message: z.unknown().optional(),
  failures: z.unknown().optional(),
  execution_time: z.unknown().optional(),
  timing: z.array(z.object({ started_at: z.unknown().optional(), completed_at: z.unknown().optional() })).catch([]),
  relation_name: z.string().nullish().catch(null),
  compiled_code: z.string().nullish().catch(null),
  adapter_response: z.unknown().optional(),
  batch_results: z.object({ successful: windowsSchema, failed: windowsSchema }).nullish().catch(null),
});

/**
 * Reads run_results.json from the pieces in which it comes: with the compiled SQL of thousands of tests it is large, and
 * most of it is not needed. Never throws.
 */
export class RunResultsReader {
  readonly #results: RunResult[] = [];
  readonly #members: JsonMembers;
  #metadata: z.infer<typeof metadataSchema> = {};
  #isBroken = false;

  /** @param textOf what is done to the text of each result before it is read, such as masking. */
  constructor(textOf: (text: string) => string = (text) => text) {
    this.#members = new JsonMembers({
      whole: new Set(["metadata"]),
      each: new Set(["results"]),
      textOf,
      onObject: (member, value) => this.#take(member, value),
    });
  }

  push(bytes: Uint8Array): void {
    if (this.#isBroken) return;
    try {
      this.#members.push(bytes);
    } catch {
      this.#isBroken = true;
    }
  }

  /** Null when it was no such file (cut, empty, something else). */
  end(): RunResults | null {
    if (this.#isBroken || !this.#members.isWhole || !this.#members.lists.has("results")) return null;
    return {
      invocationId: this.#metadata.invocation_id ?? null,
      dbtVersion: this.#metadata.dbt_version ?? null,
      results: this.#results,
    };
  }

  #take(member: string, value: unknown): void {
    if (member === "results") this.#results.push(...resultOf(value));
    else this.#metadata = metadataSchema.parse(value);
  }
}

/** Reads the text of run_results.json; null when it is no such file. Never throws. */
export function readRunResults(text: string): RunResults | null {
  const reader = new RunResultsReader();
  reader.push(new TextEncoder().encode(text));
  return reader.end();
}

function resultOf(entry: unknown): RunResult[] {
  const { data } = resultSchema.safeParse(entry);
  if (data === undefined) return [];
  const starts = data.timing.map((step) => timeOf(step.started_at)).filter((time) => time !== null);
  const ends = data.timing.map((step) => timeOf(step.completed_at)).filter((time) => time !== null);
  return [
    {
      uniqueId: data.unique_id,
      status: data.status,
      message: messageOf(data.message),
      failures: numberOf(data.failures),
      executionSeconds: numberOf(data.execution_time),
      startedAtMs: starts.length === 0 ? null : Math.min(...starts),
      endedAtMs: ends.length === 0 ? null : Math.max(...ends),
      relationName: data.relation_name || null,
      compiledCode: data.compiled_code || null,
      rowsAffected: numberOf(fieldsOf(data.adapter_response)?.rows_affected),
      batches: data.batch_results ?? null,
    },
  ];
}
