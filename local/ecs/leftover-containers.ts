import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type ProcessIdentity, signalIfRunning } from "../process-identity.mjs";

/** What is kept on disk of a running container. */
export interface ContainerTrace extends ProcessIdentity {
  /** ECS_CONTAINER_METADATA_URI_V4 of the container; it holds a random token. */
  readonly metadataUri: string;
}

/**
 * Ends the containers of an embedded AWS that was killed and could not do it: the recorded process with its group, and
 * whatever else still has the container's own metadata address in its environment (where the system shows it: Linux).
 *
 * @returns how many containers had left a trace
 */
export function endLeftoverContainers(traceFolder: string): number {
  if (!existsSync(traceFolder)) return 0;
  const files = readdirSync(traceFolder).filter((name) => name.endsWith(".json"));
  for (const name of files) {
    const trace = readTrace(join(traceFolder, name));
    if (trace !== undefined) {
      signalIfRunning(trace, "SIGKILL", { group: true });
      for (const pid of processesWith(trace.metadataUri)) killQuietly(pid);
    }
    rmSync(join(traceFolder, name), { force: true });
  }
  return files.length;
}

function readTrace(path: string): ContainerTrace | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as ContainerTrace;
  } catch {
    // Half written when the machine went down: its process went with it.
    return undefined;
  }
}

function processesWith(metadataUri: string): readonly number[] {
  if (process.platform !== "linux") return [];
  const needle = `ECS_CONTAINER_METADATA_URI_V4=${metadataUri}\0`;
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => pid > 0 && environmentBlockOf(pid).includes(needle));
}

function environmentBlockOf(pid: number): string {
  try {
    return `${readFileSync(`/proc/${pid}/environ`, "utf8")}\0`;
  } catch {
    // Ended meanwhile, or another user's: not ours in either case.
    return "";
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}
