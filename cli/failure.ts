import { InputError, RetryableError, StepwatchError } from "#core/errors.ts";

/** What the exit code of every command says. Part of the contract: docs/cli.md. */
export const exitCodes = { green: 0, red: 1, usage: 2, infrastructure: 3, interrupted: 130 } as const;

/** A command line or a configuration that can not be obeyed. Exit code 2. */
export class UsageError extends StepwatchError {
  override readonly name = "UsageError";
  /** The command to run next. */
  readonly next: string | undefined;
  constructor(message: string, next?: string, options?: ErrorOptions) {
    super(message, options);
    this.next = next;
  }
}

/** What the command needs is not there or not running: the emulator, the stack, the disk. Exit code 3. */
export class InfrastructureError extends StepwatchError {
  override readonly name = "InfrastructureError";
  readonly next: string | undefined;
  /** The last lines of a program's own output, where one failed. */
  readonly lines: readonly string[];
  constructor(message: string, next?: string, options?: ErrorOptions & { lines?: readonly string[] }) {
    super(message, options);
    this.next = next;
    this.lines = options?.lines ?? [];
  }
}

/** A failure as a person and a script get to see it. */
export interface Failure {
  readonly exitCode: number;
  readonly message: string;
  readonly next?: string | undefined;
  readonly lines: readonly string[];
}

/** Names of errors that say the input is wrong, wherever they were thrown (core/dbt, core/config, commander). */
const USAGE_ERRORS: ReadonlySet<string> = new Set([
  "UsageError",
  "InputError",
  "ConfigError",
  "DbtFlagRefused",
  "DbtCommandRefused",
  "CommanderError",
  "ManifestUnreadable",
  "PortSettingError",
]);

/** What to do about an error that says no command itself. */
const NEXT_OF_USAGE: Readonly<Record<string, string>> = {
  InputError: "Correct it and run the same command again.",
  DbtFlagRefused: "npx stepwatch run --help",
  DbtCommandRefused: "npx stepwatch dbt --help",
};

/** Errors of local/ whose message is a sentence for the person at the terminal already. */
const LOCAL_ERRORS: ReadonlySet<string> = new Set(["EmbeddedAwsError", "PortInUseError", "PythonEnvironmentError"]);

/** What the operating system says, in our words. The path or port is in the system's own message. */
const SYSTEM_ERRORS: Readonly<Record<string, { sentence: string; next: string }>> = {
  ENOSPC: { sentence: "The disk is full", next: "Free some space and run the same command again." },
  EDQUOT: { sentence: "The disk quota is used up", next: "Free some space and run the same command again." },
  EROFS: { sentence: "The disk is read-only", next: "Run stepwatch from a folder that can be written." },
  EACCES: {
    sentence: "A file or port may not be used",
    next: "Correct the permission and run the same command again.",
  },
  EPERM: { sentence: "A file or port may not be used", next: "Correct the permission and run the same command again." },
  EMFILE: {
    sentence: "Too many files are open",
    next: "Raise the limit (ulimit -n 4096) and run the same command again.",
  },
  EADDRINUSE: { sentence: "A port is in use", next: "End the program that uses it, or run: npx stepwatch local down" },
  ECONNREFUSED: { sentence: "Nobody answers at the endpoint", next: "npx stepwatch local status" },
  ECONNRESET: { sentence: "The connection was cut", next: "Run the same command again." },
  ENOTFOUND: { sentence: "A host name is not known", next: "Check the network and AWS_REGION." },
  ETIMEDOUT: { sentence: "No answer in time", next: "Run the same command again." },
};

/** What AWS says, in our words. */
const AWS_ERRORS: Readonly<Record<string, { sentence: string; next: string }>> = {
  CredentialsProviderError: {
    sentence: "There are no AWS credentials",
    next: "Set AWS_PROFILE, or run: aws sso login. For the embedded AWS leave out --stack.",
  },
  ExpiredTokenException: { sentence: "The AWS credentials have expired", next: "aws sso login" },
  AccessDeniedException: { sentence: "AWS refused the call", next: "Check the permissions of the credentials in use." },
  ResourceNotFoundException: {
    sentence: "A resource of the stack is not there",
    next: "Deploy again: npx stepwatch deploy",
  },
  StateMachineDoesNotExist: {
    sentence: "The stack's state machine is not there",
    next: "Deploy again: npx stepwatch deploy",
  },
};

/** Turns anything that was thrown into one message, the next command, and the exit code. */
export function failureOf(error: unknown): Failure {
  const chain = causes(error);
  const own = chain.find((link) => link instanceof UsageError || link instanceof InfrastructureError);
  if (own instanceof UsageError) return { exitCode: exitCodes.usage, message: own.message, next: own.next, lines: [] };
  if (own instanceof InfrastructureError) {
    return { exitCode: exitCodes.infrastructure, message: own.message, next: own.next, lines: own.lines };
  }
  const usage = chain.find((link) => link instanceof InputError || USAGE_ERRORS.has(nameOf(link)));
  if (usage !== undefined) {
    const message = messageOf(usage).replace(/^error: /, "");
    return { exitCode: exitCodes.usage, message, next: NEXT_OF_USAGE[nameOf(usage)], lines: [] };
  }
  return { exitCode: exitCodes.infrastructure, lines: [], ...systemFailure(chain) };
}

function systemFailure(chain: readonly unknown[]): { message: string; next?: string } {
  if (LOCAL_ERRORS.has(nameOf(chain[0]))) return { message: messageOf(chain[0]) };
  for (const link of chain) {
    const known = SYSTEM_ERRORS[codeOf(link)] ?? AWS_ERRORS[nameOf(link)];
    if (known !== undefined) return { message: `${known.sentence}: ${messageOf(link)}`, next: known.next };
  }
  const [first] = chain;
  if (first instanceof RetryableError) return { message: first.message, next: "Run the same command again." };
  if (first instanceof StepwatchError) return { message: first.message };
  return {
    message: messageOf(first),
    next: "Set STEPWATCH_DEBUG=1 and run the same command again for the stack trace.",
  };
}

/** The error and what it was caused by, at most ten deep. Node wraps several failed addresses in one AggregateError. */
function causes(error: unknown): unknown[] {
  const chain: unknown[] = [];
  let link = error;
  while (link !== undefined && link !== null && chain.length < 10) {
    chain.push(link);
    if (link instanceof AggregateError) chain.push(...link.errors);
    link = link instanceof Error ? link.cause : undefined;
  }
  return chain;
}

const nameOf = (link: unknown): string => (link instanceof Error ? link.name : "");

const codeOf = (link: unknown): string =>
  link instanceof Error && "code" in link && typeof link.code === "string" ? link.code : "";

function messageOf(link: unknown): string {
  const text = link instanceof Error ? link.message || nameOf(link) || codeOf(link) : String(link);
  return text.trim();
}
