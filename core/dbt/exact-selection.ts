import type { BuildOptions } from "./argv.ts";
import type { Manifest } from "./manifest.ts";

export interface ExactSelectionInput {
  /** What dbt says it is, such as `1.11.16` or `2.0.0-preview.196`. */
  dbtVersion: string;
  manifest: Manifest;
  uniqueIds: readonly string[];
  /** Folder for the synthetic state, absolute, own to this dbt process. */
  stateDir: string;
  options: BuildOptions;
}

export interface ExactSelection {
  way: "state" | "bare_ids" | "four_part";
  /** What comes instead of --select, --exclude, --state and --indirect-selection. */
  args: string[];
  /** Files to write before dbt starts; paths are inside `stateDir`. */
  files: { path: string; content: string }[];
  /** The options that are left to pass on; those that `args` replaces are taken out. */
  options: BuildOptions;
}

/** How exactly these vertices are selected with this version of dbt. */
export function exactSelection(_input: ExactSelectionInput): ExactSelection {
  throw new Error("unwritten");
}

export interface ReportedComparison {
  /** Claimed and never reported by dbt. */
  missing: string[];
  /** Reported and never claimed. */
  unexpected: string[];
}

/** Compares the ids a build was told to run with those it reported. */
export function compareReported(_claimed: readonly string[], _reported: Iterable<string>): ReportedComparison {
  throw new Error("unwritten");
}
