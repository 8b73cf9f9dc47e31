import type { Executions } from "#clients/executions.ts";
import { FatalError, RetryableError } from "#core/errors.ts";
import { unforeseen } from "./unforeseen.ts";

/**
 * One turn of a wait: what the work answers ends it, null leaves it waiting. What may be right a moment later is thrown,
 * for the machine to repeat; everything else ends the wait under its name, an error that nobody foresaw under that one:
 * thrown under its own it would end the execution without a verdict (behaviour D19).
 * @param tooLate what is to be done with an answer for which nobody waits any more
 */
export async function answerTurn<Answer>(
  executions: Pick<Executions, "succeed" | "fail">,
  taskToken: string,
  work: () => Promise<Answer | null>,
  tooLate: (answer: Answer) => Promise<void> = async () => undefined,
): Promise<void> {
  try {
    const answer = await work();
    if (answer !== null && !(await executions.succeed(taskToken, answer))) await tooLate(answer);
  } catch (error) {
    if (error instanceof RetryableError) throw error;
    const told = error instanceof FatalError ? error : unforeseen(error);
    await executions.fail(taskToken, { name: told.name, cause: told.message });
  }
}
