import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DEFAULT_STATE_DIR } from "#local/python.ts";

const ROOT = join(import.meta.dirname, "..", "..");

/** Somebody's empty folder, with the package as npm installs it: nothing of this checkout is in reach. */
let folder: string;

/** What npm and vitest have set for this process. How this machine reaches its registry is whoever runs it to say. */
const OF_THIS_PROCESS =
  /^(npm_(?!config_)|npm_config_(local_|global_)?prefix$|NODE_(?!EXTRA_CA_CERTS$)|VITEST|STEPWATCH_|AWS_|INIT_CWD$|HOME$)/i;

/** As a shell of theirs would. A command that hangs, on a registry that is not reached for example, is a failed one. */
function shell(command: string, args: readonly string[], cwd = folder): SpawnSyncReturns<string> {
  const own = Object.entries(process.env).filter(([name]) => !OF_THIS_PROCESS.test(name));
  const env = { ...Object.fromEntries(own), HOME: join(folder, "home"), ...NPM_OF_THIS_MACHINE };
  return spawnSync(command, args, { cwd, env, encoding: "utf8", maxBuffer: 64 * 1024 * 1024, timeout: FIVE_MINUTES });
}

const FIVE_MINUTES = 300_000;
const npmSetting = (name: string) => spawnSync("npm", ["config", "get", name], { encoding: "utf8" }).stdout.trim();
// They stand in the home folder, which is another one there.
const NPM_OF_THIS_MACHINE = {
  NPM_CONFIG_CACHE: npmSetting("cache"),
  NPM_CONFIG_USERCONFIG: npmSetting("userconfig"),
};
const failed = ({ status, error, stdout, stderr }: SpawnSyncReturns<string>) =>
  status === 0 ? "" : `${error?.message ?? status} ${stdout} ${stderr}`;

/** The versions that this checkout has: the same install on every day, of what `npm ci` has fetched already. */
function lockOfTheirs(): string {
  const { lockfileVersion, packages } = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8"));
  return JSON.stringify({ name: "theirs", lockfileVersion, packages: { ...packages, "": { name: "theirs" } } });
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "stepwatch-package-"));
  mkdirSync(join(folder, "home"));
  expect(failed(shell("npm", ["pack", "--silent", "--pack-destination", folder], ROOT))).toBe("");
  const [tarball] = globSync("stepwatch-*.tgz", { cwd: folder });
  writeFileSync(join(folder, "package.json"), '{"name": "theirs", "private": true}');
  writeFileSync(join(folder, "package-lock.json"), lockOfTheirs());
  expect(failed(shell("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", `./${tarball}`]))).toBe("");
  // The Python environments are the same; to make them again would take a minute and show nothing of the package.
  mkdirSync(join(folder, ".stepwatch"));
  symlinkSync(join(DEFAULT_STATE_DIR, "venvs"), join(folder, ".stepwatch", "venvs"));
});
afterAll(() => {
  shell("npx", ["--no", "stepwatch", "local", "down"]);
  rmSync(folder, { recursive: true, force: true });
});

test("the package has no TypeScript to run, no tests, and no script that runs at its installation", () => {
  const files = globSync("**/*", { cwd: join(folder, "node_modules", "stepwatch") });
  expect(
    files.filter((file) => /(?<!\.d)\.m?ts$|(^|\/)(test|bench|fixtures)(\/|$)/.test(file) && !/\.d\.mts$/.test(file)),
  ).toEqual([]);
  const { scripts } = JSON.parse(readFileSync(join(folder, "node_modules", "stepwatch", "package.json"), "utf8"));
  expect(Object.keys(scripts).filter((name) => /^(pre|post)?install$|^prepare$/.test(name))).toEqual([]);
});

test("init beside a dbt project, deploy --local and run are a green run in a folder that has the package alone", () => {
  cpSync(join(ROOT, "examples", "jaffle-shop"), join(folder, "jaffle-shop"), { recursive: true });
  const init = shell("npx", ["--no", "stepwatch", "init"]);
  expect(failed(init)).toBe("");
  expect(init.stdout).toContain("→ npx stepwatch deploy --local");
  expect(failed(shell("npx", ["--no", "stepwatch", "deploy", "--local"]))).toBe("");
  // From a folder below, as people do.
  const run = shell("npx", ["--no", "stepwatch", "run", "jaffle_shop", "--json"], join(folder, "jaffle-shop"));
  expect(run.stderr).toContain("Started run");
  expect(JSON.parse(run.stdout)).toMatchObject({ state: "green", counts: { good: 51 } });
  expect(existsSync(join(folder, "node_modules", "stepwatch", "dist", ".stepwatch"))).toBe(false);
});

test("the constructs are used with types from a CDK app of one's own, which is synthesised without a container engine", () => {
  const app = join(folder, "platform");
  mkdirSync(join(app, "shop", "models"), { recursive: true });
  const output =
    "{type: postgres, host: db, user: dbt, password: \"{{ env_var('DBT_ENV_SECRET_PASSWORD') }}\", dbname: shop, schema: dbt, port: 5432, threads: 4}";
  writeFileSync(join(app, "shop", "dbt_project.yml"), "name: shop\nprofile: shop\nversion: '1.0'\n");
  writeFileSync(join(app, "shop", "profiles.yml"), `shop:\n  target: prod\n  outputs:\n    prod: ${output}\n`);
  writeFileSync(join(app, "shop", "models", "one.sql"), "select 1 as one");
  writeFileSync(join(app, "app.mts"), APP);
  writeFileSync(join(app, "tsconfig.json"), JSON.stringify({ compilerOptions: COMPILER_OPTIONS, files: ["app.mts"] }));
  const compiler = join(ROOT, "node_modules", "typescript", "bin", "tsc");
  expect(failed(shell(process.execPath, [compiler, "-p", app]))).toBe("");
  expect(
    failed(shell("npx", ["--no", "cdk", "synth", "--quiet", "--app", "node app.mjs", "--output", "cdk.out"], app)),
  ).toBe("");
  const template = readFileSync(join(app, "cdk.out", "shop-dbt.template.json"), "utf8");
  expect(template).toContain("shop-dbt-run");
  expect(template).toContain("lake/Landing");
  expect(existsSync(join(app, ".stepwatch", "images", "shop", "project", "models", "one.sql"))).toBe(true);
});

/** What the package declares is checked too, and so is the CDK, which bears all of `strict` and no more. */
const COMPILER_OPTIONS = {
  target: "es2022",
  lib: ["es2022", "dom", "esnext.disposable"],
  module: "nodenext",
  moduleResolution: "nodenext",
  strict: true,
  skipLibCheck: false,
  types: [],
};

const APP = `
import { App } from "aws-cdk-lib";
import { PolicyStatement } from "aws-cdk-lib/aws-iam";
import { type DbtProject, StepwatchStack, type StepwatchSettings } from "stepwatch";

const settings: StepwatchSettings = {
  stackName: "shop-dbt",
  projects: {
    shop: {
      projectDir: "shop",
      dbt: { packages: ["dbt-core==1.11.16", "dbt-postgres==1.11.0"] },
      secrets: { DBT_ENV_SECRET_PASSWORD: "warehouse:password" },
      schedule: "cron(0 3 * * ? *)",
    },
  },
};
const stack = await StepwatchStack.fromConfig(new App(), settings, {
  stack: { env: { account: "123456789012", region: "eu-central-1" }, terminationProtection: true },
});
const shop: DbtProject = stack.project("shop");
shop.taskRole.addToPrincipalPolicy(new PolicyStatement({ actions: ["s3:GetObject"], resources: ["arn:aws:s3:::lake/Landing/*"] }));
// @ts-expect-error a setting that does not exist is an error of the compiler
const wrong: StepwatchSettings = { projects: { shop: { projectDirectory: "shop" } } };
void wrong;
`;
