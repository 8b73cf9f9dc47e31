import type { TestContext } from "vitest";
import type { Ability } from "./endpoint-place.ts";
import { ownStack } from "./own-stack.ts";

/**
 * Leaves a test out on an endpoint that can not do what it is about; `npm run test:endpoint` lists it by name. On the
 * embedded AWS, which can do everything, no test is left out.
 */
export function needs(context: TestContext, ability: Ability): void {
  const why = ownStack().endpoint?.lacks[ability];
  if (why !== undefined) context.skip(`${ability}: ${why}`);
}
