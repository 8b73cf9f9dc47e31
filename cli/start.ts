import { Command, CommanderError, Option } from "commander";
import { down } from "#local/embedded-aws.ts";
import { addBuildOptions, type BuildFlags, buildOptionsOf, notEmpty } from "./build-options.ts";
import { onClosedPipe } from "./closed-pipe.ts";
import { exitCodes, failureOf } from "./failure.ts";
import { configPathOf, stateDirOf } from "./paths.ts";
import { startEverything } from "./start-everything.ts";
import { paintFor, terminalOf } from "./view/style.ts";

/**
 * `npm start`: everything from an empty checkout to a verdict. What is started stays up after a normal end, so that the
 * commands it prints work; Ctrl-C leaves nothing running.
 */
interface StartFlags extends BuildFlags {
  readonly config?: string;
  readonly project?: string;
  readonly flaky?: boolean;
  readonly broken?: boolean;
  readonly brokenTest?: boolean;
}

const command = addBuildOptions(
  new Command("npm start --")
    .description("Runs examples/jaffle-shop on the embedded AWS and shows it live.")
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .option("--config <path>", "another stepwatch.yaml", notEmpty)
    .option("--project <name>", "another project of it than the first", notEmpty)
    .addOption(new Option("--flaky", "a model fails on its first try").conflicts(["broken", "brokenTest"]))
    .addOption(new Option("--broken", "a model always fails").conflicts(["flaky", "brokenTest"]))
    .addOption(new Option("--broken-test", "a data test fails").conflicts(["flaky", "broken"])),
);

process.exitCode = await main();

async function main(): Promise<number> {
  const interrupt = new AbortController();
  // Ctrl-C again while tidying up changes nothing: half a tidying would leave something running.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => interrupt.abort());
  onClosedPipe([process.stdout, process.stderr], () => interrupt.abort());
  const stateDir = stateDirOf(process.env);
  try {
    const flags = command.parse(process.argv).opts<StartFlags>();
    return await startEverything({
      configPath: configPathOf(flags.config, process.cwd()),
      project: flags.project,
      input: withSwitch(buildOptionsOf(flags), flags),
      stateDir,
      terminal: terminalOf(process.stdout, process.env),
      paint: paintFor(process.stdout, process.env),
      environment: process.env,
      signal: interrupt.signal,
    });
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.green;
    if (!interrupt.signal.aborted) return fail(error);
    await down({ stateDir });
    process.stdout.write("Stopped. Nothing is left running.\n");
    return exitCodes.interrupted;
  }
}

/** The switches are dbt variables of jaffle-shop; variables of one's own are kept. */
function withSwitch(options: ReturnType<typeof buildOptionsOf>, flags: StartFlags): ReturnType<typeof buildOptionsOf> {
  const chosen = flags.flaky ? "flaky" : flags.broken ? "model" : flags.brokenTest ? "test" : null;
  return chosen === null ? options : { ...options, vars: { break: chosen, ...options.vars } };
}

function fail(error: unknown): number {
  const failure = failureOf(error);
  if (process.env.STEPWATCH_DEBUG === "1" && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  const next = error instanceof CommanderError ? "npm start -- --help" : failure.next;
  for (const line of failure.lines) process.stderr.write(`  ${line}\n`);
  process.stderr.write(`\n${failure.message}\n${next === undefined ? "" : `→ ${next}\n`}`);
  return failure.exitCode;
}
