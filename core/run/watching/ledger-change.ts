/** What a change of the ledger may mean to somebody who waits. Told by the table's stream (clients/dynamo/stream.ts). */
export type LedgerChange = {
  readonly project: string;
  readonly runId: string;
} & (
  | {
      /** dbt has begun or ended a vertex, or somebody has given it a last word. */
      readonly kind: "vertex";
      readonly uniqueId: string;
      readonly is: "started" | "ended" | "closed";
      /** dbt's word. */
      readonly status?: string | undefined;
    }
  /** A build's end is recorded, or ECS has said that a task is over. */
  | { readonly kind: "task over" }
  /** A task has told a plan, which the run's next look accepts or refuses. */
  | { readonly kind: "plan told" }
  /** The run's plan is known: nodes may have been reached before. */
  | { readonly kind: "planned" }
  /** Somebody has asked the run to stop, at once or after its current builds. */
  | { readonly kind: "stop" }
  /** A person has marked a vertex, or taken a mark back. */
  | { readonly kind: "marked" }
);
