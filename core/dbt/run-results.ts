import { z } from "zod";
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

const fileSchema = z.object({
  metadata: z.object({ invocation_id: z.string().nullish(), dbt_version: z.string().nullish() }).nullish(),
  results: z.array(z.unknown()),
});

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

/** Reads the text of run_results.json; null when it is no such file (cut, empty, something else). Never throws. */
export function readRunResults(text: string): RunResults | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return null;
  }
  const file = fileSchema.safeParse(parsed);
  if (!file.success) return null;
  return {
    invocationId: file.data.metadata?.invocation_id ?? null,
    dbtVersion: file.data.metadata?.dbt_version ?? null,
    results: file.data.results.flatMap(resultOf),
  };
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
