import { readFile } from "node:fs/promises";

/** Where the kernel counts the out-of-memory kills of our control group: version 2, then version 1. */
const COUNTER_FILES = ["/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"];

/**
 * Out-of-memory kills in the container so far; null where no counter can be read. The only way to tell an OOM of dbt
 * that its supervisor survived: to ECS the container is alive.
 */
export async function countMemoryKills(files: readonly string[] = COUNTER_FILES): Promise<number | null> {
  for (const file of files) {
    try {
      const found = /^oom_kill (\d+)$/m.exec(await readFile(file, "utf8"));
      if (found?.[1]) return Number(found[1]);
    } catch {
      // The other version of control groups, or none (macOS): the next file, then "not known".
    }
  }
  return null;
}

/** Whether dbt was killed for memory: the counter moved, and dbt was ended by a SIGKILL that was not ours. */
export function wasMemoryKill(
  before: number | null,
  after: number | null,
  end: { signal: string | null; exitCode: number | null; killedByUs: boolean },
): boolean {
  const killed = end.signal === "SIGKILL" || end.exitCode === 137;
  return killed && !end.killedByUs && before !== null && after !== null && after > before;
}
