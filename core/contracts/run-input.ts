import { z } from "zod";
import { bytesOf } from "#core/aws-limits.ts";
import type { ProjectSettings } from "#core/contracts/settings.ts";
import { type BuildOptions, buildOptionsSchema, checkExtraArgs } from "#core/dbt/argv.ts";
import { InputError } from "#core/errors.ts";
import { parseInput } from "#core/input-problems.ts";
import { PROJECT_NAME } from "#core/names.ts";

/** Input of the run machine: a project, and options of `dbt build` that win over those of stepwatch.yaml. */
export const runInputSchema = buildOptionsSchema.extend({
  project: z.string().regex(PROJECT_NAME, "is no project name: letters, digits, _ and -, a letter first, at most 63."),
  /** A selection that finds nothing is green. */
  allowEmpty: z.boolean().optional(),
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

/** The run's row holds input and settings, and DynamoDB takes rows up to 400 KiB. Bytes. */
const MOST_INPUT_BYTES = 128 * 1_024;

function readRunInput(input: unknown): RunInput {
  const bytes = bytesOf(JSON.stringify(input) ?? "");
  if (bytes > MOST_INPUT_BYTES)
    throw new InputError("Run input refused", [
      `input of ${bytes} bytes: at most ${MOST_INPUT_BYTES}. Let the dbt project read large values from a file or a table.`,
    ]);
  return parseInput("Run input refused", runInputSchema, input);
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
  return parseInput(`Options of project ${settings.project} refused`, buildOptionsSchema, merged);
}

const stated = (record: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
