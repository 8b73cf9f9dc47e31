import { linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { isRunning, ownIdentity } from "./process-identity.mjs";

/**
 * A lock between processes: a file that names the process which holds it. It is freed by deleting the file, or by the
 * death of its holder, which the next one notices. Plain JavaScript because the bootstrap uses it.
 */

const POLL_MS = 100;
/** Taking over a dead holder's lock is done in well under a second; a guard older than this was left by a crash. */
const GUARD_STALE_MS = 10_000;

/**
 * Runs `action` while no other process (and no other call in this one) holds the lock.
 *
 * @template T
 * @param {string} path
 * @param {() => Promise<T>} action
 * @param {{ onWait?: (holderPid: number) => void, signal?: AbortSignal }} [options] onWait: called once, when someone
 *   else holds the lock; signal: ends the waiting with its reason
 * @returns {Promise<T>}
 */
export async function withLock(path, action, options = {}) {
  mkdirSync(dirname(path), { recursive: true });
  let waiting = false;
  while (!tryToTake(path)) {
    const holder = holderOf(path);
    if (holder !== undefined && !waiting) {
      waiting = true;
      options.onWait?.(holder.pid);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    options.signal?.throwIfAborted();
  }
  try {
    return await action();
  } finally {
    rmSync(path, { force: true });
  }
}

/** @param {string} path */
function tryToTake(path) {
  if (createWithContent(path)) return true;
  const holder = holderOf(path);
  if (holder === undefined || isRunning(holder)) return false;
  removeDeadLock(path);
  return createWithContent(path);
}

/**
 * A link to a finished file, so that nobody ever reads a lock whose holder is not written yet.
 * @param {string} path
 */
function createWithContent(path) {
  const draft = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  writeFileSync(draft, JSON.stringify(ownIdentity()));
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === "EEXIST") return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

/** @param {string} path */
function holderOf(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}

/**
 * Only one process at a time may remove a dead holder's lock, and only after looking again: otherwise the second of
 * two that saw the dead one would delete the lock that the first has just taken.
 * @param {string} path
 */
function removeDeadLock(path) {
  const guard = `${path}.takeover`;
  if (!createWithContent(guard)) {
    removeIfOlderThan(guard, GUARD_STALE_MS);
    return;
  }
  try {
    const holder = holderOf(path);
    if (holder !== undefined && !isRunning(holder)) rmSync(path, { force: true });
  } finally {
    rmSync(guard, { force: true });
  }
}

/** @param {string} path @param {number} ageMs */
function removeIfOlderThan(path, ageMs) {
  try {
    if (Date.now() - statSync(path).mtimeMs > ageMs) rmSync(path, { force: true });
  } catch {
    // It went away by itself, which is what was wanted.
  }
}
