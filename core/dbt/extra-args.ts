const BLINDS = "stepwatch reads dbt's events from stdout as JSON at info, and sets this itself.";
const FOLDERS = "each dbt process of a run has folders of its own, which stepwatch sets.";
const ENDS = "dbt would print a text and build nothing, with exit code 0.";
const option = (field: string) => `give the option ${field} instead, so that recovery builds know what to keep of it.`;

/** Long flags without the two dashes, each with the reason; a `no-` in front means the same flag. */
const REFUSED: Readonly<Record<string, string>> = {
  quiet: BLINDS,
  "log-format": BLINDS,
  "log-level": BLINDS,
  debug: `${BLINDS} For more detail in dbt's own log file pass --log-level-file debug.`,
  "write-json": "run_results.json and manifest.json are needed after the build.",
  "macro-debugging": "a breakpoint would wait for a keyboard that nobody sits at.",
  "log-path": FOLDERS,
  "target-path": FOLDERS,
  "project-dir": FOLDERS,
  "profiles-dir": FOLDERS,
  help: ENDS,
  version: ENDS,
  select: option("select"),
  models: option("select"),
  model: option("select"),
  exclude: option("exclude"),
  selector: option("selector"),
  "resource-type": option("resourceTypes"),
  "resource-types": option("resourceTypes"),
  "exclude-resource-type": option("excludeResourceTypes"),
  "exclude-resource-types": option("excludeResourceTypes"),
  "indirect-selection": option("indirectSelection"),
  vars: option("vars"),
  "full-refresh": option("fullRefresh"),
  threads: option("threads"),
  target: option("target"),
  profile: option("profile"),
  "fail-fast": option("failFast"),
  "favor-state": option("favorState"),
  defer: option("defer"),
  state: option("state"),
  "defer-state": option("deferState"),
  "event-time-start": option("eventTimeStart"),
  "event-time-end": option("eventTimeEnd"),
  sample: option("sample"),
  empty: option("empty"),
  "warn-error": option("warnError"),
  "warn-error-options": option("warnErrorOptions"),
  "partial-parse": option("noPartialParse"),
  "store-failures": option("storeFailures"),
};

/** Short flags of dbt's with their long names; the others (`-r`) may pass. */
const SHORT: Readonly<Record<string, string>> = {
  q: "quiet",
  d: "debug",
  x: "fail-fast",
  s: "select",
  m: "models",
  t: "target",
  f: "full-refresh",
  h: "help",
  v: "version",
  V: "version",
};

/** Why an argument of dbt's can not be passed on; null when it can. */
export function reasonAgainst(argument: string): string | null {
  if (argument === "--" || argument === "-") return "everything after it would be read as something else.";
  const long = /^--([^=]+)/.exec(argument)?.[1];
  if (long !== undefined) {
    const name = long.toLowerCase().replaceAll("_", "-");
    return reasonFor(name) ?? (name.startsWith("no-") ? reasonFor(name.slice(3)) : null);
  }
  const short = /^-([A-Za-z])(.*)$/s.exec(argument);
  if (short === null) return null;
  if (short[2] !== "") return "short flags are read one by one: write each apart, or its long form.";
  return reasonFor(SHORT[short[1] ?? ""] ?? "");
}

/** What a command beside the builds may not be given either: the rest of what a build is refused is its own there. */
const REFUSED_IN_COMMANDS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(Object.entries(REFUSED).filter(([, reason]) => [BLINDS, FOLDERS, ENDS].includes(reason))),
  debug: BLINDS,
  "write-json": "its files are kept.",
  "macro-debugging": REFUSED["macro-debugging"] ?? "",
  ...Object.fromEntries(
    ["target", "profile", "state", "defer-state"].map((name) => [
      name,
      "it is an option of stepwatch: write it before the --.",
    ]),
  ),
};

/** Why an argument of a command beside the builds can not be passed on; null when it can. */
export function reasonAgainstInCommand(argument: string): string | null {
  const long = /^--([^=\s]+)(=|$)/.exec(argument)?.[1]?.toLowerCase().replaceAll("_", "-");
  // `-tprod` is `-t prod`: the target's lock would be another's.
  const short = /^-([A-Za-z])/.exec(argument)?.[1] ?? "";
  const name = long ?? SHORT[short] ?? "";
  const refused = (flag: string) =>
    Object.hasOwn(REFUSED_IN_COMMANDS, flag) ? (REFUSED_IN_COMMANDS[flag] ?? null) : null;
  return refused(name) ?? (name.startsWith("no-") ? refused(name.slice(3)) : null);
}

function reasonFor(name: string): string | null {
  return Object.hasOwn(REFUSED, name) ? (REFUSED[name] ?? null) : null;
}
