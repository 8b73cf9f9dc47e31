import type { RunIndexRow } from "#core/contracts/ledger.ts";
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
    const [last] = await stack.ledger.listRuns(project, 1);
    if (last?.state === "running" && last.runId !== runId) return last;
  }
  return null;
}
