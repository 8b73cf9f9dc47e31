/** Runs `act` on each entry, at most `limit` at once. The first error is thrown when those under way have ended. */
export async function eachLimited<T>(
  entries: readonly T[],
  limit: number,
  act: (entry: T) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < entries.length) {
      const entry = entries[next++] as T;
      await act(entry);
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: Math.min(limit, entries.length) }, lane));
  const failed = lanes.find((lane) => lane.status === "rejected");
  if (failed) throw failed.reason;
}
