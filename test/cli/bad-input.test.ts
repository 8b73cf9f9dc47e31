import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseConfig } from "#core/config.ts";
import { InputError, LedgerUnavailable } from "#core/errors.ts";
import { EmbeddedAwsError, PortInUseError, PythonEnvironmentError } from "#local/errors.ts";
import { quoted, sameOptions } from "../../cli/command-line.ts";
import { failureOf, InfrastructureError } from "../../cli/failure.ts";
import { checkExecutable, checkPackages, checkProject } from "../../cli/preflight.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { fakeStack, refusal, stepwatch } from "./fake-context.ts";

const folder = temporaryFolder("cli");

const systemError = (code: string, message: string) => Object.assign(new Error(`${code}: ${message}`), { code });

describe("bad input on the command line", () => {
  const usage: readonly (readonly [string, readonly string[], RegExp])[] = [
    ["no command", [], /Name a command/],
    ["an unknown command", ["lauf"], /unknown command 'lauf'/],
    ["an unknown option", ["run", "shop", "--selekt", "a"], /unknown option '--selekt'/],
    ["a missing argument", ["status"], /missing required argument 'run'/],
    ["an unknown project", ["run", "bakery"], /There is no project bakery in \S*stepwatch.yaml, which has shop/],
    ["an unknown project of runs", ["runs", "bakery"], /There is no project bakery/],
    ["a project name with spaces", ["run", "my shop"], /project = "my shop"/],
    ["a bad select: nothing in it", ["run", "shop", "--select", ""], /--select names nothing/],
    ["a bad select: a comma too many", ["run", "shop", "--select", "orders,"], /"orders," is no selection/],
    ["a bad select: a method without a value", ["run", "shop", "--select", "tag:"], /"tag:" is no selection/],
    ["a bad select: two graph operators", ["run", "shop", "--select", "@+orders"], /is no selection/],
    ["a selector beside select", ["run", "shop", "--selector", "nightly", "--select", "a"], /can not be combined/],
    ["threads that are no number", ["run", "shop", "--threads", "many"], /no whole number/],
    ["too many threads", ["run", "shop", "--threads", "300"], /It is no whole number from 1 to 256/],
    [
      "an unknown indirect selection",
      ["run", "shop", "--indirect-selection", "lazy"],
      /--indirect-selection "lazy": must be one of eager, cautious, buildable, empty\./,
    ],
    ["an empty target", ["run", "shop", "--target", ""], /--target "": must not be empty\./],
    ["an empty stack", ["status", "run-1", "--stack="], /'--stack <name>' argument '' is invalid. It names nothing/],
    ["an empty config", ["run", "shop", "--config="], /'--config <path>' argument '' is invalid. It names nothing/],
    ["an empty dbt argument", ["run", "shop", "--dbt-arg="], /It names nothing: write --dbt-arg=--flag/],
    [
      "several dbt arguments in one",
      ["run", "shop", "--dbt-arg=--log-level-file debug"],
      /write --dbt-arg=--log-level-file --dbt-arg=debug/,
    ],
    ["vars that are no mapping", ["run", "shop", "--vars", "[1, 2]"], /It is no mapping/],
    ["vars that are no YAML", ["run", "shop", "--vars", "{a: "], /neither YAML nor JSON/],
    ["a dbt argument that would blind the reader", ["run", "shop", "--dbt-arg=--log-format=text"], /--log-format/],
    ["a run id that can not be one", ["status", "a b"], /is no run id/],
    ["a run that does not exist", ["status", "20260101-000000-00000000"], /There is no run 20260101-000000-00000000/],
    ["an unknown action of local", ["local", "sideways"], /is none of up, down, status, reset/],
    ["a log that is not there", ["replay", join(folder, "none.jsonl")], /There is no file .*none.jsonl/],
  ];

  test.each(usage)("%s: exit code 2 and one clear message", async (_what, commandLine, message) => {
    const end = await stepwatch(commandLine, { stack: fakeStack([]) });
    expect(end.exitCode).toBe(2);
    expect(end.stdout).toBe("");
    expect(end.stderr).toMatch(message);
    expect(end.stderr).not.toMatch(/^\s+at /m);
  });

  test("the next command is the help of the command that was meant", async () => {
    expect((await stepwatch(["status"])).stderr).toContain("→ npx stepwatch status --help");
    expect((await stepwatch(["local", "up", "x"])).stderr).toContain("→ npx stepwatch local --help");
    expect((await stepwatch(["rum"])).stderr).toBe(
      "unknown command 'rum' (Did you mean run?)\n→ npx stepwatch --help\n",
    );
  });

  test("Ctrl-C before there is anything to follow: exit code 130, whatever failed because of it", async () => {
    const openStack = () => Promise.reject(new InfrastructureError("Deploying was interrupted."));
    const end = await stepwatch(["status", "run-1"], { openStack, interrupted: AbortSignal.abort() });
    expect(end).toMatchObject({ exitCode: 130, stderr: "Interrupted.\n" });
  });

  test("words of commands to copy are quoted where the shell needs it", () => {
    expect(quoted("../a/stepwatch.yaml")).toBe("../a/stepwatch.yaml");
    expect(quoted("/my stuff/it's")).toBe(`'/my stuff/it'\\''s'`);
    expect(sameOptions({ config: "a b", stack: "s" })).toBe(" --config 'a b' --stack s");
    expect(sameOptions({})).toBe("");
  });

  test("good selections of every form are not refused", async () => {
    const forms = [
      "orders",
      "+orders+",
      "2+orders+3",
      "@orders",
      "tag:nightly",
      "config.materialized:view",
      "path:models/a b",
      "a,b+,tag:c",
      "state:modified+",
      "*.staging",
      "source:raw.payments+",
      "exposure:monday",
    ];
    for (const form of forms.filter((one) => !one.includes(" "))) {
      expect(
        await stepwatch(["run", "shop", "--no-follow", "--select", form], { stack: fakeStack([]) }),
        form,
      ).toMatchObject({ exitCode: 0 });
    }
  });

  test("a log without events of dbt: exit code 2", async () => {
    const log = join(folder, "empty.jsonl");
    writeFileSync(log, "hello\n{}\n");
    expect(await stepwatch(["replay", log])).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining("holds no JSON event of dbt"),
    });
  });

  test("a broken stepwatch.yaml: exit code 2", async () => {
    const loadConfig = () => {
      throw new InputError("stepwatch.yaml is no YAML", ["line 3, column 5: a tab"]);
    };
    expect(await stepwatch(["run", "shop"], { loadConfig })).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining("line 3, column 5"),
    });
  });

  test("--json: a failure is one value on stdout too", async () => {
    const end = await stepwatch(["run", "bakery", "--json"]);
    expect(JSON.parse(end.stdout)).toEqual({
      error: {
        message: expect.stringMatching(/^There is no project bakery in \S*stepwatch.yaml, which has shop\.$/),
        exitCode: 2,
        next: expect.stringContaining("--config"),
      },
    });
  });
});

describe("infrastructure that is not there", () => {
  const failures: readonly (readonly [string, Error, RegExp])[] = [
    [
      "a full disk",
      systemError("ENOSPC", "no space left on device, write"),
      /^The disk is full: .*\n→ Free some space/,
    ],
    ["a port in use", new PortInUseError(4566, "GATEWAY_PORT"), /^Port 4566 \(from GATEWAY_PORT\) is in use/],
    [
      "a port in use, as Node says it",
      systemError("EADDRINUSE", "address already in use 127.0.0.1:4566"),
      /^A port is in use: .*4566/,
    ],
    [
      "no permission",
      systemError("EACCES", "permission denied, mkdir '/state'"),
      /^A file or port may not be used: .*\/state/,
    ],
    [
      "no Python",
      new PythonEnvironmentError("No Python 3.10 or newer was found: install one."),
      /^No Python 3.10 or newer was found/,
    ],
    [
      "an emulator that ended",
      new EmbeddedAwsError("The embedded AWS ended at its start: see x.log."),
      /^The embedded AWS ended/,
    ],
    [
      "an emulator that does not run",
      new InfrastructureError("The embedded AWS does not run.", "npx stepwatch deploy --local"),
      /\n→ npx stepwatch deploy --local/,
    ],
    [
      "a stack that is not deployed",
      new InfrastructureError("The stack is not deployed.", "npx stepwatch deploy --local"),
      /^The stack is not deployed/,
    ],
    [
      "nobody at the endpoint",
      new LedgerUnavailable("DynamoDB was not answered.", {
        cause: systemError("ECONNREFUSED", "connect ECONNREFUSED 127.0.0.1:1"),
      }),
      /^Nobody answers at the endpoint/,
    ],
    [
      "no credentials",
      Object.assign(new Error("Could not load credentials from any providers"), { name: "CredentialsProviderError" }),
      /^There are no AWS credentials/,
    ],
    ["something unforeseen", new TypeError("x is not a function"), /x is not a function\n→ Set STEPWATCH_DEBUG=1/],
  ];

  test.each(failures)("%s: exit code 3 and one clear message", async (_what, error, message) => {
    const end = await stepwatch(["status", "run-1"], { openStack: () => Promise.reject(error) });
    expect(end.exitCode).toBe(3);
    expect(end.stderr).toMatch(message);
    expect(end.stderr).not.toMatch(/^\s+at /m);
  });

  test("STEPWATCH_DEBUG=1 adds the stack trace", async () => {
    const end = await stepwatch(["status", "run-1"], {
      environment: { STEPWATCH_DEBUG: "1" },
      openStack: () => Promise.reject(new TypeError("x")),
    });
    expect(end.stderr).toMatch(/^\s+at /m);
  });
});

describe("a project that can not be run on this machine", () => {
  const projectDir = join(folder, "shop");
  const shop = (dbt: object = {}) =>
    parseConfig({ projects: { shop: { projectDir, target: "duckdb", dbt } } }, folder, (_from, path) => path).projects
      .shop!;

  test("missing dbt project, missing profiles.yml, missing profile, missing target: exit code 2 each", () => {
    expect(refusal(() => checkProject(shop(), {}))).toMatchObject({
      exitCode: 2,
      message: expect.stringContaining("there is no dbt_project.yml"),
    });
    mkdirSync(projectDir);
    writeFileSync(join(projectDir, "dbt_project.yml"), "name: shop\nprofile: shop\n");
    expect(refusal(() => checkProject(shop(), {}))).toMatchObject({
      exitCode: 2,
      message: expect.stringContaining("there is no profiles.yml"),
    });
    writeFileSync(join(projectDir, "profiles.yml"), "bakery:\n  outputs: {}\n");
    expect(refusal(() => checkProject(shop(), {}))).toMatchObject({
      exitCode: 2,
      message: expect.stringContaining("The profile shop of the project shop is not in"),
    });
    writeFileSync(join(projectDir, "profiles.yml"), "shop:\n  outputs:\n    duckdb: {type: duckdb}\n");
    expect(refusal(() => checkProject(shop(), { target: "prod" }))).toMatchObject({
      exitCode: 2,
      message: expect.stringContaining("has no target prod; it has duckdb"),
    });
    expect(refusal(() => checkProject(shop(), {}))).toBeNull();
  });

  test("dbt missing, or A13: too old: exit code 2 each", async () => {
    const missing = await checkExecutable(shop({ executable: "dbt-of-nobody" }), folder).catch(failureOf);
    expect(missing).toMatchObject({
      exitCode: 2,
      message: expect.stringContaining("dbt-of-nobody is no program on the PATH"),
    });
    const old = join(folder, "dbt-old");
    writeFileSync(old, "#!/bin/sh\nprintf 'Core:\\n  - installed: 1.7.19\\n'\n");
    chmodSync(old, 0o755);
    expect(await checkExecutable(shop({ executable: old }), folder).catch(failureOf)).toMatchObject({
      exitCode: 2,
      message: expect.stringContaining("dbt 1.7.19 of the project shop is too old"),
    });
    expect(refusal(() => checkPackages(shop({ packages: ["dbt-core==1.6.2", "dbt-duckdb==1.6.0"] })))).toMatchObject({
      exitCode: 2,
      message: expect.stringContaining("dbt 1.6.2"),
    });
    expect(refusal(() => checkPackages(shop()))).toBeNull();
  });
});
