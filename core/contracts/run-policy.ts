import { z } from "zod";
import { type Policy, policySchema } from "#core/contracts/settings.ts";
import { InputError } from "#core/errors.ts";

/** Fields of a project's policy that one run can not change, each with the reason, as the end of a sentence. */
const FIXED: Partial<Record<keyof Policy, string>> = {
  heartbeatSeconds: "is the project's: how closely tasks are watched is no matter of one run.",
  lostAfterSeconds: "is the project's: the next run judges by it whether this one's tasks are gone.",
  ttlDays: "is the project's: the list of runs expires as one.",
};

/** A policy of which any part may be left out. */
type PartOf<T> = T extends readonly unknown[]
  ? T
  : T extends object
    ? { [K in keyof T]?: PartOf<T[K]> | undefined }
    : T;
export type RunPolicy = PartOf<Policy>;

/**
 * What one run changes of its project's policy: the same fields with the same bounds, none of them filled in, so that
 * what it does not name stays the project's. A field that only a project has is refused by its reason.
 */
export const runPolicySchema = z.strictObject(
  Object.fromEntries(
    Object.entries(policySchema.shape).map(([field, schema]) => {
      const reason = FIXED[field as keyof Policy];
      return [field, reason === undefined ? bare(schema).optional() : z.never({ error: reason }).optional()];
    }),
  ),
) as unknown as z.ZodType<RunPolicy>;

/** A schema without the defaults that it or its fields fill in. */
function bare(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional)
    return bare(schema.unwrap() as z.ZodType);
  if (!(schema instanceof z.ZodObject)) return schema;
  const fields = Object.entries(schema.shape).map(([name, field]) => [name, bare(field as z.ZodType).optional()]);
  return z.strictObject(Object.fromEntries(fields));
}

/**
 * The policy of one run: its project's, under what the run's input changes.
 * @param longestRunMinutes the longest run that the stack was deployed for: its machines' histories and timeouts hold no longer one
 * @throws InputError
 */
export function policyOfRun(project: Policy, changes: RunPolicy | undefined, longestRunMinutes: number): Policy {
  if (changes === undefined) return project;
  const minutes = changes.runTimeoutMinutes;
  if (minutes !== undefined && minutes > longestRunMinutes)
    throw new InputError("Run input refused", [
      `policy.runTimeoutMinutes = ${minutes}: must be at most ${longestRunMinutes}, the longest run that this stack was deployed for.`,
    ]);
  const stated = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined));
  const freshness = { ...project.freshness, ...changes.freshness };
  return policySchema.parse({ ...project, ...stated, retries: { ...project.retries, ...changes.retries }, freshness });
}
