/** One write of the owner task about one vertex. Absent fields stay as they are. */
export interface VertexWrite {
  readonly uniqueId: string;
  readonly resourceType?: string | undefined;
  readonly status: string;
  readonly evidence: boolean;
  readonly startedAtMs?: number | undefined;
  readonly endedAtMs?: number | undefined;
  /** null: takes back what an earlier word of the same try said. Undefined leaves it. */
  readonly message?: string | null | undefined;
  readonly failures?: number | null | undefined;
  readonly executionSeconds?: number | null | undefined;
  readonly rowsAffected?: number | null | undefined;
  readonly relation?: string | null | undefined;
  readonly checksum?: string | undefined;
  readonly compiledKey?: string | undefined;
  readonly batches?: readonly { name: string; status: string }[] | undefined;
}
