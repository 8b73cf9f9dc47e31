import { count } from "#clients/function-log.ts";
import { Unforeseen } from "#core/errors.ts";

/** What nobody foresaw, under the name by which the machines know it. It is counted: an alarm watches it. */
export function unforeseen(error: unknown): Unforeseen {
  const trace = error instanceof Error ? error.stack : undefined;
  const told = new Unforeseen(error);
  count({ Faults: 1 }, { error: told.message, trace });
  return told;
}
