import { Argument, Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { periods } from "#core/schedule/local-time.ts";
import { addBuildOptions, notEmpty } from "./build-options.ts";
import {
  type BackfillFlags,
  type BackfillRetryFlags,
  backfillCommand,
  backfillRetry,
  backfillStatus,
  backfillStop,
} from "./commands/backfill.ts";
import { completionCommand } from "./commands/completion.ts";
import { dbtCommand } from "./commands/dbt.ts";
import { deployCommand } from "./commands/deploy.ts";
import { type DocsFlags, docsCommand } from "./commands/docs.ts";
import { type DoctorFlags, doctorCommand } from "./commands/doctor.ts";
import { type HistoryFlags, historyCommand } from "./commands/history.ts";
import { type ImageFlags, imageCommand } from "./commands/image.ts";
import { initCommand } from "./commands/init.ts";
import { logsCommand, runsCommand, statusCommand, tasksCommand } from "./commands/inspect.ts";
import { localCommand } from "./commands/local.ts";
import { type MarkFlags, markCommand } from "./commands/mark.ts";
import { pauseCommand, resumeCommand } from "./commands/pause.ts";
import { type PlanFlags, planCommand } from "./commands/plan.ts";
import { type PolicyFlags, policyCommand } from "./commands/policy.ts";
import { replayCommand } from "./commands/replay.ts";
import { retryCommand } from "./commands/retry.ts";
import { type RunFlags, runCommand } from "./commands/run.ts";
import { type StopFlags, stopCommand } from "./commands/stop.ts";
import { type UnlockFlags, unlockCommand } from "./commands/unlock.ts";
import { whyCommand } from "./commands/why.ts";
import { SHELLS, type Shell } from "./completion/scripts.ts";
import type { Context } from "./context.ts";
import { exitCodes, failureOf } from "./failure.ts";
import { printFailure } from "./output.ts";
import { POLICY_LEVELS } from "./people-policy.ts";
import { collectPolicy } from "./policy-options.ts";
import type { RetryFlags } from "./retry-request.ts";
import { version } from "./version.ts";

/**
 * Runs one command line (without `node` and the script) and answers its exit code. Never throws: a failure is one
 * message on stderr; the stack trace is for STEPWATCH_DEBUG=1.
 */
export async function runCommandLine(commandLine: readonly string[], context: Context): Promise<number> {
  // Behind -- stand dbt's own.
  const json = commandLine
    .slice(0, commandLine.includes("--") ? commandLine.indexOf("--") : undefined)
    .includes("--json");
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

const COMMANDS = [
  "init",
  "doctor",
  "local",
  "deploy",
  "run",
  "dbt",
  "docs",
  "plan",
  "runs",
  "history",
  "backfill",
  "status",
  "why",
  "stop",
  "retry",
  "mark",
  "tasks",
  "logs",
  "unlock",
  "pause",
  "resume",
  "image",
  "policy",
  "replay",
  "completion",
] as const;

function program(context: Context, exit: { code: number }): Command {
  const top = new Command("stepwatch")
    .description("One `dbt build` on ECS, every dbt node a named Step Functions execution.")
    .exitOverride()
    // What stands behind the name of a command's own command (backfill stop) is that one's.
    .enablePositionalOptions()
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
      .option("--stack <name>", "a stack in AWS, with the usual credentials; without it the embedded AWS", notEmpty)
      .option("--endpoint <url>", "an engine such as LocalStack instead of AWS (or STEPWATCH_ENDPOINT)", notEmpty);

  add("init [dbt-projects...]", "writes stepwatch.yaml and a CDK app for the dbt projects of this folder").action(
    (named: string[], flags) => ends(initCommand(context, named, flags)),
  );
  add("doctor", "whether this machine, the dbt projects and the AWS account have what a run needs")
    .option("--config <path>", "stepwatch.yaml", notEmpty)
    .option("--stack <name>", "a stack in AWS that must be there", notEmpty)
    .option("--connection", "let dbt connect to each warehouse (dbt debug)")
    .action((flags: DoctorFlags) => ends(doctorCommand(context, flags)));
  const local = add("local <action>", "the embedded AWS on this machine: up, down, status or reset");
  local.action((action: string, flags) => ends(localCommand(context, action, flags)));

  const deploy = deployed(add("deploy", "puts the stack on the embedded AWS, or says the cdk command for AWS"));
  deploy
    .option("--local", "onto the embedded AWS, which is started if need be")
    .option("--turn <seconds>", "with --endpoint: what a turn of the loops takes at least, 8 if not given", wholeNumber)
    .action((flags) => ends(deployCommand(context, flags)));

  const run = addBuildOptions(deployed(add("run [project]", "starts a run and follows it to its verdict")));
  run
    .option("--rerun <run>", "all of a run again, as a new one with its options", notEmpty)
    .option(
      "--job <name>",
      "a job of the project: its options, policy and steps, under the options given here",
      notEmpty,
    )
    .option(
      "--lock-key <key>",
      "of a job with lock: schema: what tells the schema apart that this run builds",
      notEmpty,
    )
    .option(
      "--scheduled-time <time>",
      "the date, or date and time, that the run works on; its start if not given",
      notEmpty,
    )
    .option("--allow-empty", "a selection that finds nothing is green")
    .option("--commit <sha>", "keep this run's manifest under the name of a commit, for --state commit:<sha>")
    .option("--policy <name=value>", "changes a field of the project's policy for this run, repeatable", collectPolicy)
    .option("--overlap <what>", "while another run has the lock: queue, latest, skip or refuse")
    .option("--depends-on-past", "only if the run before this one is green")
    .option("--no-depends-on-past", "whatever became of the run before this one")
    .option("--dedupe-key <text>", "names the trigger: a second run with it ends as its duplicate", notEmpty)
    .option("--even-if-paused", "although somebody has paused the project")
    .option("--no-follow", "only start it")
    .action((project: string | undefined, flags: RunFlags) => ends(runCommand(context, project, flags)));

  deployed(add("dbt <project> [command...]", "another command of dbt's, written behind --: docs generate, ls, show …"))
    .option("-t, --target <name>", "target of profiles.yml")
    .option("--profile <name>", "profile of profiles.yml")
    .option("--state <place>", "what it compares with or clones from, as of run")
    .option("--defer-state <place>", "artefacts to defer to, as --state")
    .option("--policy <name=value>", "changes a field of the project's policy for this run, repeatable", collectPolicy)
    .option("--even-if-paused", "although somebody has paused the project")
    .option("--no-follow", "only start it")
    .action((project: string, words: string[], flags: RunFlags) => ends(dbtCommand(context, project, words, flags)));

  deployed(
    add("docs <project>", "serves the site that the project's newest docs generate has made, on this machine alone"),
  )
    .option("--port <n>", "a port of your choice", wholeNumber)
    .option("--no-open", "open no browser")
    .option("--no-serve", "only fetch it")
    .action((project: string, flags: DocsFlags) => ends(docsCommand(context, project, flags)));

  const plan = addBuildOptions(
    deployed(
      add("plan <project>", "what a run would build, in which order, how long and at what cost; builds nothing"),
    ),
  );
  plan.action((project: string, flags: PlanFlags) => ends(planCommand(context, project, flags)));

  deployed(add("runs <project>", "the last runs of a project")).action((project: string, flags) =>
    ends(runsCommand(context, project, flags)),
  );
  deployed(
    add("history <project> [node]", "how the last runs of a project, or of one node, went: times, trend, flakiness"),
  )
    .option("--last <n>", "of so many runs, 20 if not given, 100 at most", runsNumber)
    .action((project: string, node: string | undefined, flags: HistoryFlags) =>
      ends(historyCommand(context, project, node, flags)),
    );
  const backfill = addBuildOptions(
    deployed(add("backfill <project>", "one run for each window of a range; without a range, the backfills there are")),
  );
  backfill
    .enablePositionalOptions()
    .hook("preAction", (_, command) => {
      const misplaced = backfill.options.find(
        (option) => backfill.getOptionValueSource(option.attributeName()) === "cli",
      );
      if (command !== backfill && misplaced !== undefined)
        throw new InvalidArgumentError(
          `${misplaced.long} stands behind: stepwatch backfill ${command.name()} <backfill> ${misplaced.long} …`,
        );
    })
    .option("--from <time>", "where the first window begins: a date, or date and time", notEmpty)
    .option("--to <time>", "where the last window ends, as in dbt's own --event-time-end", notEmpty)
    .addOption(new Option("--by <period>", "of a window").choices(periods).default("day"))
    .option("--parallel <n>", "runs at once, of a job with lock: none", wholeNumber, 1)
    .addOption(
      new Option("--at <end>", "the moment of its window that a run works on")
        .choices(["start", "end"])
        .default("start"),
    )
    .option("--no-event-time", "dbt is not told the window, only the scheduled time: for dbt before 1.9")
    .option("--job <name>", "a job of the project", notEmpty)
    .option("--lock-key <key>", "of a job with lock: schema: what tells the schema apart", notEmpty)
    .option("--allow-empty", "a selection that finds nothing is green")
    .option("--policy <name=value>", "changes a field of the project's policy, repeatable", collectPolicy)
    .option("--even-if-paused", "although somebody has paused the project")
    .option("--no-follow", "only start it")
    .action((project: string, flags: BackfillFlags) => ends(backfillCommand(context, project, flags)));
  const ofBackfill = (name: string, description: string) =>
    deployed(
      backfill.command(name).description(description).option("--json", "the result as one JSON value on stdout"),
    );
  ofBackfill("status <backfill>", "each window and its run").action((id: string, flags) =>
    ends(backfillStatus(context, id, flags)),
  );
  ofBackfill("stop <backfill>", "lets no further window begin, and stops the runs at work")
    .requiredOption("--reason <text>", "why: it stands in the runs' verdicts", reasonText)
    .option("--no-follow", "only ask for it")
    .action((id: string, flags: StopFlags) => ends(backfillStop(context, id, flags)));
  ofBackfill("retry <backfill>", "the windows that are not green once more, going on with what is good")
    .addOption(
      new Option("--image <which>", "current: with the image that is deployed now").choices(["same", "current"]),
    )
    .option("--even-if-paused", "although somebody has paused the project")
    .option("--no-follow", "only start it")
    .action((id: string, flags: BackfillRetryFlags) => ends(backfillRetry(context, id, flags)));
  deployed(add("status <run>", "nodes, tests, tasks and verdict of a run")).action((run: string, flags) =>
    ends(statusCommand(context, run, flags)),
  );
  deployed(add("stop <run>", "stops a run, and waits until it is over"))
    .requiredOption("--reason <text>", "why: it stands in the run's verdict", reasonText)
    .option("--after-current", "let the dbt processes that run end by themselves, and launch nothing after them")
    .option("--no-follow", "only ask for it")
    .action((run: string, flags: StopFlags) => ends(stopCommand(context, run, flags)));
  deployed(add("retry <run>", "goes on with a run from its failure: what is good is not built again"))
    .option("--node <name>", "only this node with its tests, good or not, repeatable", collectNames)
    .option("--downstream", "and everything below the named nodes")
    .option(
      "--ignore-test <name>",
      "a test that gates nothing any more, repeatable: the run is green by hand",
      collectNames,
    )
    .option("--full-refresh", "with dbt's --full-refresh")
    .addOption(new Option("--size <size>", "size of its tasks; the queue's by default").choices(["producer", "queue"]))
    .addOption(
      new Option("--image <which>", "current: with the image that is deployed now, as a new run").choices([
        "same",
        "current",
      ]),
    )
    .option(
      "--force",
      "also what may double its rows, whose outcome is unknown, or what drops views: you have looked at the table",
    )
    .option("--reason <text>", "why, for those who come after", reasonText)
    .option("--no-follow", "only start it")
    .action((run: string, flags: RetryFlags) => ends(retryCommand(context, run, flags)));
  deployed(add("mark <run> <word>", "good or skip: a person's word on nodes or tests; none takes it back"))
    .requiredOption("--node <name>", "the node or test, repeatable", collectNames)
    .requiredOption("--reason <text>", "why, for those who come after", reasonText)
    .action((run: string, word: string, flags: MarkFlags) => ends(markCommand(context, run, word, flags)));
  deployed(
    add("why <run> [node]", "root causes, what was tried, what can be done; of a run that goes on, who waits for whom"),
  ).action((run: string, node: string | undefined, flags) => ends(whyCommand(context, run, node, flags)));
  deployed(add("tasks <run>", "the dbt builds of a run and why each was made")).action((run: string, flags) =>
    ends(tasksCommand(context, run, flags)),
  );
  deployed(add("logs <run> [node]", "what the run's containers printed, all of it or about one node"))
    .option("--task <n>", "of one task only", wholeNumber)
    .action((run: string, node: string | undefined, flags) => ends(logsCommand(context, run, node, flags)));

  deployed(add("unlock <project>", "takes the project's lock from a run that is gone, and lets the next one in"))
    .requiredOption("--reason <text>", "why, for those who come after", notEmpty)
    .option("-t, --target <name>", "the lock of this target", notEmpty)
    .option("--lock-key <key>", "the lock by its own name", notEmpty)
    .option("--force", "although the run that holds it shows signs of life: it is stopped")
    .action((project: string, flags: UnlockFlags) => ends(unlockCommand(context, project, flags)));
  deployed(add("pause <project>", "lets no run of a project begin; live ones go on"))
    .requiredOption("--reason <text>", "why, for those who come after", notEmpty)
    .action((project: string, flags) => ends(pauseCommand(context, project, flags)));
  deployed(add("image <project> [image]", "which image the next runs are built with, or another one without a deploy"))
    .option("--deployed", "the deployed image again")
    .option("--reason <text>", "why, for those who come after", reasonText)
    .action((project: string, named: string | undefined, flags: ImageFlags) =>
      ends(imageCommand(context, project, named, flags)),
    );
  deployed(add("resume <project>", "lets runs of a paused project begin again"))
    .option("--reason <text>", "why, for those who come after", notEmpty)
    .action((project: string, flags) => ends(resumeCommand(context, project, flags)));

  deployed(add("policy", "the IAM policy for people who use a stack by these commands, as JSON"))
    .addOption(
      new Option(
        "--for <level>",
        "read: look; run: also run, retry, stop; operate: also mark, pause, resume, unlock; release: also image",
      )
        .choices(POLICY_LEVELS)
        .default("operate"),
    )
    .action((flags: PolicyFlags) => ends(policyCommand(context, flags)));

  add("replay <log>", "what each vertex's outcome would be, from a recorded JSON log of dbt")
    .option("--run-results <file>", "run_results.json of the same build")
    .option("--manifest <file>", "manifest.json of the same project")
    .action((log: string, flags) => ends(replayCommand(context, log, flags)));
  top
    .command("completion")
    .description("the script by which a shell completes these commands")
    .addArgument(new Argument("<shell>", "which shell").choices([...SHELLS, "projects"]))
    .action((shell: Shell | "projects") => ends(completionCommand(context, shell, top)));
  return top;
}

const collectNames = (name: string, names: readonly string[] = []): string[] => [...names, notEmpty(name)];

/** Of a reason that a person gives: it stands in the last word of each vertex. */
const MOST_REASON = 500;

function reasonText(text: string): string {
  const reason = notEmpty(text).replace(/\s+/g, " ").trim();
  if (reason.length <= MOST_REASON) return reason;
  throw new InvalidArgumentError(`At most ${MOST_REASON} characters.`);
}

/** Each is a read of a node's rows. */
const MOST_RUNS = 100;

function runsNumber(text: string): number {
  const runs = wholeNumber(text);
  if (runs <= MOST_RUNS) return runs;
  throw new InvalidArgumentError(`At most ${MOST_RUNS}.`);
}

function wholeNumber(text: string): number {
  if (/^[1-9]\d*$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It is no whole number from 1 on.");
}

const EXIT_CODES = `
Exit codes: 0 green, 1 red, 2 usage or configuration, 3 infrastructure, 130 interrupted.
Results go to stdout, progress and failures to stderr. STEPWATCH_DEBUG=1 adds stack traces.`;
