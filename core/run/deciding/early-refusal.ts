import type { Policy } from "#core/contracts/settings.ts";
import type { BuildOptions } from "#core/dbt/argv.ts";
import { isDbt1 } from "#core/dbt/dbt-version.ts";
import { type Plan, takesOneWriter } from "#core/run/planning/plan.ts";

/**
 * Why `failFast: true` among dbt's options can not be had with `recovery: early`, as the end of a sentence about it; null
 * if nothing is wrong. Known before anything starts.
 */
export function earlyRefused(policy: Pick<Policy, "recovery">, options: Pick<BuildOptions, "failFast">): string | null {
  if (policy.recovery !== "early" || options.failFast !== true) return null;
  return "does not go with policy.recovery = early: dbt ends such a build at its first failure, so that nothing goes on beside a recovery.";
}

/** Why `backup: end` can not be had with it, in the same way. */
export function earlyBackupRefused({ recovery, backup }: Pick<Policy, "recovery" | "backup">): string | null {
  if (recovery !== "early" || backup !== "end") return null;
  return "does not go with policy.recovery = early: nothing is known of a build before its end.";
}

/** Why nothing can be built beside a build on such a warehouse, in one sentence. */
export const oneWriter = (adapterType: string): string =>
  `${adapterType} takes one writing process at a time, so that nothing can be built beside a build.`;

/**
 * Why a run with `recovery: early` recovers after its builds all the same, in one sentence; null if it does not. Only
 * the plan knows it: warehouse and hooks are dbt's to tell.
 */
export function earlyHeldBack(
  plan: Pick<Plan, "adapterType" | "manyWriters" | "dbtVersion" | "hookCount" | "endHooks">,
  policy: Pick<Policy, "recovery" | "concurrentHooks" | "hooks">,
): string | null {
  if (policy.recovery !== "early") return null;
  if (takesOneWriter(plan)) return `policy.recovery = early had no effect: ${oneWriter(plan.adapterType ?? "")}`;
  if (hooksMeet(plan, policy))
    return `policy.recovery = early had no effect: the project has on-run hooks, which would run in a recovery build while the producer still builds; ${isDbt1(plan.dbtVersion) ? "policy.hooks = once keeps them out of it, " : ""}policy.concurrentHooks = true allows that.`;
  return null;
}

/** Whether on-run hooks of two builds would run at once where one begins before the other's dbt has ended. */
function hooksMeet(
  plan: Pick<Plan, "dbtVersion" | "hookCount" | "endHooks">,
  policy: Pick<Policy, "concurrentHooks" | "hooks">,
): boolean {
  const runAgain = policy.hooks === "each" || !isDbt1(plan.dbtVersion);
  return runAgain && !policy.concurrentHooks && (plan.hookCount > 0 || plan.endHooks);
}

/**
 * Whether it is worth a look, and safe, to build what a fallback's vertices gate before its dbt has ended. dbt 2 may take
 * a good word back as long as it runs; with `backup: end` words and end come together.
 */
export const mayFollowAtOnce = (
  plan: Pick<Plan, "adapterType" | "manyWriters" | "dbtVersion" | "hookCount" | "endHooks">,
  policy: Pick<Policy, "backup" | "concurrentHooks" | "hooks">,
): boolean => isDbt1(plan.dbtVersion) && !takesOneWriter(plan) && policy.backup === "eager" && !hooksMeet(plan, policy);
