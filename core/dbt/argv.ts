import { z } from "zod";
import { FatalError } from "#core/errors.ts";
import { reasonAgainst } from "./extra-args.ts";
import { LIST_KEYS } from "./list-line.ts";
import { stateProblem } from "./state-source.ts";

const text = z.string().min(1);

const place = text.superRefine((value, context) => {
  const message = stateProblem(value);
  if (message !== null) context.addIssue({ code: "custom", message });
});

/**
 * An entry of an option that takes several: dbt-core reads one that begins with a dash as its next flag, hence past
 * {@link checkExtraArgs}.
 */
const entry = text.refine((value) => !value.startsWith("-"), "begins with a dash: dbt would read it as a flag.");

/**
 * Options of `dbt build` that a person may set, in the run input and in stepwatch.yaml. What has a field here is given
 * by that field and not by `extraArgs`, so that a recovery build knows what to keep and what to leave (row G2).
 */
export const buildOptionsSchema = z.strictObject({
  select: z.array(entry).optional(),
  exclude: z.array(entry).optional(),
  selector: text.optional(),
  resourceTypes: z.array(entry).optional(),
  excludeResourceTypes: z.array(entry).optional(),
  vars: z.record(z.string(), z.json()).optional(),
  fullRefresh: z.boolean().optional(),
  threads: z.int().min(1).max(256).optional(),
  target: text.optional(),
  profile: text.optional(),
  indirectSelection: z.enum(["eager", "cautious", "buildable", "empty"]).optional(),
  /** `false` overrules `DBT_FAIL_FAST` and the project's flags. */
  failFast: z.boolean().optional(),
  favorState: z.boolean().optional(),
  defer: z.boolean().optional(),
  /** A folder beside the project, or where stepwatch finds one: core/dbt/state-source.ts. */
  state: place.optional(),
  deferState: place.optional(),
  /** Where there is no such state: nothing is built, or everything that is selected beside it. */
  stateIfMissing: z.enum(["fail", "all"]).optional(),
  /** As dbt takes it: a date, or date and time, UTC. */
  eventTimeStart: text.optional(),
  eventTimeEnd: text.optional(),
  /** dbt's sample window, such as `3 days` or `{"start": …, "end": …}`. */
  sample: text.optional(),
  empty: z.boolean().optional(),
  warnError: z.boolean().optional(),
  warnErrorOptions: z.record(z.string(), z.json()).optional(),
  noPartialParse: z.boolean().optional(),
  storeFailures: z.boolean().optional(),
  extraArgs: z.array(z.string()).optional(),
});

/** Options of one `dbt build`; an absent one leaves dbt's own default, environment and project flags in force. */
export type BuildOptions = z.infer<typeof buildOptionsSchema>;

/** Where one dbt process reads and writes. Each process of a run has its own target and log folder (row D13). */
export interface DbtFolders {
  projectDir: string;
  profilesDir: string;
  targetDir: string;
  logDir: string;
}

/** A flag that a person asked for and that stepwatch can not pass to dbt. */
export class DbtFlagRefused extends FatalError {
  override readonly name = "DbtFlagRefused";
  readonly flag: string;
  constructor(flag: string, reason: string) {
    super(`The dbt argument ${flag} can not be passed: ${reason}`);
    this.flag = flag;
  }
}

/**
 * Refuses what would blind the reader, fight our own flags, or hide from a recovery build. Values may follow a flag as
 * `--flag value` or `--flag=value`; whether dbt knows the flag is dbt's to say.
 * @throws {@link DbtFlagRefused}
 */
export function checkExtraArgs(extraArgs: readonly string[]): void {
  for (const argument of extraArgs) {
    const reason = reasonAgainst(argument);
    if (reason !== null) throw new DbtFlagRefused(argument.split("=", 1)[0] ?? argument, reason);
  }
}

/**
 * What makes dbt speak JSON at info on stdout whatever environment and project flags say (row A20); on the command
 * line these win over `DBT_QUIET`, `DBT_LOG_LEVEL`, `DBT_LOG_FORMAT`, `DBT_DEBUG`, `DBT_WRITE_JSON` in 1.8 to 1.12 and
 * in 2.0. Debug would print fourteen times the bytes. 2.0 knows no `--no-debug` yet and says so on
 * stderr; colours are stripped when read.
 */
export const SPEAKS: readonly string[] = [
  "--log-format",
  "json",
  "--log-level",
  "info",
  "--no-quiet",
  "--no-debug",
  "--write-json",
];

/** A list on stdout and nothing else: text, since the JSON format would wrap each line of the list in an event. */
const LISTS: readonly string[] = ["--log-format", "text", "--log-level", "info", "--quiet", "--no-debug"];

/**
 * `dbt build`, everything after the executable. `selection` stands for select, exclude, selector and indirect
 * selection where given (see `exactSelection`).
 * @throws `DbtFlagRefused`
 */
export function buildArgv(folders: DbtFolders, options: BuildOptions, selection?: readonly string[]): string[] {
  checkExtraArgs(options.extraArgs ?? []);
  return ["build", ...SPEAKS, ...foldersOf(folders), ...builds(options, selection)];
}

/** What `dbt build` is given beside its folders and its way of speaking. */
function builds(options: BuildOptions, selection?: readonly string[]): string[] {
  return [
    ...targetOf(options),
    ...flag("--threads", options.threads),
    ...(selection ?? [...selectionOf(options), ...typesOf(options)]),
    ...stateOf(options),
    ...flag("--event-time-start", options.eventTimeStart),
    ...flag("--event-time-end", options.eventTimeEnd),
    ...flag("--sample", options.sample),
    ...(options.empty === true ? ["--empty"] : []),
    ...(options.fullRefresh === true ? ["--full-refresh"] : []),
    ...runningOf(options),
    ...(options.extraArgs ?? []),
  ];
}

/** `dbt test` with the same options; what `build` alone knows is left out. @throws `DbtFlagRefused` */
export function testArgv(folders: DbtFolders, options: BuildOptions, selection?: readonly string[]): string[] {
  checkExtraArgs(options.extraArgs ?? []);
  return ["test", ...SPEAKS, ...foldersOf(folders), ...tests(options, selection)];
}

function tests(options: BuildOptions, selection?: readonly string[]): string[] {
  return [
    ...targetOf(options),
    ...flag("--threads", options.threads),
    ...(selection ?? selectionOf(options)),
    ...stateOf(options),
    ...runningOf(options),
    ...(options.extraArgs ?? []).filter((argument) => !OF_BUILD_ALONE.includes(argument)),
  ];
}

/** Flags of `dbt build` that `dbt test` refuses (dbt/cli/main.py of 1.12). */
const OF_BUILD_ALONE: readonly string[] = [
  "--export-saved-queries",
  "--no-export-saved-queries",
  "--include-saved-query",
  "--no-include-saved-query",
  "--show",
];

/** `dbt build` or `dbt test` as a person types it in the project's folder: dbt speaks as it does to people. */
export const spokenArgv = (
  command: "build" | "test",
  options: BuildOptions,
  selection?: readonly string[],
): string[] => [command, ...(command === "build" ? builds(options, selection) : tests(options, selection))];

/** `dbt show`, for a person: the first rows of what a selection or an inline query finds. */
export const showArgv = (options: BuildOptions, what: readonly string[], rows: number): string[] => [
  "show",
  ...targetOf(options),
  ...what,
  ...["--limit", String(rows)],
];

/** `dbt ls`: one JSON object per selected vertex on stdout, with what a plan needs, and nothing else. */
export function lsArgv(folders: DbtFolders, options: BuildOptions): string[] {
  return [
    "ls",
    ...LISTS,
    ...["--output", "json", "--output-keys", ...LIST_KEYS],
    ...foldersOf(folders),
    ...targetOf(options),
    ...selectionOf(options),
    ...typesOf(options),
    ...flag("--state", options.state),
    ...(options.noPartialParse === true ? ["--no-partial-parse"] : []),
  ];
}

/** `dbt source freshness`: leaves sources.json in the target folder. */
export const sourceFreshnessArgv = (folders: DbtFolders, options: BuildOptions): string[] => [
  "source",
  "freshness",
  ...["--log-format", "text", "--log-level", "info", "--no-quiet", "--no-debug", "--write-json"],
  ...foldersOf(folders),
  ...targetOf(options),
  ...flag("--threads", options.threads),
  ...(options.noPartialParse === true ? ["--no-partial-parse"] : []),
];

/** `dbt compile --inline`: Jinja of ours through dbt's own connection. It runs no hook, builds nothing and reads no cache. */
export function inlineArgv(folders: DbtFolders, options: BuildOptions, jinja: string): string[] {
  return [
    "compile",
    ...["--log-format", "text", "--log-level", "info", "--no-quiet", "--no-debug", "--no-populate-cache"],
    ...foldersOf(folders),
    ...targetOf(options),
    ...["--threads", "1", "--inline", jinja],
  ];
}

/**
 * The options that a fallback or a recovery build takes over from the run (row G2). Left out: what selects, and
 * `favorState`, with which dbt would read production for a node that this run has built (row G24). Fail-fast is
 * switched off, also against the environment.
 */
export function recoveryOptions(options: BuildOptions): BuildOptions {
  const { select, exclude, selector, resourceTypes, excludeResourceTypes, indirectSelection, favorState, ...kept } =
    options;
  return { ...kept, failFast: false };
}

/** @param hasTarget `dbt debug` knows no target folder */
export function foldersOf(folders: DbtFolders, hasTarget = true): string[] {
  return [
    ...["--project-dir", folders.projectDir, "--profiles-dir", folders.profilesDir],
    ...(hasTarget ? ["--target-path", folders.targetDir] : []),
    ...["--log-path", folders.logDir],
  ];
}

/** Profile, target and variables. */
export function targetOf(options: BuildOptions): string[] {
  const vars = options.vars === undefined ? undefined : JSON.stringify(options.vars);
  return [...flag("--profile", options.profile), ...flag("--target", options.target), ...flag("--vars", vars)];
}

function selectionOf(options: BuildOptions): string[] {
  return [
    ...list("--select", options.select),
    ...list("--exclude", options.exclude),
    ...flag("--selector", options.selector),
    ...flag("--indirect-selection", options.indirectSelection),
  ];
}

/** One flag per type: 1.8 takes no list here. */
function typesOf(options: BuildOptions): string[] {
  return [
    ...(options.resourceTypes ?? []).flatMap((type) => ["--resource-type", type]),
    ...(options.excludeResourceTypes ?? []).flatMap((type) => ["--exclude-resource-type", type]),
  ];
}

/** What a command compares with, or defers to. */
export function stateOf(options: BuildOptions): string[] {
  return [
    ...flag("--state", options.state),
    ...(options.defer === true ? ["--defer"] : []),
    ...flag("--defer-state", options.deferState),
    ...(options.favorState === true ? ["--favor-state"] : []),
  ];
}

function runningOf(options: BuildOptions): string[] {
  const warnings = options.warnErrorOptions === undefined ? undefined : JSON.stringify(options.warnErrorOptions);
  return [
    ...(options.failFast === undefined ? [] : [options.failFast ? "--fail-fast" : "--no-fail-fast"]),
    ...(options.storeFailures === true ? ["--store-failures"] : []),
    ...(options.warnError === true ? ["--warn-error"] : []),
    ...flag("--warn-error-options", warnings),
    ...(options.noPartialParse === true ? ["--no-partial-parse"] : []),
  ];
}

function flag(name: string, value: string | number | undefined): string[] {
  return value === undefined ? [] : [name, String(value)];
}

function list(name: string, values: readonly string[] | undefined): string[] {
  return values === undefined || values.length === 0 ? [] : [name, ...values];
}
