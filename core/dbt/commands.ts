import { FatalError } from "#core/errors.ts";
import { type BuildOptions, type DbtFolders, foldersOf, SPEAKS, stateOf, targetOf } from "./argv.ts";
import { reasonAgainstInCommand } from "./extra-args.ts";

/** A dbt command that can not be run as a task of its own, or an argument of it. */
export class DbtCommandRefused extends FatalError {
  override readonly name = "DbtCommandRefused";
  readonly command: string;
  constructor(command: string, reason: string) {
    super(`dbt ${command} can not be run so: ${reason}`);
    this.command = command;
  }
}

/** What stepwatch knows of a command of dbt's. */
interface CommandFacts {
  /**
   * What it does in the warehouse. What writes there waits for the target's lock, and is not repeated by itself where it
   * was cut off; what reads alone waits for nobody, unless the warehouse takes one process at a time.
   */
  readonly warehouse: "writes" | "reads" | "none";
  /** Whether what a person wants of it is its standard output, as `dbt --quiet` prints it, and not its log. */
  readonly isAnswer: boolean;
  /** Its options of ours: `dbt <command> --help` of 1.8 to 1.12. */
  readonly takes: readonly ("threads" | "state")[];
}

const fact = (
  warehouse: CommandFacts["warehouse"],
  isAnswer: boolean,
  ...takes: CommandFacts["takes"]
): CommandFacts => ({ warehouse, isAnswer, takes });

/**
 * `dbt test` counts as writing: `store_failures` may stand at any test of the project. A hook of the project runs in
 * `test`, `seed` and `snapshot` as in a build, since dbt 1.10 in `source freshness` too, and in no other of those that read.
 */
const COMMANDS: Readonly<Record<string, CommandFacts>> = {
  clone: fact("writes", false, "threads", "state"),
  compile: fact("reads", true, "threads", "state"),
  debug: fact("reads", false),
  "docs generate": fact("reads", false, "threads", "state"),
  ls: fact("none", true, "state"),
  parse: fact("none", false, "threads"),
  "run-operation": fact("writes", false, "threads"),
  seed: fact("writes", false, "threads", "state"),
  show: fact("reads", true, "threads", "state"),
  snapshot: fact("writes", false, "threads", "state"),
  "source freshness": fact("reads", false, "threads", "state"),
  test: fact("writes", false, "threads", "state"),
};

/** dbt's other names of the same. */
const ALIASES: Readonly<Record<string, string>> = { list: "ls", "source snapshot-freshness": "source freshness" };

const REFUSED: Readonly<Record<string, string>> = {
  build: "that is a run: npx stepwatch run <project>.",
  run: "what it leaves half built could not be repaired node by node. A run does that: npx stepwatch run <project> --policy testBehavior=none.",
  retry: "stepwatch goes on with a run by itself: npx stepwatch retry <run>.",
  deps: "a task has a disk of its own, so that no other would see the packages. They are installed when the project's image is built: npx stepwatch deploy.",
  clean: "it deletes folders of a task's own disk, which nobody else sees.",
  init: "a task has a disk of its own: run it on your machine.",
  "docs serve": "nobody could reach the container: npx stepwatch docs <project> serves what docs generate has made.",
};

/** A command as it was read: dbt's name of it, and what follows. */
export interface DbtCommandLine {
  readonly name: string;
  readonly args: readonly string[];
  readonly facts: CommandFacts;
}

/** Commands whose name is two words. */
const GROUPS: ReadonlySet<string> = new Set(["docs", "source"]);

/**
 * Reads a command as it stands on dbt's command line behind `dbt`. Each word is one argument of the process: no shell
 * sees it.
 * @throws {@link DbtCommandRefused}
 */
export function readDbtCommand(words: readonly string[]): DbtCommandLine {
  const [first = "", second = ""] = words;
  const isGroup = GROUPS.has(first);
  const written = isGroup ? `${first} ${second}`.trim() : first;
  const name = ALIASES[written] ?? written;
  const reason = Object.hasOwn(REFUSED, name) ? REFUSED[name] : undefined;
  if (reason !== undefined) throw new DbtCommandRefused(name, reason);
  const facts = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (facts === undefined)
    throw new DbtCommandRefused(
      written === "" ? "without a command" : JSON.stringify(written),
      `name one of ${Object.keys(COMMANDS).join(", ")}.`,
    );
  const args = words.slice(isGroup ? 2 : 1);
  for (const argument of args) {
    const against = reasonAgainstInCommand(argument);
    if (against !== null) throw new DbtCommandRefused(`${name} ${argument.split("=", 1)[0]}`, against);
  }
  return { name, args, facts };
}

/** Whether a command waits for the lock of its target. */
export const takesLock = ({ facts }: DbtCommandLine, takesOneProcess: boolean): boolean =>
  facts.warehouse === "writes" || (takesOneProcess && facts.warehouse === "reads");

/** Whether a command that was cut off may be run again by itself. */
export const isRepeatable = ({ facts }: DbtCommandLine): boolean => facts.warehouse !== "writes";

/** Text on standard output and nothing of dbt's talk around it. */
const ANSWERS: readonly string[] = [
  "--log-format",
  "text",
  "--log-level",
  "info",
  "--quiet",
  "--no-debug",
  "--no-use-colors",
  "--write-json",
];

/** Everything after the executable. What a person wrote comes last; dbt 1 takes the last of two, dbt 2 none. */
export function commandArgv(folders: DbtFolders, options: BuildOptions, command: DbtCommandLine): string[] {
  const { name, args, facts } = command;
  const says = (flag: string) => args.some((argument) => argument === flag || argument.startsWith(`${flag}=`));
  const { vars, threads, ...rest } = options;
  const own = { ...rest, ...(says("--vars") || vars === undefined ? {} : { vars }) };
  const isThreaded = facts.takes.includes("threads") && threads !== undefined && !says("--threads");
  return [
    ...name.split(" "),
    ...(facts.isAnswer ? ANSWERS : SPEAKS),
    ...foldersOf(folders, name !== "debug"),
    ...targetOf(own),
    ...(isThreaded ? ["--threads", String(threads)] : []),
    ...(facts.takes.includes("state") ? stateOf(own) : []),
    ...args,
  ];
}
