import type { RunRow, VertexRow } from "#core/contracts/ledger.ts";

/** A change of the ledger that an event may tell of. Told by the table's stream (clients/dynamo/event-stream.ts). */
export type EventChange = { readonly project: string; readonly runId: string; readonly atMs: number } & (
  | {
      /** A run's row is written, or one of its rounds opened. */
      readonly kind: "run started";
      /** The row as it was then. */
      readonly run: RunRow;
    }
  | { readonly kind: "run ended"; readonly run: RunRow }
  /** dbt has ended a vertex by a word that is not good. */
  | { readonly kind: "vertex failed"; readonly uniqueId: string; readonly task: number }
  /** A node's consumer has ended, or that of its tests. */
  | {
      readonly kind: "node ended";
      readonly uniqueId: string;
      readonly part: "node" | "tests";
      readonly outcome: NonNullable<VertexRow["outcome"]>;
    }
);
