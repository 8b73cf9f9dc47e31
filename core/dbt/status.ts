import { isBuilt } from "./resource-types.ts";

/**
 * What one of dbt's status words means for a vertex.
 *
 * `skipped` is our own policy's word (freshness gate, state); dbt's word `skipped` is `not_built`,
 * since dbt skips only what it could not reach.
 */
export type VertexClass = "good" | "failed" | "interrupted" | "not_built" | "skipped";

/** Every status word of dbt-core 1.8 to 1.12 and dbt 2.0 that ends a vertex, with its class. */
const CLASS_OF_WORD: Readonly<Record<string, VertexClass>> = {
  success: "good",
  pass: "good",
  warn: "good",
  "no-op": "good",
  reused: "good",
  error: "failed",
  fail: "failed",
  "runtime error": "failed",
  "partial success": "failed",
  cancelled: "interrupted",
  skipped: "not_built",
};

/** Words of a vertex that is on its way; `None` and the empty word say nothing at all. */
const OPEN_WORDS: ReadonlySet<string> = new Set(["started", "compiling", "executing", "none", ""]);

/**
 * The class of one of dbt's terminal status words. A word that nobody knows is `failed`: a dbt of the future must
 * never turn a vertex green by a word that we can not read. Ask {@link isTerminal} first.
 */
export function classOfStatus(word: string): VertexClass {
  return (Object.hasOwn(CLASS_OF_WORD, normal(word)) ? CLASS_OF_WORD[normal(word)] : undefined) ?? "failed";
}

/**
 * dbt 2's fail-fast ends some of what it cancels with `no-op`, the word that otherwise stands for what it never builds.
 * Of anything else it must not pass for a success: nothing was built.
 */
export function isCancelled(word: string, vertex: { resourceType: string; materialized: string }): boolean {
  return normal(word) === "no-op" && isBuilt(vertex);
}

/** Whether a status word ends a vertex. `started`, `compiling`, `executing` and `None` never do. */
export function isTerminal(word: string): boolean {
  return !OPEN_WORDS.has(normal(word));
}

/** Whether this build of stepwatch knows the word. An unknown word is kept verbatim and is red. */
export function isKnownStatus(word: string): boolean {
  return Object.hasOwn(CLASS_OF_WORD, normal(word)) || OPEN_WORDS.has(normal(word));
}

function normal(word: string): string {
  return word.trim().toLowerCase();
}
