import type { VertexClass } from "./status.ts";

/** One batch of a microbatch model. */
export interface BatchReading {
  name: string;
  /** dbt's word: started, success, error, skipped. */
  status: string;
}

/** What one build has said of one vertex so far. */
export interface VertexReading {
  uniqueId: string;
  resourceType: string;
  materialized: string;
  /** dbt's word, verbatim; `started` while the vertex runs. */
  status: string;
  /** null while the vertex has not ended. */
  class: VertexClass | null;
  /** A try happened: dbt really started or ended the vertex. A start that was followed by a skip is none. */
  evidence: boolean;
  startedAtMs: number | null;
  endedAtMs: number | null;
  message: string | null;
  failures: number | null;
  executionSeconds: number | null;
  rowsAffected: number | null;
  relationName: string | null;
  checksum: string | null;
  compiledPath: string | null;
  thread: string | null;
  /** Only microbatch models in 1.9 to 1.12 have them. */
  batches: BatchReading[];
}
