import { Command, CommanderError, InvalidArgumentError } from "commander";
import { addBuildOptions, notEmpty } from "./build-options.ts";
import { deployCommand } from "./commands/deploy.ts";
import { logsCommand, runsCommand, statusCommand, tasksCommand } from "./commands/inspect.ts";
import { localCommand } from "./commands/local.ts";
import { replayCommand } from "./commands/replay.ts";
import { type RunFlags, runCommand } from "./commands/run.ts";
import type { Context } from "./context.ts";
import { exitCodes, failureOf } from "./failure.ts";
import { printFailure } from "./output.ts";
import { version } from "./version.ts";

/**
 * Runs one command line (without `node` and the script) and answers its exit code. Never throws: a failure is one
 * message on stderr; the stack trace is for STEPWATCH_DEBUG=1.
 */
export async function runCommandLine(commandLine: readonly string[], context: Context): Promise<number> {
  const json = commandLine.includes("--json");
  try {
    const exit = { code: exitCodes.green as number };
    await program(context, exit).parseAsync([...commandLine], { from: "user" });
    return exit.code;
  } catch (error) {
    if (error instanceof CommanderError) return commanderExit(error, context, commandLine);
    if (context.environment.STEPWATCH_DEBUG === "1" && error instanceof Error) context.err.write(`${error.stack}\n`);
    if (context.interrupted.aborted) return interrupted(context, json);
    const failure = failureOf(error);
    printFailure(context, failure, json);
    return failure.exitCode;
  }
}

/** What was cut short by Ctrl-C failed because of it, whatever it says. */
function interrupted(context: Context, json: boolean): number {
  printFailure(context, { exitCode: exitCodes.interrupted, message: "Interrupted.", lines: [] }, json);
  return exitCodes.interrupted;
}

/** Help and version end in a CommanderError too, with exit code 0 and everything printed. */
function commanderExit(error: CommanderError, context: Context, commandLine: readonly string[]): number {
  if (error.exitCode === 0) return exitCodes.green;
  const help = error.code === "commander.help";
  const message = help ? "Name a command." : error.message.replace(/^error: /, "").replaceAll("\n", " ");
  const command = COMMANDS.find((name) => name === commandLine[0]);
  // Without a command the help has just been printed.
  const next = help ? undefined : command === undefined ? "npx stepwatch --help" : `npx stepwatch ${command} --help`;
  const failure = { exitCode: exitCodes.usage, message, next, lines: [] };
  printFailure(context, failure, commandLine.includes("--json"));
  return exitCodes.usage;
}

const COMMANDS = ["local", "deploy", "run", "runs", "status", "tasks", "logs", "replay"] as const;

function program(context: Context, exit: { code: number }): Command {
  const top = new Command("stepwatch")
    .description("One `dbt build` on ECS, every dbt node a named Step Functions execution.")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.out.write(text),
      writeErr: (text) => context.err.write(text),
      outputError: () => {},
    })
    .version(version, "--version", "the version of stepwatch")
    .addHelpText("after", EXIT_CODES);
  const add = (name: string, description: string) =>
    top.command(name).description(description).option("--json", "the result as one JSON value on stdout");
  const ends = (code: Promise<number>) =>
    code.then((value) => {
      exit.code = value;
    });
  const deployed = (command: Command) =>
    command
      .option("--config <path>", "stepwatch.yaml", notEmpty)
      .option("--stack <name>", "a stack in AWS, with the usual credentials; without it the embedded AWS", notEmpty);

  const local = add("local <action>", "the embedded AWS on this machine: up, down, status or reset");
  local.action((action: string, flags) => ends(localCommand(context, action, flags)));

  const deploy = deployed(add("deploy", "puts the stack on the embedded AWS, or says the cdk command for AWS"));
  deploy
    .option("--local", "onto the embedded AWS, which is started if need be")
    .action((flags) => ends(deployCommand(context, flags)));

  const run = addBuildOptions(deployed(add("run <project>", "starts a run and follows it to its verdict")));
  run
    .option("--allow-empty", "a selection that finds nothing is green")
    .option("--no-follow", "only start it")
    .action((project: string, flags: RunFlags) => ends(runCommand(context, project, flags)));

  deployed(add("runs <project>", "the last runs of a project")).action((project: string, flags) =>
    ends(runsCommand(context, project, flags)),
  );
  deployed(add("status <run>", "nodes, tests, tasks and verdict of a run")).action((run: string, flags) =>
    ends(statusCommand(context, run, flags)),
  );
  deployed(add("tasks <run>", "the dbt builds of a run and why each was made")).action((run: string, flags) =>
    ends(tasksCommand(context, run, flags)),
  );
  deployed(add("logs <run> [node]", "what the run's containers printed, all of it or about one node"))
    .option("--task <n>", "of one task only", wholeNumber)
    .action((run: string, node: string | undefined, flags) => ends(logsCommand(context, run, node, flags)));

  add("replay <log>", "what each vertex's outcome would be, from a recorded JSON log of dbt")
    .option("--run-results <file>", "run_results.json of the same build")
    .option("--manifest <file>", "manifest.json of the same project")
    .action((log: string, flags) => ends(replayCommand(context, log, flags)));
  return top;
}

function wholeNumber(text: string): number {
  if (/^[1-9]\d*$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It is no whole number from 1 on.");
}

const EXIT_CODES = `
Exit codes: 0 green, 1 red, 2 usage or configuration, 3 infrastructure, 130 interrupted.
Results go to stdout, progress and failures to stderr. STEPWATCH_DEBUG=1 adds stack traces.`;
