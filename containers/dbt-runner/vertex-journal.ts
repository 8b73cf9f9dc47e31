import type { VertexWrite } from "#core/contracts/vertex-write.ts";
import type { Change } from "#core/dbt/build-log.ts";
import { vertexWrite } from "#core/dbt/vertex-write.ts";
import { mayDouble } from "#core/run/planning/repeat-safety.ts";
import type { StatusWriter } from "./status-writer.ts";
import { afterWord, waitOf, worthWriting } from "./vertex-words.ts";

/** What this build has told the ledger, vertex by vertex, so that nothing is written twice. O(vertices) in memory. */
export class VertexJournal {
  readonly #writer: Pick<StatusWriter, "put">;
  readonly #told = new Map<string, VertexWrite>();

  readonly #compiledKey: string | undefined;

  /** @param compiledKey where the compiled SQL of what this build ran will lie, told with each failure. */
  constructor(writer: Pick<StatusWriter, "put">, compiledKey?: string) {
    this.#writer = writer;
    this.#compiledKey = compiledKey;
  }

  record(changes: readonly Change[]): void {
    for (const change of changes) {
      const write = this.#withCompiled(vertexWrite(change.vertex), change.vertex.class === "failed");
      const told = this.#told.get(change.uniqueId);
      if (!worthWriting(told, write)) continue;
      this.#told.set(change.uniqueId, write);
      this.#writer.put(afterWord(told, write), waitOf(change), mayDouble(change.vertex));
    }
  }

  #withCompiled(write: VertexWrite, isFailed: boolean): VertexWrite {
    return isFailed && this.#compiledKey !== undefined ? { ...write, compiledKey: this.#compiledKey } : write;
  }
}
