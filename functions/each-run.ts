import { isNamed, isRefused, isTransient } from "#clients/aws-errors.ts";
import type { RunKey } from "#clients/ledger.ts";
import { RetryableError } from "#core/errors.ts";
import { unforeseen } from "./unforeseen.ts";

/** Says of which run the lines of a function's log are. */
export type About = (run: RunKey, work: () => Promise<void>) => Promise<void>;

/** Where nobody reads a log. */
export const aboutNothing: About = (_, work) => work();

/**
 * What a batch of the table's stream says of each run, run by run: what one can not be told holds up none of the others.
 * An error of the moment, or a permission that is missing, is thrown at the end, so that the batch comes again. Any other
 * one would come to the same each time and keep the whole shard waiting, as a row that a container has spoilt does: it is
 * counted, and an alarm watches that.
 */
export async function eachRun<Change extends RunKey>(
  changes: readonly Change[],
  about: About,
  tell: (changes: readonly Change[]) => Promise<void>,
): Promise<void> {
  const passing: unknown[] = [];
  for (const ofRun of Map.groupBy(changes, ({ project, runId }) => JSON.stringify([project, runId])).values()) {
    const [{ project, runId }] = ofRun as [Change];
    await about({ project, runId }, async () => {
      try {
        await tell(ofRun);
      } catch (error) {
        if (mayPass(error)) passing.push(error);
        else unforeseen(error);
      }
    });
  }
  if (passing.length > 0) throw passing[0];
}

/** What the data are to blame for comes to the same again, whoever finds it. */
const OF_DATA = ["ValidationException", "SerializationException"];

const mayPass = (error: unknown): boolean =>
  error instanceof RetryableError || isTransient(error) || (isRefused(error) && !isNamed(error, ...OF_DATA));
