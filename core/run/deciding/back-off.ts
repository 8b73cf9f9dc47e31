import type { Policy } from "#core/contracts/settings.ts";

/** No wait between two attempts doubles beyond this: a run is not to sleep until its deadline. Milliseconds. */
const LONGEST_BACK_OFF_MS = 300_000;

/** The wait after so many failures: `retryDelaySeconds`, doubled with each further one, at most five minutes or the delay itself. */
export function backOffMs(failures: number, policy: Policy): number {
  const delayMs = policy.retryDelaySeconds * 1000;
  return Math.min(Math.max(LONGEST_BACK_OFF_MS, delayMs), delayMs * 2 ** Math.max(0, failures - 1));
}
