import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

/**
 * A pid alone names whatever process has the number now. With the moment at which the process started it names one
 * process for good, so that nothing is ever signalled that merely inherited a recorded pid.
 *
 * This file is plain JavaScript because the bootstrap uses it on the Node that happens to be there.
 */

/**
 * @param {number} pid
 * @returns {string | undefined} a mark that no other process of this pid has; undefined when it does not run (a zombie
 *   has ended: only its parent has not asked yet)
 */
export function startMarkOf(pid) {
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  return process.platform === "linux" ? startMarkFromProc(pid) : startMarkFromPs(pid);
}

/** @param {number} pid */
function startMarkFromProc(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the program's name in parentheses and may itself hold spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [state] = fields;
    const startTicks = fields[19];
    if (state === "Z" || state === "X" || startTicks === undefined) return undefined;
    const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").slice(0, 8);
    return `${bootId}:${startTicks}`;
  } catch {
    return undefined;
  }
}

/** @param {number} pid */
function startMarkFromPs(pid) {
  const { status, stdout } = spawnSync("ps", ["-o", "stat=,lstart=", "-p", String(pid)], { encoding: "utf8" });
  if (status !== 0) return undefined;
  const [state = "", ...started] = stdout.trim().split(/\s+/);
  return state === "" || state.startsWith("Z") ? undefined : started.join(" ");
}

/** @returns {{ pid: number, startMark: string }} the record by which another process can find this one */
export function ownIdentity() {
  return { pid: process.pid, startMark: startMarkOf(process.pid) ?? "" };
}

/** @param {{ pid: number, startMark: string }} identity */
export function isRunning(identity) {
  const mark = startMarkOf(identity.pid);
  return mark !== undefined && mark === identity.startMark;
}

/**
 * Signals a recorded process if it still is that process.
 *
 * @param {{ pid: number, startMark: string }} identity
 * @param {NodeJS.Signals} signal
 * @param {{ group?: boolean }} [options] group: the whole process group that it leads
 * @returns {boolean} whether a signal was sent
 */
export function signalIfRunning(identity, signal, options = {}) {
  if (!isRunning(identity)) return false;
  try {
    process.kill(options.group === true ? -identity.pid : identity.pid, signal);
    return true;
  } catch {
    return false;
  }
}

/**
 * @param {{ pid: number, startMark: string }} identity
 * @param {number} withinMs
 * @returns {Promise<boolean>} whether it has ended in time
 */
export async function waitUntilEnded(identity, withinMs) {
  const deadline = Date.now() + withinMs;
  while (isRunning(identity)) {
    if (Date.now() >= deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return true;
}
