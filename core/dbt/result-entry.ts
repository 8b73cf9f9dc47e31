import type { HookResult } from "#core/contracts/task-set.ts";

/** One entry of run_results.json in dbt's own spelling; what dbt adds to it some day travels along. */
export type ResultEntry = { readonly unique_id: string; readonly status: string } & Record<string, unknown>;

const iso = (ms: number | undefined) => (ms === undefined ? null : new Date(ms).toISOString());

/** What the ledger has of a result, with every key that dbt 1.8 to 1.12 insist on when they read the file. */
export function resultEntry(one: HookResult): ResultEntry {
  const [started_at, completed_at] = [iso(one.startedAtMs), iso(one.endedAtMs)];
  const isTimed = started_at !== null && completed_at !== null;
  return {
    status: one.status,
    timing: isTimed ? [{ name: "execute", started_at, completed_at }] : [],
    thread_id: "",
    execution_time: one.executionSeconds ?? 0,
    adapter_response: one.rowsAffected === undefined ? {} : { rows_affected: one.rowsAffected },
    message: one.message ?? null,
    failures: one.failures ?? null,
    unique_id: one.uniqueId,
    compiled: null,
    compiled_code: null,
    relation_name: null,
  };
}
