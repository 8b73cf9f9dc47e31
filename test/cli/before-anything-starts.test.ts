import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { parseConfig } from "#core/config.ts";
import { InputError } from "#core/errors.ts";
import { failureOf } from "../../cli/failure.ts";
import { configNameOf, packageRoot, stateDirOf } from "../../cli/paths.ts";
import { checkDisk, checkProject } from "../../cli/preflight.ts";
import { version } from "../../cli/version.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { refusal, stepwatch } from "./fake-context.ts";

const folder = temporaryFolder("before");

test("packages that are not installed: the command that installs them, where dbt would refuse the project later", () => {
  const projectDir = join(folder, "my shop");
  const { shop } = parseConfig({ projects: { shop: { projectDir } } }, folder, (_from, path) => path).projects;
  mkdirSync(projectDir);
  writeFileSync(join(projectDir, "dbt_project.yml"), "name: shop\nprofile: shop\n");
  writeFileSync(join(projectDir, "profiles.yml"), "shop:\n  outputs:\n    dev: {type: duckdb}\n");
  for (const nothing of ["packages: []\n", "packages:\n", ""]) {
    writeFileSync(join(projectDir, "packages.yml"), nothing);
    expect(refusal(() => checkProject(shop!, {}))).toBeNull();
  }
  writeFileSync(join(projectDir, "packages.yml"), "packages:\n  - local: ../crumbs\n");
  expect(refusal(() => checkProject(shop!, {}))).toMatchObject({
    exitCode: 2,
    message: expect.stringMatching(
      /^The dbt packages of the project shop are not installed: there is no dbt_packages in /,
    ),
    next: expect.stringMatching(
      new RegExp(`^/.*/venvs/[0-9a-f]{16}/bin/dbt deps --project-dir '${projectDir}' --profiles-dir '${projectDir}'$`),
    ),
  });
  expect(refusal(() => checkProject(shop!, { packages: "installed later" }))).toBeNull();
  for (const dbt of [{ packages: ["dbt==2.0.0"] }, { packages: shop!.dbt.packages, executable: "/opt/dbt" }])
    expect(
      refusal(() => checkProject({ ...shop!, dbt }, {})),
      "dbt 2 installs them by itself",
    ).toBeNull();
  mkdirSync(join(projectDir, "dbt_packages"));
  expect(refusal(() => checkProject(shop!, {}))).toBeNull();
});

test("A22: a secret in stepwatch.yaml that dbt would mask in its own log: usage (2), without its value", () => {
  const projectDir = join(folder, "secretive");
  const shop = { projectDir, environment: { DBT_ENV_SECRET_X: "1", PLAIN: "1" } };
  const parsed = parseConfig({ projects: { shop } }, folder, (_from, path) => path).projects;
  mkdirSync(projectDir);
  writeFileSync(join(projectDir, "dbt_project.yml"), "name: shop\nprofile: shop\n");
  expect(refusal(() => checkProject(parsed.shop!, {}))).toMatchObject({
    exitCode: 2,
    message: expect.stringMatching(/^The value of DBT_ENV_SECRET_X has fewer than 6 characters/),
  });
});

test("a full disk: infrastructure (3), asked of the nearest folder that is there", () => {
  const asked: string[] = [];
  const free = (mebibytes: number) => (path: string) => {
    asked.push(path);
    return mebibytes;
  };
  expect(refusal(() => checkDisk(join(folder, "a", "b"), free(19.9)))).toMatchObject({
    exitCode: 3,
    message: expect.stringMatching(/^The disk of .*b is full: 19 MiB are free, and a run needs at least 20\.$/),
    next: expect.stringContaining("Free some space"),
  });
  expect(asked).toEqual([folder]);
  expect(refusal(() => checkDisk(folder, free(20)))).toBeNull();
  expect(refusal(() => checkDisk(folder))).toBeNull();
});

test("a variable that fixes a port and holds none: usage (2)", async () => {
  const { PortSettingError } = await import("#local/errors.ts");
  expect(failureOf(new PortSettingError("P is no port."))).toMatchObject({ exitCode: 2, message: "P is no port." });
});

test("a configuration that is refused says what to do next", () => {
  expect(failureOf(new InputError("stepwatch.yaml refused", ["x"])).next).toBe(
    "Correct it and run the same command again.",
  );
});

test("an empty STEPWATCH_STATE_DIR is none", () => {
  expect(stateDirOf({ STEPWATCH_STATE_DIR: "" })).toBe(join(packageRoot, ".stepwatch"));
});

test("the stepwatch.yaml that was read is named by its path unless it lies in the working directory", () => {
  expect(configNameOf("a.yaml", "/x")).toBe("a.yaml");
  expect(configNameOf(undefined, packageRoot)).toBe("stepwatch.yaml");
  expect(configNameOf(undefined, folder)).toBe(join(packageRoot, "stepwatch.yaml"));
});

test("the version; without a command the help once, and not the advice to call it", async () => {
  expect(await stepwatch(["--version"])).toMatchObject({ exitCode: 0, stdout: `${version}\n` });
  const { exitCode, stderr } = await stepwatch([]);
  expect(exitCode).toBe(2);
  expect(stderr).toMatch(/Usage: stepwatch[\s\S]*\nName a command\.\n$/);
});

const program = (args: readonly string[], environment: Record<string, string> = {}, entry = "main.ts") =>
  spawn(process.execPath, [join(packageRoot, "cli", entry), ...args], {
    env: { ...process.env, STEPWATCH_STATE_DIR: join(folder, "state"), ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });

test("a reader that goes away (| head) gets no stack trace", async () => {
  const child = program(["run", "--help"]);
  child.stdout.destroy();
  const [stderr, code] = await Promise.all([
    text(child.stderr),
    new Promise((resolve) => child.once("close", resolve)),
  ]);
  expect({ stderr, code }).toEqual({ stderr: "", code: 141 });
});

test("STEPWATCH_AWS_PORT=abc: exit code 2 before anything is made", async () => {
  const child = program(["local", "up"], { STEPWATCH_AWS_PORT: "abc" });
  const [stderr, code] = await Promise.all([
    text(child.stderr),
    new Promise((resolve) => child.once("close", resolve)),
  ]);
  expect(code).toBe(2);
  expect(stderr).toMatch(/^STEPWATCH_AWS_PORT is "abc", which is no port: .*\n$/);
});

test("npm start with options that exclude each other: one message and the help to call", async () => {
  const child = program(["--flaky", "--broken"], {}, "start.ts");
  const [stderr, code] = await Promise.all([
    text(child.stderr),
    new Promise((resolve) => child.once("close", resolve)),
  ]);
  expect(code).toBe(2);
  expect(stderr).toBe("\noption '--flaky' cannot be used with option '--broken'\n→ npm start -- --help\n");
});

test("deploy --stack: the name of the file's stack prints the command for AWS, another is refused (2)", async () => {
  const deploy = (stack: string) => stepwatch(["deploy", "--stack", stack]);
  expect(await deploy("stepwatch")).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining("npx cdk deploy stepwatch --context"),
  });
  expect(await deploy("nightly")).toMatchObject({
    exitCode: 2,
    stderr: expect.stringMatching(/ is stepwatch, not nightly\.\n→ Set stackName there/),
  });
});
