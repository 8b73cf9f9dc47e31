import { realpathSync } from "node:fs";
import type { ProjectConfig } from "#core/config.ts";
import { defaultProfile, defaultTarget } from "./default-target.ts";

export interface LockSharing {
  /** The entry in whose partition of the ledger its locks stand. */
  readonly lockProject: string;
  /** What dbt builds when no target is named; null where that is not known of every entry that shares the lock. */
  readonly defaultTarget: string | null;
}

/**
 * Entries of stepwatch.yaml that have one dbt project's folder build the same tables: their locks stand in one partition,
 * that of the first by name, so that two of them never build one target at once (behaviour G29). Where the target of one
 * is known to dbt alone, or they build by several profiles, all of them share one lock. Folders are compared by where they really are.
 */
export function lockSharing(projects: readonly ProjectConfig[]): Map<string, LockSharing> {
  const byFolder = Map.groupBy(projects, ({ projectDir }) => realFolder(projectDir));
  const shared = new Map<string, LockSharing>();
  for (const entries of byFolder.values()) {
    const [lockProject = ""] = entries.map((entry) => entry.name).sort();
    const targets = new Map(entries.map((entry) => [entry.name, defaultTarget(entry)]));
    const profiles = new Set(entries.map((entry) => entry.build.profile ?? defaultProfile(entry)));
    const isUnknown = entries.length > 1 && ([...targets.values()].includes(null) || profiles.size > 1);
    for (const { name } of entries)
      shared.set(name, { lockProject, defaultTarget: isUnknown ? null : (targets.get(name) ?? null) });
  }
  return shared;
}

function realFolder(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // A folder that is not there is refused elsewhere, by its name.
    return path;
  }
}
