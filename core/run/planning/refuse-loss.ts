import type { RunInput } from "#core/contracts/run-input.ts";
import type { BuildOptions } from "#core/dbt/argv.ts";
import { windowLosesRows } from "#core/dbt/options-over.ts";
import { InputError } from "#core/errors.ts";

/**
 * Refuses a full refresh of a run that has an event-time window, whoever asks for which of the two: its settings, its
 * input, or a run that goes on with it (behaviour G17).
 * @throws InputError
 */
export function refuseLoss(options: BuildOptions, { resume }: Pick<RunInput, "resume">): void {
  const problem = windowLosesRows(resume?.fullRefresh === true ? { ...options, fullRefresh: true } : options);
  if (problem !== null) throw new InputError("Run input refused", [problem]);
}
