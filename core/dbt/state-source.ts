import type { LatestKind } from "#core/contracts/latest.ts";
import { COMMIT, RUN_ID } from "#core/names.ts";

/** Where the artefacts lie that dbt compares with or defers to, as a person names the place by `state` or `deferState`. */
export type StateSource =
  /** A folder beside the dbt project; `run` where it may be a run's id as well: a folder of that name goes before. */
  | { readonly kind: "folder"; readonly path: string; readonly run: string | null }
  | { readonly kind: "s3"; readonly bucket: string; readonly prefix: string }
  | { readonly kind: "latest"; readonly which: LatestKind }
  | { readonly kind: "run"; readonly runId: string }
  | { readonly kind: "commit"; readonly commit: string };

const S3_PLACE = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\/?(.*)$/;

/** Run ids that stepwatch makes: no folder is called so. */
const OWN_RUN_ID = /^\d{8}-\d{6}-[0-9a-f]{8}$/;

/** Reads a place; what {@link stateProblem} finds wrong is taken for a folder. */
export function stateSourceOf(text: string): StateSource {
  const [, bucket, prefix = ""] = S3_PLACE.exec(text) ?? [];
  if (bucket !== undefined) return { kind: "s3", bucket, prefix: withSlash(prefix) };
  if (text === "latest" || text === "latest-green") return { kind: "latest", which: text };
  if (text.startsWith("commit:")) return { kind: "commit", commit: text.slice("commit:".length) };
  if (text.startsWith("run:")) return { kind: "run", runId: text.slice("run:".length) };
  if (OWN_RUN_ID.test(text)) return { kind: "run", runId: text };
  return { kind: "folder", path: text, run: RUN_ID.test(text) ? text : null };
}

/** What is wrong with a place, as the end of a sentence; null where nothing is. */
export function stateProblem(text: string): string | null {
  const source = stateSourceOf(text);
  if (/^s3:/i.test(text) && source.kind !== "s3") return "is no place in S3 (s3://bucket/prefix).";
  if (source.kind === "commit" && !COMMIT.test(source.commit)) return "names no commit (commit:<sha>).";
  if (source.kind === "run" && !RUN_ID.test(source.runId)) return "names no run (run:<id>).";
  return null;
}

const withSlash = (prefix: string) => (prefix === "" || prefix.endsWith("/") ? prefix : `${prefix}/`);
