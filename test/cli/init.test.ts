import { existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { loadConfig } from "../../infra/load-config.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { stepwatch } from "./fake-context.ts";

let folder: string;
beforeEach(() => {
  folder = realpathSync(temporaryFolder("init"));
});

function write(files: Record<string, string>): void {
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  }
}

const read = (file: string) => readFileSync(join(folder, file), "utf8");

const init = async (words: readonly string[] = [], environment: Record<string, string> = {}, cwd = folder) => {
  const outside = { cwd, environment: { HOME: join(folder, "home"), PATH: "", ...environment } };
  const { exitCode, stdout: out, stderr: err } = await stepwatch(["init", ...words], outside);
  return { exitCode, out, err };
};

const dbtProject = (name: string, profile = name) => `name: ${name}\nprofile: ${profile}\nversion: "1.0"\n`;
const profiles = (profile: string, type: string, target = "prod") =>
  `${profile}:\n  target: ${target}\n  outputs:\n    ${target}: {type: ${type}, threads: 4}\n`;

describe("init", () => {
  test("in a dbt project: settings, a CDK app and .gitignore, and the next command", async () => {
    write({
      "dbt_project.yml": dbtProject("shop"),
      "profiles.yml": profiles("shop", "snowflake"),
      "uv.lock":
        '[[package]]\nname = "dbt-core"\nversion = "1.9.4"\n\n[[package]]\nname = "dbt-snowflake"\nversion = "1.9.2"\n',
      ".gitignore": "/cdk.out\ntarget/",
    });
    const { exitCode, out } = await init();
    expect(exitCode).toBe(0);
    const { shop } = loadConfig(join(folder, "stepwatch.yaml")).projects;
    expect(shop).toMatchObject({
      projectDir: folder,
      profilesDir: folder,
      target: "prod",
      dbt: { packages: ["dbt-core==1.9.4", "dbt-snowflake==1.9.2"] },
    });
    expect(read("stepwatch.yaml")).toMatch(/^# yaml-language-server: \$schema=.*stepwatch\.schema\.json\n/);
    expect(read(".gitignore")).toBe("/cdk.out\ntarget/\nnode_modules/\n.stepwatch/\n");
    expect(JSON.parse(read("cdk.json")).app).toBe("node stepwatch-app.mjs");
    expect(read("stepwatch-app.mjs").trim().split("\n").length).toBeLessThanOrEqual(10);
    expect(out).toContain("uv.lock");
    expect(out).toContain("npx stepwatch deploy --local");
  });

  test("beside several dbt projects: each has an entry, packages and environments are none of them", async () => {
    write({
      "data/shop/dbt_project.yml": dbtProject("shop"),
      "data/shop/profiles.yml": profiles("shop", "duckdb"),
      "data/shop/dbt_packages/utils/dbt_project.yml": dbtProject("utils"),
      "data/shop/integration_tests/dbt_project.yml": dbtProject("tests"),
      "old/shop/dbt_project.yml": dbtProject("shop", "other"),
      "home/.dbt/profiles.yml": profiles("other", "postgres", "dev"),
      ".venv/lib/dbt_project.yml": dbtProject("template"),
      "tools/env/pyvenv.cfg": "",
      "tools/env/starter/dbt_project.yml": dbtProject("starter"),
    });
    const { exitCode, out } = await init(["--json"]);
    expect(exitCode).toBe(0);
    const { projects } = loadConfig(join(folder, "stepwatch.yaml"));
    expect(Object.keys(projects)).toEqual(["shop", "shop_shop"]);
    expect(projects.shop_shop).toMatchObject({ target: "dev", profilesDir: join(folder, "home", ".dbt") });
    expect(projects.shop_shop?.dbt.packages).toEqual(["dbt-core==1.11.16", "dbt-postgres==1.11.0"]);
    expect(JSON.parse(out)).toMatchObject({ contract: 1, projects: [{ name: "shop", packagesFrom: null }, {}] });
  });

  test("nothing that is there is overwritten, and a second time changes nothing", async () => {
    write({ "dbt_project.yml": dbtProject("shop"), "profiles.yml": profiles("shop", "duckdb") });
    write({ "cdk.json": '{"app": "python3 app.py"}', "stepwatch.yaml": "projects: {mine: {projectDir: .}}\n" });
    const { exitCode, out } = await init();
    expect(exitCode).toBe(0);
    expect(read("cdk.json")).toBe('{"app": "python3 app.py"}');
    expect(read("stepwatch.yaml")).toBe("projects: {mine: {projectDir: .}}\n");
    expect(existsSync(join(folder, "stepwatch-app.mjs"))).toBe(false);
    expect(out).toContain("is left as it is");
    const ignored = read(".gitignore");
    await init();
    expect(read(".gitignore")).toBe(ignored);
  });

  test("says which variables the containers will lack", async () => {
    const output = "{type: postgres, password: \"{{ env_var('DBT_ENV_SECRET_PASSWORD') }}\"}";
    write({
      "dbt_project.yml": dbtProject("shop"),
      "profiles.yml": `shop:\n  target: "{{ env_var('STAGE', 'dev') }}"\n  outputs:\n    dev: ${output}\n    prod: ${output}\n`,
    });
    const { out } = await init();
    expect(out).toContain("DBT_ENV_SECRET_PASSWORD");
    expect(out).toContain("target dev (postgres)");
  });
});

describe("the dbt of a project", () => {
  const packagesOf = async (files: Record<string, string>, environment: Record<string, string> = {}) => {
    write({ "dbt_project.yml": dbtProject("shop"), "profiles.yml": profiles("shop", "redshift"), ...files });
    const { out } = await init(["--json"], environment);
    return JSON.parse(out).projects[0].packages;
  };

  test.each([
    [
      "requirements.txt",
      {
        "requirements.txt":
          "# dbt\ndbt_core ~= 1.10.2  # ours\ndbt-redshift[x]==1.10.1 ; python_version > '3.9'\nboto3==1\n",
      },
      ["dbt-core~=1.10.2", "dbt-redshift==1.10.1"],
    ],
    [
      "hashes",
      { "requirements.txt": "dbt-core==1.10.2 \\\n    --hash=sha256:00\ndbt-redshift==1.10.1 --hash=sha256:00\n" },
      ["dbt-core==1.10.2", "dbt-redshift==1.10.1"],
    ],
    [
      "pyproject.toml",
      { "pyproject.toml": '[project]\ndependencies = ["dbt-core>=1.9,<1.11", "dbt-redshift~=1.9"]\n' },
      ["dbt-core>=1.9,<1.11", "dbt-redshift~=1.9"],
    ],
    [
      "Poetry's table",
      { "pyproject.toml": '[tool.poetry.dependencies]\ndbt-core = "^1.9.2"\ndbt-redshift = { version = "1.9.1" }\n' },
      ["dbt-core>=1.9.2,<2", "dbt-redshift==1.9.1"],
    ],
    [
      "poetry.lock before pyproject.toml",
      {
        "poetry.lock": '[[package]]\nname = "dbt-core"\nversion = "1.9.9"\ndescription = ""\n',
        "pyproject.toml": '[project]\ndependencies = ["dbt-core>=1.9"]\n',
      },
      ["dbt-core==1.9.9", "dbt-redshift"],
    ],
    [
      "Pipfile.lock",
      { "Pipfile.lock": '{"default": {"dbt-redshift": {"version": "==1.9.5"}}}' },
      ["dbt-core==1.11.16", "dbt-redshift==1.9.5"],
    ],
    [
      "a virtual environment",
      {
        ".venv/lib/python3.12/site-packages/dbt_core-1.10.4.dist-info/METADATA": "",
        ".venv/lib/python3.12/site-packages/dbt_redshift-1.10.0.dist-info/METADATA": "",
      },
      ["dbt-core==1.10.4", "dbt-redshift==1.10.0"],
    ],
    [
      "a dbt that is too old",
      { "requirements.txt": "dbt-core==1.7.4\ndbt-redshift==1.7.1\n" },
      ["dbt-core==1.11.16", "dbt-redshift"],
    ],
  ])("is known from %s", async (_, files, packages) => {
    expect(await packagesOf(files)).toEqual(packages);
  });

  test("is the one on PATH where its repository says nothing, behind whatever links", async () => {
    write({ "tools/bin/dbt": "", "tools/lib/python3.11/site-packages/dbt_core-1.9.1.dist-info/METADATA": "" });
    expect(await packagesOf({}, { PATH: `/nowhere:${join(folder, "tools", "bin")}` })).toEqual([
      "dbt-core==1.9.1",
      "dbt-redshift",
    ]);
  });
});

test.each([
  ["no project", {}, [], "There is no dbt project in"],
  ["a folder that is none", {}, ["elsewhere"], "There is no dbt_project.yml in"],
  ["no profile", { "dbt_project.yml": "name: shop\n" }, [], "names no profile"],
  ["a project file that is no YAML", { "dbt_project.yml": "a: b: c" }, [], "is no YAML mapping"],
  ["no profiles.yml", { "dbt_project.yml": dbtProject("shop") }, [], "There is no profiles.yml in"],
  [
    "a profile of another name",
    { "dbt_project.yml": dbtProject("shop"), "profiles.yml": profiles("other", "x") },
    [],
    "which has other",
  ],
  [
    "no outputs",
    { "dbt_project.yml": dbtProject("shop"), "profiles.yml": "shop: {target: dev}" },
    [],
    "has no outputs",
  ],
  [
    "a target that is not there",
    { "dbt_project.yml": dbtProject("shop"), "profiles.yml": "shop: {target: dev, outputs: {prod: {type: postgres}}}" },
    [],
    "has no target dev; it has prod",
  ],
  [
    "a target without a type",
    { "dbt_project.yml": dbtProject("shop"), "profiles.yml": "shop: {target: dev, outputs: {dev: {host: x}}}" },
    [],
    "has no type",
  ],
  [
    "targets of several kinds by a variable",
    {
      "dbt_project.yml": dbtProject("shop"),
      "profiles.yml": "shop: {target: \"{{ env_var('T') }}\", outputs: {a: {type: duckdb}, b: {type: postgres}}}",
    },
    [],
    "several kinds",
  ],
])("%s is one sentence with what to do, and nothing is written", async (_, files, words, sentence) => {
  write(files);
  const { exitCode, err } = await init(words);
  expect(exitCode).toBe(2);
  expect(err).toContain(sentence);
  expect(err.trim().split("\n")).toHaveLength(2);
  expect(existsSync(join(folder, "stepwatch.yaml"))).toBe(false);
});

test("within a dbt project the command that works is said", async () => {
  write({ "dbt_project.yml": dbtProject("shop"), "models/orders.sql": "" });
  const { exitCode, err } = await init([], {}, join(folder, "models"));
  expect(exitCode).toBe(2);
  expect(err).toContain(`cd ${folder} && npx stepwatch init`);
});
