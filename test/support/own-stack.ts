import { inject } from "vitest";
import type { Deployed } from "./e2e-setup.ts";

/** The deployed stack that this test file has to itself while it runs: one for each worker of vitest. */
export function ownStack(): Deployed {
  const stacks = inject("stacks");
  const stack = stacks[(Number(process.env.VITEST_POOL_ID) - 1) % stacks.length];
  if (stack === undefined) throw new Error(`There is no stack for VITEST_POOL_ID "${process.env.VITEST_POOL_ID}".`);
  return stack;
}
