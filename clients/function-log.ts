import { AsyncLocalStorage } from "node:async_hooks";
import type { MetricValues } from "#core/contracts/metrics.ts";
import { metricFields } from "#core/metric-line.ts";

/** What every line of one call says of it: the function, and as far as they are known the run and the vertex. */
export interface LogSubject {
  readonly project?: string | undefined;
  readonly runId?: string | undefined;
  readonly round?: number | undefined;
  readonly uniqueId?: string | undefined;
}

interface Call {
  readonly functionName: string;
  readonly stack: string;
  readonly subject: LogSubject;
  readonly write: (line: string) => void;
}

/** Of the call under way: the embedded AWS has several in one process. */
const calls = new AsyncLocalStorage<Call>();

type Facts = Readonly<Record<string, unknown>>;

/**
 * The log of one Lambda function: a JSON object a line, which Lambda hands on as it is. Not by `console`, which would put
 * the object into a message of its own, where CloudWatch finds no metric.
 */
export function functionLog(
  functionName: string,
  stack: string,
  write: (line: string) => void = (line) => void process.stdout.write(line),
) {
  return {
    /** Runs a call of the function: what it tells and counts meanwhile says what it is about. */
    about: <T>({ project, runId, round, uniqueId }: LogSubject, work: () => Promise<T>): Promise<T> =>
      calls.run({ functionName, stack, subject: { project, runId, round, uniqueId }, write }, work),
    /** Something that a person may want to look at; the call goes on. */
    warn: (sentence: string): void => print("WARN", sentence, {}, { functionName, stack, subject: {}, write }),
  };
}

/** Tells what the present call has done. Outside of a function, in the command line and in tests, it tells nobody. */
export const tell = (sentence: string, facts: Facts = {}): void => print("INFO", sentence, facts);

/** Counts for alarms and dashboard (core/contracts/metrics). Nothing is written where nothing is to be counted. */
export function count(values: MetricValues, facts: Facts & { readonly project?: string } = {}): void {
  const call = calls.getStore();
  if (call === undefined) return;
  const scope = { stack: call.stack, project: facts.project ?? call.subject.project };
  const fields = metricFields(values, scope, Date.now());
  if (fields !== null) print("INFO", "Counted.", { ...facts, ...fields });
}

function print(level: "INFO" | "WARN", message: string, facts: Facts, otherwise?: Call): void {
  const call = calls.getStore() ?? otherwise;
  if (call === undefined) return;
  const { functionName, stack, subject, write } = call;
  const head = { timestamp: new Date().toISOString(), level, message, function: functionName, stack };
  write(`${JSON.stringify({ ...head, ...subject, ...facts })}\n`);
}
