import type { z } from "zod";
import { z as zod } from "zod";
import type { ProjectSettings } from "#core/contracts/settings.ts";
import { type BuildOptions, buildOptionsSchema, checkExtraArgs } from "#core/dbt/argv.ts";
import { InputError } from "#core/errors.ts";
import { PROJECT_NAME } from "#core/names.ts";

/** Input of the run machine: a project, and options of `dbt build` that win over those of stepwatch.yaml. */
export const runInputSchema = buildOptionsSchema.extend({
  project: zod.string().regex(PROJECT_NAME, "letters, digits, - and _ only, a letter first"),
  /** A selection that finds nothing is green. */
  allowEmpty: zod.boolean().optional(),
});
export type RunInput = z.infer<typeof runInputSchema>;

/** Parses a run input; throws {@link InputError} that names each field and its value. Nothing has been started then. */
export function parseRunInput(input: unknown): RunInput {
  const parsed = readRunInput(input);
  try {
    checkExtraArgs(parsed.extraArgs ?? []);
  } catch (cause) {
    throw new InputError(
      "Run input refused",
      [`extraArgs: ${cause instanceof Error ? cause.message : String(cause)}`],
      { cause },
    );
  }
  return parsed;
}

function readRunInput(input: unknown): RunInput {
  const parsed = runInputSchema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw new InputError(
    "Run input refused",
    parsed.error.issues.map((issue) => problem(input, issue)),
  );
}

function problem(input: unknown, issue: z.core.$ZodIssue): string {
  const path = issue.path.map(String);
  const value = path.reduce<unknown>(
    (at, key) => (at === null || typeof at !== "object" ? undefined : Reflect.get(at, key)),
    input,
  );
  const shown = value === undefined ? "" : ` = ${JSON.stringify(value)?.slice(0, 200)}`;
  return `${path.join(".") || "input"}${shown}: ${issue.message}`;
}

/**
 * The options of a run's builds: those of stepwatch.yaml, under those of the run input. The lock and the containers ask
 * the same function, so that a run never builds another target than the one it has locked.
 * @throws InputError
 */
export function effectiveOptions(settings: ProjectSettings, input: Record<string, unknown>): BuildOptions {
  const { project: _project, allowEmpty: _allowEmpty, ...options } = readRunInput(input);
  const { threads, target, build } = settings;
  const merged = { ...stated({ threads, target }), ...stated(build), ...stated(options) };
  const parsed = buildOptionsSchema.safeParse(merged);
  if (parsed.success) return parsed.data;
  throw new InputError(
    `Options of project ${settings.project} refused`,
    parsed.error.issues.map((issue) => problem(merged, issue)),
  );
}

const stated = (record: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
