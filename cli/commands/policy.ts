import type { CommonOptions, Context } from "../context.ts";
import { exitCodes } from "../failure.ts";
import { printJson } from "../output.ts";
import { type PolicyLevel, peoplePolicy } from "../people-policy.ts";

export interface PolicyFlags extends CommonOptions {
  readonly for: PolicyLevel;
}

/** `stepwatch policy`: the IAM policy of people who use a stack, as JSON and nothing else, so that it can be piped. */
export async function policyCommand(context: Context, flags: PolicyFlags): Promise<number> {
  const { resources } = await context.openStack(flags);
  printJson(context, peoplePolicy(flags.for, resources));
  return exitCodes.green;
}
