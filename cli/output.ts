import type { Context } from "./context.ts";
import type { Failure } from "./failure.ts";

/** Prints the one JSON value of a command on stdout, and nothing else there. */
export function printJson(context: Context, value: unknown): void {
  context.out.write(`${JSON.stringify(value, null, 2)}\n`);
}

export function printLines(context: Context, lines: readonly string[]): void {
  context.out.write(lines.map((line) => `${line}\n`).join(""));
}

/** Progress: never on stdout, which belongs to results. */
export function say(context: Context, line: string): void {
  context.err.write(`${line}\n`);
}

/** One clear message with the next command; with `--json` also as a value on stdout, so that scripts need not parse text. */
export function printFailure(context: Context, failure: Failure, json: boolean): void {
  for (const line of failure.lines) say(context, `  ${line}`);
  say(context, failure.message);
  if (failure.next !== undefined) say(context, `→ ${failure.next}`);
  if (!json) return;
  printJson(context, { error: { message: failure.message, exitCode: failure.exitCode, next: failure.next ?? null } });
}
