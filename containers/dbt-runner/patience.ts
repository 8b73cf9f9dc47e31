import { RetryableError } from "#core/errors.ts";

/** First wait of a repeated call, and the longest one, in milliseconds. */
const BACK_OFF_MS = { first: 50, longest: 5_000 } as const;

/** Wait before the next attempt: doubles from {@link BACK_OFF_MS}, with full jitter above the half of it. */
export function retryWaitMs(attempt: number, random: () => number = Math.random): number {
  const ceiling = Math.min(BACK_OFF_MS.longest, BACK_OFF_MS.first * 2 ** Math.min(attempt, 20));
  return ceiling / 2 + (random() * ceiling) / 2;
}

/**
 * Repeats a call for as long as it fails with a {@link RetryableError}, until a moment. Any other error, and the last
 * one when the time is over, is thrown as it is. The moment is asked anew each time: a stop may bring it nearer.
 */
export async function patiently<T>(call: () => Promise<T>, untilMs: () => number): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await call();
    } catch (error) {
      const waitMs = retryWaitMs(attempt);
      if (!(error instanceof RetryableError) || Date.now() + waitMs > untilMs()) throw error;
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }
}

/** Waits for a promise no longer than until a moment; answers `null` when the time is over first. */
export async function noLaterThan<T>(promise: Promise<T>, untilMs: number): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), Math.max(0, untilMs - Date.now()));
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
