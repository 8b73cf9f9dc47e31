import { type Command, InvalidArgumentError } from "commander";
import { parse as parseYaml } from "yaml";
import { type BuildOptions, buildOptionsSchema, checkExtraArgs } from "#core/dbt/argv.ts";
import { inOurWords } from "#core/zod-sentences.ts";
import { UsageError } from "./failure.ts";

/** What commander makes of the options of `dbt build`: same names as {@link BuildOptions}. */
export type BuildFlags = Record<string, unknown>;

/** `a b` and repeated flags are one list, as in dbt. */
const listed = (value: string, before: string[] | undefined): string[] => [
  ...(before ?? []),
  ...value.split(/\s+/).filter(Boolean),
];

/** Adds dbt's own options, spelled as dbt spells them, so that a command line can be taken over as it is. */
export function addBuildOptions(command: Command): Command {
  return command
    .option("-s, --select <nodes...>", "what to build, in dbt's selection syntax", collect)
    .option("--exclude <nodes...>", "what to leave out", collect)
    .option("--selector <name>", "a selector of selectors.yml")
    .option("--resource-type <types...>", "only these types", collect)
    .option("--exclude-resource-type <types...>", "not these types", collect)
    .option("--vars <yaml>", "variables as YAML or JSON", mapping(`--vars '{"day": "2026-01-31"}'`))
    .option("-f, --full-refresh", "rebuild incremental models and seeds from the start")
    .option("--threads <n>", "dbt's threads", readThreads)
    .option("-t, --target <name>", "target of profiles.yml")
    .option("--profile <name>", "profile of profiles.yml")
    .option("--indirect-selection <mode>", "eager, cautious, buildable or empty")
    .option("-x, --fail-fast", "stop at the first failure")
    .option(
      "--state <place>",
      "what to compare with: s3://bucket/prefix, latest-green, latest, a run's id, commit:<sha>, a folder",
    )
    .option("--defer", "resolve unselected refs through --state")
    .option("--defer-state <place>", "artefacts to defer to, as --state")
    .option("--state-if-missing <what>", "fail (the default), or all: build everything that is selected beside it")
    .option("--favor-state", "prefer --state to what is built")
    .option("--event-time-start <date>", "first event time of microbatch models")
    .option("--event-time-end <date>", "end of the event time of microbatch models")
    .option("--sample <window>", "build a sample")
    .option("--empty", "build with no rows")
    .option("--warn-error", "turn warnings into errors")
    .option(
      "--warn-error-options <yaml>",
      "which warnings, as YAML or JSON",
      mapping(`--warn-error-options '{"error": ["NoNodesForSelectionCriteria"]}'`),
    )
    .option("--no-partial-parse", "parse the whole project")
    .option("--store-failures", "keep the rows of failing tests")
    .option("--dbt-arg <argument>", "a further argument for dbt, repeatable; write --dbt-arg=--flag", collectArgument);
}

const collect = (value: string, before: string[] | undefined) => listed(value, before);

/** One argument each, as it is: the value of a flag may hold spaces. */
function collectArgument(value: string, before: string[] | undefined): string[] {
  if (value === "") throw new InvalidArgumentError("It names nothing: write --dbt-arg=--flag.");
  if (/^--?[\w-]+\s/.test(value)) {
    const [flag = "", ...rest] = value.split(/\s+/);
    throw new InvalidArgumentError(
      `It holds several arguments: write ${[flag, ...rest].map((word) => `--dbt-arg=${word}`).join(" ")}.`,
    );
  }
  return [...(before ?? []), value];
}

/** Reads a mapping that is written as YAML or JSON. @throws {InvalidArgumentError} with an example of how to write it */
const mapping =
  (example: string) =>
  (text: string): Record<string, unknown> => {
    let value: unknown;
    try {
      value = parseYaml(text);
    } catch (error) {
      throw new InvalidArgumentError(
        `It is neither YAML nor JSON (${firstLine(error)}). Write for example ${example}.`,
      );
    }
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
    throw new InvalidArgumentError(`It is no mapping. Write for example ${example}.`);
  };

/** What a script gives whose variable is not set. */
export function notEmpty(text: string): string {
  if (text.trim() !== "") return text;
  throw new InvalidArgumentError("It names nothing.");
}

function readThreads(text: string): number {
  if (/^[1-9]\d{0,2}$/.test(text) && Number(text) <= 256) return Number(text);
  throw new InvalidArgumentError("It is no whole number from 1 to 256.");
}

const firstLine = (error: unknown): string =>
  ((error instanceof Error ? error.message : String(error)).split("\n")[0] ?? "").replace(/:$/, "");

/** Commander's names that differ from ours. */
const RENAMED: Readonly<Record<string, keyof BuildOptions>> = {
  resourceType: "resourceTypes",
  excludeResourceType: "excludeResourceTypes",
  dbtArg: "extraArgs",
};

/**
 * The options of `dbt build` among all flags of a command, validated.
 * @throws {UsageError} naming the flag and its value
 */
export function buildOptionsOf(flags: BuildFlags): BuildOptions {
  const known = Object.keys(buildOptionsSchema.shape);
  const renamed = Object.entries(flags).map(([name, value]) => [RENAMED[name] ?? name, value] as const);
  const picked = Object.fromEntries(renamed.filter(([name, value]) => known.includes(name) && value !== undefined));
  if (flags.partialParse === false) picked.noPartialParse = true;
  const parsed = buildOptionsSchema.safeParse(picked, { error: inOurWords });
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path: [field = ""], message }) => {
      const value = picked[String(field)];
      return `--${flagOf(String(field))}${typeof value === "string" ? ` ${JSON.stringify(value)}` : ""}: ${message}`;
    });
    throw new UsageError(problems.join(" "), "npx stepwatch run --help");
  }
  refuseSelection(parsed.data);
  if (parsed.data.extraArgs !== undefined) checkExtraArgs(parsed.data.extraArgs);
  return parsed.data;
}

/** Selection that dbt would refuse after half a minute of starting, or that would select by accident. */
function refuseSelection(options: BuildOptions): void {
  if (options.selector !== undefined && (options.select !== undefined || options.exclude !== undefined)) {
    throw new UsageError(
      "--selector can not be combined with --select or --exclude: dbt ignores them.",
      "npx stepwatch run --help",
    );
  }
  for (const flag of ["select", "exclude"] as const) {
    const list = options[flag];
    if (list === undefined) continue;
    if (list.length === 0)
      throw new UsageError(`--${flag} names nothing: leave it out to build everything.`, "npx stepwatch run --help");
    const bad = list.find((criterion) => !isCriterion(criterion));
    if (bad !== undefined) {
      throw new UsageError(
        `--${flag} ${JSON.stringify(bad)} is no selection of dbt: write for example stg_orders+, tag:nightly or state:modified.`,
        "npx stepwatch run --help",
      );
    }
  }
}

/**
 * dbt's own grammar: `[@ | n+][method:]value[+[n]]`, criteria joined by commas. Only the form is checked here; whether
 * a method or a value exists is dbt's to say.
 */
const CRITERION = /^(?:@|\d*\+)?(?:[\w.]+:)?(?<value>[^\s]*?)(?:\+\d*)?$/;

const isCriterion = (text: string): boolean =>
  text.split(",").every((part) => {
    const value = CRITERION.exec(part)?.groups?.value ?? "";
    return value !== "" && !/^[@+]/.test(value);
  });

/** The flag that a person writes for a field. */
function flagOf(field: string): string {
  const [own = field] = Object.entries(RENAMED).find(([, renamed]) => renamed === field) ?? [];
  return own.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
