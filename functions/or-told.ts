import { isRefused } from "#clients/aws-errors.ts";

/**
 * What a call answers, or null where AWS refuses it for good: that is told in the function's log and left, since what
 * comes after it matters more. Everything else is thrown.
 */
export async function orTold<T>(
  deps: { readonly warn: (sentence: string) => void },
  what: string,
  call: () => Promise<T>,
): Promise<T | null> {
  try {
    return await call();
  } catch (error) {
    if (!isRefused(error)) throw error;
    deps.warn(`${what} (${String(error)}).`);
    return null;
  }
}
