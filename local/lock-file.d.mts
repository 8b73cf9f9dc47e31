/** Runs `action` while no other process holds the lock at `path`; a dead holder's lock is taken over. */
export function withLock<T>(
  path: string,
  action: () => Promise<T>,
  options?: { readonly onWait?: (holderPid: number) => void; readonly signal?: AbortSignal },
): Promise<T>;
