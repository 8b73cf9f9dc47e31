import { z } from "zod";
import { type Policy, policySchema } from "#core/contracts/settings.ts";
import { InputError } from "#core/errors.ts";
import { parseInput } from "#core/input-problems.ts";

/** What `meta.stepwatch` of a node or test may say of it alone, over the policy of its project and run (behaviour H5). */
export const nodeSettingsSchema = z.strictObject({
  /** Further tries. */
  retries: z.int().min(0).max(20).optional(),
  retryOn: policySchema.shape.retryOn.unwrap().optional(),
  retryDelaySeconds: policySchema.shape.retryDelaySeconds.unwrap().optional(),
  /** Of a data test: what is built again when it failed. */
  onTestFailure: policySchema.shape.onTestFailure.unwrap().optional(),
  /** Size of its fallbacks; the execution queue's where it says nothing. */
  size: z.enum(["producer", "queue"]).optional(),
  /** Minutes that one build of it may take before the run warns of it: dbt can not end one node (behaviour F13). */
  timeoutMinutes: policySchema.shape.nodeTimeoutMinutes,
});
export type NodeSettings = z.infer<typeof nodeSettingsSchema>;

/** As written in a dbt project: `safeToRepeat` is read into other fields of the plan (core/run/planning/repeat-safety). */
const writtenSchema = z.strictObject({
  stepwatch: z.strictObject({ ...nodeSettingsSchema.shape, safeToRepeat: z.boolean().optional() }),
});

/** What a node's `meta.stepwatch` says, as far as it is valid, and what is wrong with the rest of it. */
export interface ReadSettings {
  readonly settings: NodeSettings;
  readonly problems: readonly string[];
}

/** Reads `meta.stepwatch` of one node: a bad field takes none of the others with it. */
export function readNodeSettings(meta: unknown, resourceType: string): ReadSettings {
  if (meta === undefined || meta === null) return { settings: {}, problems: [] };
  const misplaced = MISPLACED.filter(({ field, type }) => hasField(meta, field) && type !== resourceType);
  const problems = [
    ...problemsOf(meta),
    ...misplaced.map(({ field, whose }) => `stepwatch.${field}: is for ${whose} alone.`),
  ];
  const unread = new Set(misplaced.map(({ field }) => field));
  const settings = Object.entries(nodeSettingsSchema.shape).flatMap(([field, schema]) => {
    const value = (meta as Record<string, unknown>)[field];
    const parsed = schema.safeParse(value);
    return value === undefined || unread.has(field) || !parsed.success ? [] : [[field, parsed.data]];
  });
  return { settings: Object.fromEntries(settings), problems };
}

/** Fields that mean nothing for other types of vertices, although a folder's `+meta` may give them to all. */
const MISPLACED = [{ field: "onTestFailure", type: "test", whose: "data tests" }];

const hasField = (meta: unknown, field: string): boolean =>
  typeof meta === "object" && meta !== null && Object.hasOwn(meta, field);

function problemsOf(meta: unknown): readonly string[] {
  try {
    parseInput("meta", writtenSchema, { stepwatch: meta });
    return [];
  } catch (error) {
    if (error instanceof InputError) return error.problems;
    throw error;
  }
}

/** The policy by which one vertex is judged: its run's, under what the vertex says of itself. */
export function policyFor({ overrides }: { readonly overrides: NodeSettings }, policy: Policy): Policy {
  const { retries, retryOn, retryDelaySeconds, onTestFailure } = overrides;
  if ((retries ?? retryOn ?? retryDelaySeconds ?? onTestFailure) === undefined) return policy;
  return {
    ...policy,
    retries: retries === undefined ? policy.retries : { node: retries, test: retries },
    retryOn: retryOn ?? policy.retryOn,
    retryDelaySeconds: retryDelaySeconds ?? policy.retryDelaySeconds,
    onTestFailure: onTestFailure ?? policy.onTestFailure,
  };
}
