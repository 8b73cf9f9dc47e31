import type { VertexWrite } from "#core/contracts/vertex-write.ts";
import type { Change } from "#core/dbt/build-log.ts";
import { vertexWrite } from "#core/dbt/vertex-write.ts";
import { mayDouble } from "#core/run/repeat-safety.ts";
import type { StatusWriter } from "./status-writer.ts";
import { afterWord, waitOf, worthWriting } from "./vertex-words.ts";

/** What this build has told the ledger, vertex by vertex, so that nothing is written twice. O(vertices) in memory. */
export class VertexJournal {
  readonly #writer: Pick<StatusWriter, "put">;
  readonly #told = new Map<string, VertexWrite>();

  constructor(writer: Pick<StatusWriter, "put">) {
    this.#writer = writer;
  }

  record(changes: readonly Change[]): void {
    for (const change of changes) {
      const write = vertexWrite(change.vertex);
      const told = this.#told.get(change.uniqueId);
      if (!worthWriting(told, write)) continue;
      this.#told.set(change.uniqueId, write);
      this.#writer.put(afterWord(told, write), waitOf(change), mayDouble(change.vertex));
    }
  }

  /** Where the compiled SQL of a vertex lies, told after its end. */
  recordCompiled(uniqueId: string, compiledKey: string): void {
    const told = this.#told.get(uniqueId);
    if (told) this.#writer.put({ ...told, compiledKey });
  }
}
