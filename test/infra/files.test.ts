import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { InputError } from "#core/errors.ts";
import { assembleImageContext, refuseMissing } from "../../infra/image-context.ts";
import { loadConfig } from "../../infra/load-config.ts";
import { localImageConfig, localImageHash, localImageReference, pinRunner } from "../../infra/local-image.ts";

const ROOT = dirname(dirname(import.meta.dirname));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stepwatch-infra-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(path: string, text = ""): string {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

const YAML = "projects:\n  shop:\n    projectDir: dbt\n";

/** A dbt project, a runner and a stepwatch.yaml in a folder of their own. */
function project() {
  for (const file of ["dbt/dbt_project.yml", "dbt/profiles.yml", "dbt/models/a.sql"]) write(file);
  return {
    runnerFile: write("runner.mjs", "// runner 1"),
    shop: loadConfig(write("stepwatch.yaml", YAML)).projects.shop!,
  };
}

describe("stepwatch.yaml as a file", () => {
  test("paths start at the file's folder", () => {
    expect(loadConfig(write("stepwatch.yaml", YAML)).projects.shop!.projectDir).toBe(join(folder, "dbt"));
  });

  test("broken YAML is one sentence with the line", () => {
    const file = write("stepwatch.yaml", "projects:\n  shop: {projectDir: dbt\n  other: x\n");
    expect(() => loadConfig(file)).toThrow(/^.*stepwatch\.yaml is no YAML: line [23], column \d+: .+$/);
  });

  test.each([
    ["an alias without its anchor", "projects: *all\n", /is no YAML: .*alias.*all/],
    [
      "a second document",
      `${YAML}---\n${YAML}`,
      /is no YAML: line 4, column 1: a second document begins here; one is read\.$/,
    ],
  ])("%s is one sentence", (_what, text, words) => {
    const file = write("stepwatch.yaml", text);
    expect(() => loadConfig(file)).toThrow(InputError);
    expect(() => loadConfig(file)).toThrow(words);
  });

  test("a folder says so", () => {
    expect(() => loadConfig(folder)).toThrow("can not be read: it is a folder: name the file in it by --config.");
  });

  test("a file that is not there says so", () => {
    expect(() => loadConfig(join(folder, "absent.yaml"))).toThrow(
      "absent.yaml can not be read: it does not exist: write one, or name another by --config.",
    );
  });

  test("the project's own stepwatch.yaml holds", () => {
    const config = loadConfig(join(ROOT, "stepwatch.yaml"));
    expect(config.projects.jaffle_shop).toMatchObject({
      target: "duckdb",
      executionQueue: { maxTasks: 1 },
      projectDir: join(ROOT, "examples/jaffle-shop"),
    });
  });
});

test("the app ends with one sentence and a code of its own when the config is wrong", () => {
  const { status, stderr, stdout } = spawnSync(process.execPath, [join(ROOT, "infra/app.ts")], {
    encoding: "utf8",
    env: { ...process.env, CDK_CONTEXT_JSON: JSON.stringify({ config: join(folder, "absent.yaml") }) },
  });
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  expect(stderr.trim().split("\n")).toEqual([expect.stringContaining("absent.yaml can not be read")]);
});

describe("the image on AWS", () => {
  test("is built from the runner, the dbt project and its profiles, without what dbt and Python left behind", () => {
    const { shop, runnerFile } = project();
    for (const file of [
      "dbt/target/manifest.json",
      "dbt/logs/dbt.log",
      "dbt/shop.duckdb",
      "dbt/.env",
      "dbt/models/__pycache__/x.pyc",
    ])
      write(file);
    for (const file of ["dbt/dbt_packages/utils/dbt_project.yml", "containers/dbt-runner/Dockerfile"]) write(file);
    const context = assembleImageContext(folder, shop, runnerFile).folder;
    const has = (path: string) => existsSync(join(context, path));
    expect(
      [
        "Dockerfile",
        "runner.mjs",
        "project/dbt_project.yml",
        "project/models/a.sql",
        "project/dbt_packages/utils/dbt_project.yml",
        "profiles/profiles.yml",
      ].filter((path) => !has(path)),
    ).toEqual([]);
    expect(
      ["project/target", "project/logs", "project/shop.duckdb", "project/.env", "project/models/__pycache__"].filter(
        has,
      ),
    ).toEqual([]);
  });

  test("a project without dbt_project.yml or profiles.yml is refused by name and path", () => {
    const { shop } = project();
    rmSync(join(folder, "dbt/profiles.yml"));
    expect(() => refuseMissing(shop)).toThrow(
      `projects.shop.profilesDir = "${join(folder, "dbt")}": there is no profiles.yml.`,
    );
  });
});

describe("the image on the embedded AWS", () => {
  test("its reference changes with the runner, the packages and the folders, and with nothing else", () => {
    const { shop, runnerFile } = project();
    const hash = localImageHash(shop, runnerFile);
    expect(localImageReference("Shop", hash)).toMatch(/^stepwatch-local\/shop@sha256:[0-9a-f]{64}$/);
    expect(localImageHash({ ...shop, threads: 8 }, runnerFile)).toBe(hash);
    const others = [
      localImageHash({ ...shop, dbt: { packages: ["dbt-core==1.10.23"] } }, runnerFile),
      localImageHash({ ...shop, projectDir: "/elsewhere" }, runnerFile),
      localImageHash({ ...shop, name: "other" }, runnerFile),
      localImageHash(shop, write("runner.mjs", "// runner 2")),
    ];
    expect(new Set([hash, ...others]).size).toBe(5);
  });

  test("its config has what the Dockerfile sets on AWS", () => {
    const { shop, runnerFile } = project();
    const image = localImageConfig({
      project: shop,
      dbtExecutable: "/venv/bin/dbt",
      runnerFile,
      nodeExecutable: "/node",
      workDir: "/work-dir",
    });
    expect(image).toMatchObject({
      Entrypoint: ["/node", "--max-semi-space-size=2", "--heap-growing-percent=30", runnerFile],
      Env: {
        STEPWATCH_DBT_EXECUTABLE: "/venv/bin/dbt",
        STEPWATCH_DBT_PROJECT_DIR: shop.projectDir,
        STEPWATCH_DBT_PROFILES_DIR: shop.projectDir,
        STEPWATCH_WORK_DIR: "/work-dir",
      },
      WorkingDir: shop.projectDir,
    });
    expect(image.Env.PATH).toMatch(/^\/venv\/bin:/);
    const dockerfile = readFileSync(join(ROOT, "containers/dbt-runner/Dockerfile"), "utf8");
    for (const name of Object.keys(image.Env)) expect(dockerfile).toContain(name);
    const flags = image.Entrypoint.slice(1, -1);
    expect(dockerfile).toContain(`ENTRYPOINT ["node", ${flags.map((flag) => JSON.stringify(flag)).join(", ")}, `);
    expect(dockerfile).toContain(`RUN node ${flags.join(" ")} /stepwatch/runner.mjs`);
  });

  test("D14: a runner that was pinned is not changed by the next bundle", () => {
    const { runnerFile } = project();
    const first = pinRunner(join(folder, "runners"), runnerFile);
    expect(pinRunner(join(folder, "runners"), runnerFile)).toBe(first);
    write("runner.mjs", "// runner 2");
    const second = pinRunner(join(folder, "runners"), runnerFile);
    expect(second).not.toBe(first);
    expect(readFileSync(first, "utf8")).toBe("// runner 1");
  });
});
