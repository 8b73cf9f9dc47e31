import { describe, expect, it } from "vitest";
import {
  type BuildOptions,
  buildArgv,
  buildOptionsSchema,
  checkExtraArgs,
  DbtFlagRefused,
  lsArgv,
  recoveryOptions,
  testArgv,
} from "#core/dbt/argv.ts";

const folders = { projectDir: "/p", profilesDir: "/f", targetDir: "/t", logDir: "/l" };
const SPEAKS = ["--log-format", "json", "--log-level", "info", "--no-quiet", "--no-debug", "--write-json"];
const FOLDERS = ["--project-dir", "/p", "--profiles-dir", "/f", "--target-path", "/t", "--log-path", "/l"];

/** Every option at once; a new one must be added here, to the golden below, and to the recovery's list. */
const everything: Required<BuildOptions> = {
  select: ["+a", "tag:x,config.materialized:table"],
  exclude: ["b"],
  selector: "nightly",
  resourceTypes: ["model", "test"],
  excludeResourceTypes: ["unit_test"],
  vars: { text: `it's "quoted" — ü`, list: [1, { deep: null }], empty: "" },
  fullRefresh: true,
  threads: 8,
  target: "prod",
  profile: "shop",
  indirectSelection: "cautious",
  failFast: true,
  favorState: true,
  defer: true,
  state: "/s",
  deferState: "/ds",
  stateIfMissing: "all",
  eventTimeStart: "2024-03-01",
  eventTimeEnd: "2024-03-05",
  sample: "3 days",
  empty: true,
  warnError: true,
  warnErrorOptions: { include: "all", exclude: ["Deprecations"] },
  noPartialParse: true,
  storeFailures: true,
  extraArgs: ["--no-version-check", "--cache-selected-only"],
};

const TARGET = [
  "--profile",
  "shop",
  "--target",
  "prod",
  "--vars",
  `{"text":"it's \\"quoted\\" — ü","list":[1,{"deep":null}],"empty":""}`,
];
const SELECTION = [
  "--select",
  "+a",
  "tag:x,config.materialized:table",
  "--exclude",
  "b",
  "--selector",
  "nightly",
  "--indirect-selection",
  "cautious",
];
const TYPES = ["--resource-type", "model", "--resource-type", "test", "--exclude-resource-type", "unit_test"];
const STATE = ["--state", "/s", "--defer", "--defer-state", "/ds", "--favor-state"];
const RUNNING = [
  "--fail-fast",
  "--store-failures",
  "--warn-error",
  "--warn-error-options",
  '{"include":"all","exclude":["Deprecations"]}',
  "--no-partial-parse",
];
const EXTRA = ["--no-version-check", "--cache-selected-only"];

describe("D7: exact argv", () => {
  it("dbt build, nothing set: only what is forced", () => {
    expect(buildArgv(folders, {})).toEqual(["build", ...SPEAKS, ...FOLDERS]);
  });

  it("dbt build, everything set", () => {
    const window = [
      "--event-time-start",
      "2024-03-01",
      "--event-time-end",
      "2024-03-05",
      "--sample",
      "3 days",
      "--empty",
      "--full-refresh",
    ];
    expect(buildArgv(folders, everything)).toEqual([
      "build",
      ...SPEAKS,
      ...FOLDERS,
      ...TARGET,
      "--threads",
      "8",
      ...SELECTION,
      ...TYPES,
      ...STATE,
      ...window,
      ...RUNNING,
      ...EXTRA,
    ]);
  });

  it("dbt build of an exact selection takes it instead of the user's", () => {
    const argv = buildArgv(folders, everything, ["--select", "result:error"]);
    expect(argv.join(" ")).toContain("--threads 8 --select result:error --state /s");
    expect(argv).not.toContain("nightly");
    expect(argv).not.toContain("--resource-type");
  });

  it("dbt test leaves out what only build knows", () => {
    expect(testArgv(folders, everything)).toEqual([
      "test",
      ...SPEAKS,
      ...FOLDERS,
      ...TARGET,
      "--threads",
      "8",
      ...SELECTION,
      ...STATE,
      ...RUNNING,
      ...EXTRA,
    ]);
  });

  it("dbt test is given no flag that it refuses: one that build alone has would end every retry of a test", () => {
    const extraArgs = ["--export-saved-queries", "--show", "--no-introspect"];
    expect(buildArgv(folders, { extraArgs }).slice(-3)).toEqual(extraArgs);
    expect(testArgv(folders, { extraArgs }).filter((word) => extraArgs.includes(word))).toEqual(["--no-introspect"]);
  });

  it("dbt ls prints JSON objects and nothing else", () => {
    expect(lsArgv(folders, everything)).toEqual([
      "ls",
      "--log-format",
      "text",
      "--log-level",
      "info",
      "--quiet",
      "--no-debug",
      "--output",
      "json",
      "--output-keys",
      "unique_id",
      "fqn",
      "resource_type",
      "original_file_path",
      ...FOLDERS,
      ...TARGET,
      ...SELECTION,
      ...TYPES,
      "--state",
      "/s",
      "--no-partial-parse",
    ]);
  });

  it("false and empty options say nothing, but for fail-fast, which then overrules the environment", () => {
    const argv = buildArgv(folders, {
      select: [],
      exclude: [],
      fullRefresh: false,
      empty: false,
      defer: false,
      favorState: false,
      warnError: false,
      storeFailures: false,
      noPartialParse: false,
      failFast: false,
    });
    expect(argv).toEqual(["build", ...SPEAKS, ...FOLDERS, "--no-fail-fast"]);
  });

  it("vars survive as JSON, quotes and all", () => {
    const argv = buildArgv(folders, everything);
    expect(JSON.parse(argv[argv.indexOf("--vars") + 1]!)).toEqual(everything.vars);
  });

  it("the schema takes every option, and refuses unknown ones and bad values", () => {
    expect(buildOptionsSchema.parse(everything)).toEqual(everything);
    for (const bad of [
      { thread: 4 },
      { threads: 0 },
      { threads: 1.5 },
      { select: "a" },
      { select: [""] },
      { indirectSelection: "all" },
      { vars: [] },
    ]) {
      expect(buildOptionsSchema.safeParse(bad).success, JSON.stringify(bad)).toBe(false);
    }
  });
});

describe("A20: dbt can not be silenced", () => {
  it.each([buildArgv(folders, {}), testArgv(folders, {})])(
    "level, format and quiet are forced on the command line",
    (...argv) => {
      expect(argv.join(" ")).toContain("--log-format json --log-level info --no-quiet --no-debug --write-json");
    },
  );
});

describe("D7: extra arguments", () => {
  it.each([
    "--quiet",
    "-q",
    "--no-quiet",
    "--log-format",
    "--log-format=text",
    "--log-level=error",
    "--log-level",
    "--debug",
    "-d",
    "--no-debug",
    "--no-write-json",
    "--write-json",
    "--log-path=/x",
    "--target-path",
    "--project-dir",
    "--profiles-dir",
    "--macro-debugging",
    "--help",
    "-h",
    "--version",
    "-V",
    "--select",
    "-s",
    "-m",
    "--models",
    "--exclude",
    "--selector",
    "--vars",
    "--full-refresh",
    "-f",
    "--threads=4",
    "-t",
    "--target",
    "--profile",
    "--fail-fast",
    "-x",
    "--no-fail-fast",
    "--favor-state",
    "--no-defer",
    "--state",
    "--defer-state",
    "--event-time-start",
    "--sample",
    "--empty",
    "--no-empty",
    "--warn-error",
    "--warn-error-options",
    "--no-partial-parse",
    "--store-failures",
    "--resource-type",
    "--resource-types",
    "--exclude-resource-type",
    "--indirect-selection",
    "--QUIET",
    "--log_level",
    "-qx",
    "-dq",
    "--",
    "-",
  ])("%s is refused, by name and with a reason", (argument) => {
    const flag = argument.split("=")[0]!;
    expect(() => checkExtraArgs(["--no-version-check", argument])).toThrowError(DbtFlagRefused);
    expect(() => buildArgv(folders, { extraArgs: [argument] })).toThrowError(
      `The dbt argument ${flag} can not be passed: `,
    );
  });

  it.each([
    ["--no-version-check"],
    ["--log-level-file", "debug"],
    ["--cache-selected-only"],
    ["--printer-width=120"],
    ["--no-print"],
    ["--no-populate-cache"],
    ["--record-timing-info", "/x"],
    ["-r", "/x"],
    ["--some-flag", "-1"],
    ["--static-analysis=off"],
  ])("%s passes", (...extraArgs) =>
    expect(buildArgv(folders, { extraArgs }).slice(-extraArgs.length)).toEqual(extraArgs),
  );
});

describe("G2: the options of a recovery build", () => {
  it("keeps what shapes the data, drops what selects, and switches fail-fast off", () => {
    const { select, exclude, selector, resourceTypes, excludeResourceTypes, indirectSelection, favorState, ...kept } =
      everything;
    expect(recoveryOptions(everything)).toEqual({ ...kept, failFast: false });
  });

  it("overrules DBT_FAIL_FAST", () => expect(buildArgv(folders, recoveryOptions({}))).toContain("--no-fail-fast"));

  it("G24: never favours the state over what this run has built", () => {
    expect(buildArgv(folders, recoveryOptions(everything))).not.toContain("--favor-state");
  });

  it("changes nothing of the options it was given", () => {
    const before = structuredClone(everything);
    recoveryOptions(everything);
    expect(everything).toEqual(before);
  });
});
