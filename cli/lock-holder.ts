import type { RunIndexRow } from "#core/contracts/project-rows.ts";
import { lockSharing } from "../infra/lock-sharing.ts";
import type { CommonOptions, Context, DeployedStack } from "./context.ts";

/**
 * Entries of stepwatch.yaml whose runs share the lock of a project's runs, itself first (behaviour G29). For a stack in
 * AWS without a stepwatch.yaml at hand it is the project alone.
 */
export function lockEntries(
  context: Pick<Context, "loadConfig">,
  project: string,
  flags: Pick<CommonOptions, "config" | "stack">,
): string[] {
  if (flags.stack !== undefined && flags.config === undefined) return [project];
  const sharing = lockSharing(Object.values(configOf(context, flags)));
  const shared = sharing.get(project)?.lockProject;
  const others = [...sharing].filter(([name, entry]) => name !== project && entry.lockProject === shared);
  return [project, ...others.map(([name]) => name)];
}

/**
 * The project in whose partition of the ledger a project's locks stand: by stepwatch.yaml, or where none is at hand by
 * the newest run that had a lock.
 */
export async function lockPartition(
  context: Pick<Context, "loadConfig">,
  stack: Pick<DeployedStack, "ledger">,
  project: string,
  flags: Pick<CommonOptions, "config" | "stack">,
): Promise<string> {
  const isNamed = flags.stack === undefined || flags.config !== undefined;
  const shared = isNamed ? lockSharing(Object.values(configOf(context, flags))).get(project) : undefined;
  if (shared !== undefined) return shared.lockProject;
  const rows = await stack.ledger.listRuns(project, RUNS_LOOKED_AT);
  const newest = rows.find((row) => row.state !== "skipped");
  return (newest && (await stack.ledger.readRun(newest))?.lockProject) ?? project;
}

/** Runs of a project that are looked through: those that were left out stand among those that run. */
const RUNS_LOOKED_AT = 20;

/** Commands about a run need no stepwatch.yaml: one that does not hold tells nothing of entries. */
function configOf(context: Pick<Context, "loadConfig">, flags: Pick<CommonOptions, "config">) {
  try {
    return context.loadConfig(flags.config).projects;
  } catch {
    return {};
  }
}

/** The run of these entries that goes on, and is not this one; null if none does. */
export async function lockHolder(
  stack: Pick<DeployedStack, "ledger">,
  entries: readonly string[],
  runId: string,
): Promise<RunIndexRow | null> {
  for (const project of entries) {
    const rows = await stack.ledger.listRuns(project, RUNS_LOOKED_AT);
    const last = rows.find((row) => row.state !== "skipped" && row.runId !== runId);
    if (last?.state === "running") return last;
  }
  return null;
}
