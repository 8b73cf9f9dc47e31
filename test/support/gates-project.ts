import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

/**
 * A small project made for gating (tests over two models, on a source and on both, a unit test, an ephemeral model, an
 * empty file, an exposure), recorded with dbt-core 1.11.16: manifests without macros, dbt's graph_summary.json with
 * what dbt's own `get_subset_graph` makes of it for some selections, and stdout of a few builds.
 */
export function gatesFixture(name: string): string {
  return gunzipSync(readFileSync(new URL(`../fixtures/dbt-gates/${name}.gz`, import.meta.url))).toString("utf8");
}

/** The lines of a recorded build of that project. */
export function gatesLines(name: string): string[] {
  return gatesFixture(`${name}.jsonl`).split("\n");
}
