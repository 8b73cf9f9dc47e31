import { execFileSync } from "node:child_process";
import { existsSync, globSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeEach, describe, expect, test, vi } from "vitest";
import type { ProjectConfig } from "#core/config.ts";
import { assembleImageContext } from "../../infra/image-context.ts";
import { loadConfig } from "../../infra/load-config.ts";
import { missingSourceFiles } from "../../infra/source-files.ts";
import { copyFieldCase } from "../support/field-cases.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

let folder: string;
beforeEach(() => {
  folder = temporaryFolder("image");
});

function write(path: string, text = "select 1 as n"): string {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

/** A dbt project of these files; dbt_project.yml is empty unless it is told. */
function project(files: Readonly<Record<string, string>> | readonly string[], settings = ""): ProjectConfig {
  write("dbt/dbt_project.yml", settings);
  write("dbt/profiles.yml", "shop: {}\n");
  const given = Array.isArray(files)
    ? files.map((path): [string, undefined] => [path, undefined])
    : Object.entries(files);
  for (const [path, text] of given) write(`dbt/${path}`, text);
  return loadConfig(write("stepwatch.yaml", "projects:\n  shop:\n    projectDir: dbt\n")).projects.shop!;
}

function assemble(config: ProjectConfig) {
  write("containers/dbt-runner/Dockerfile", "FROM scratch\n");
  const context = assembleImageContext(folder, config, write("runner.mjs", "// runner\n"));
  const inImage = (path: string) => existsSync(join(context.folder, path));
  return {
    ...context,
    inImage,
    lacks: (paths: readonly string[]) => paths.filter((path) => !inImage(`project/${path}`)),
  };
}

const filesOf = (where: string) =>
  globSync("**/*", { cwd: where, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(where.length + 1))
    .sort();

describe("what dbt reads is in the image", () => {
  test("D16: the field case: models in folders that are called like dbt's output", () => {
    const { projectDir } = copyFieldCase(folder, "folders_named_like_output");
    const yaml = write("stepwatch.yaml", "projects:\n  shop:\n    projectDir: folders_named_like_output\n");
    const context = assemble(loadConfig(yaml).projects.shop!);
    expect(filesOf(join(context.folder, "project"))).toEqual(filesOf(projectDir));
    expect(filesOf(projectDir).filter((file) => file.endsWith(".sql"))).toHaveLength(4);
  });

  test("D16: no file is lost by its folder's name, below any path of dbt and beside them", () => {
    const names = ["target", "logs", "venv", ".venv", "env", "node_modules", "dbt_packages", "build", "dist", ".git"];
    const files = [
      ...[
        "models",
        "models/marts",
        "seeds",
        "snapshots",
        "tests",
        "macros",
        "analyses",
        "dbt_packages/utils/models",
      ].flatMap((path) => names.map((name) => `${path}/${name}/x.sql`)),
      ...["venv/x.sql", ".venv/x.sql", "node_modules/x.sql", "docs/target/x.md", "docs/logs/x.md"],
      ...["models/credentials.yml", "models/.env/x.sql", "models/.aws/x.sql", "seeds/credentials/credentials.csv"],
      ...[".gitignore", ".dockerignore", ".dbtignore", "packages.yml", "package-lock.yml", "selectors.yml"],
    ];
    expect(assemble(project(files)).lacks(files)).toEqual([]);
  });

  test("D16: what is ignored and dbt reads travels: installed packages, generated seeds and models, a lock file", () => {
    const read = {
      "seeds/a.csv": "n\n1\n",
      "models/made/m.sql": "",
      "package-lock.yml": "",
      "dbt_packages/u/dbt_project.yml": "",
      "dbt_packages/u/data/any.json": "",
      "local/p/dbt_project.yml": "",
      "local/p/macros/any.txt": "",
    };
    const config = project({
      ...read,
      ".gitignore": "dbt_packages/\nseeds/\nmade\npackage-lock.yml\nlocal\n",
      ".dockerignore": "*\n!.*ignore\n",
      "packages.yml": "packages: [{local: local/p}]",
    });
    const { lacks, notes } = assemble(config);
    expect({ lacks: lacks(Object.keys(read)), notes }).toEqual({ lacks: [], notes: [] });
  });

  test("D16: .gitignore and .dockerignore hold for all that dbt does not read, and the deploy says so", () => {
    const left = [
      "data/big.parquet",
      "notes.txt",
      "models/draft.ipynb",
      "docs/plan.md",
      "scratch/x.sql",
      "tools/a.log",
    ];
    const kept = ["data/small.json", "tools/keep.log", "models/a.sql", "README.md", "scratch.sql"];
    const config = project({
      ...Object.fromEntries([...left, ...kept].map((path) => [path, "x"])),
      ".gitignore": "*.parquet\n/notes.txt\n*.ipynb\nscratch/\n*.log\n",
      "tools/.gitignore": "!keep.log\n",
      ".dockerignore": "# not for images\ndocs\n!docs/kept\n",
    });
    const { lacks, notes } = assemble(config);
    expect({ lacks: lacks(left), kept: lacks(kept) }).toEqual({ lacks: left, kept: [] });
    expect(notes).toEqual([
      `Not in the image of shop, as .gitignore or .dockerignore say: ${["data/big.parquet", "docs/plan.md", "models/draft.ipynb"].map((path) => join(folder, "dbt", path)).join(", ")} and 3 more.`,
    ]);
  });

  test("D16: a repository's ignore files hold down to the project, and what git tracks is not ignored", () => {
    const git = (...args: string[]) => execFileSync("git", args, { cwd: folder, stdio: "ignore" });
    git("init", "--quiet");
    write(".gitignore", "*.json\n/dbt/out/\n");
    const config = project(["a.json", "forced.json", "out/x.txt", "deep/out/x.txt"]);
    git("add", "--force", "dbt/forced.json");
    const { lacks } = assemble(config);
    expect(lacks(["a.json", "forced.json", "out/x.txt", "deep/out/x.txt"])).toEqual(["a.json", "out/x.txt"]);
  });

  test("D16: folders beside the project that dbt reads for it lie beside it in the image too", () => {
    const config = project(["models/a.sql"], "model-paths: [models, ../shared/models]\nseed-paths: ['../gone']\n");
    for (const path of ["shared/models/target/b.sql", "shared/models/c.yml", "shared/other.txt"]) write(path);
    write("shared/.gitignore", "target/\n");
    const { inImage } = assemble(config);
    const at = "beside/stepwatch/shared";
    expect(["models/target/b.sql", "models/c.yml", "other.txt"].map((path) => inImage(`${at}/${path}`))).toEqual([
      true,
      true,
      false,
    ]);
  });

  test.each([
    ["target-path: build\nmodel-paths: [build/models]", ["build/models/a.sql"], ["build/manifest.json"]],
    ["model-paths: [target]\ntarget-path: out", ["target/a.sql"], ["out/manifest.json"]],
    ["model-paths: [target]", ["target/a.sql"], ["logs/dbt.log"]],
    ["model-paths: ['.']", ["a.sql", "marts/target/b.sql"], ["target/compiled/a.sql"]],
    ["model-paths: [venv/models]", ["venv/models/a.sql"], ["venv/pyvenv.cfg", "venv/lib/x.sql"]],
    ["target-path: \"{{ env_var('NOT_SET_HERE', 'out') }}\"\nlog-path: said", ["models/a.sql"], ["out/x", "said/x"]],
    ["clean-targets: [target, models]", ["models/a.sql"], ["target/manifest.json"]],
    ["seed-paths: logs\nlog-path: logs/dbt", ["logs/a.csv"], ["logs/dbt/dbt.log"]],
  ])("D16: dbt's output is left out at its real place, never a path within it: %s", (settings, kept, left) => {
    const { lacks } = assemble(project([...kept, ...left], settings));
    expect(lacks(kept)).toEqual([]);
    expect(lacks(left)).toEqual(left);
  });

  test("D16: dbt's own variables name its output folders too", () => {
    vi.stubEnv("DBT_TARGET_PATH", "made");
    const { lacks } = assemble(project(["made/manifest.json", "models/made/a.sql"]));
    vi.unstubAllEnvs();
    expect(lacks(["made/manifest.json", "models/made/a.sql"])).toEqual(["made/manifest.json"]);
  });

  test("D16: a virtual environment is known by its pyvenv.cfg, whatever it is called", () => {
    const config = project([
      "py/pyvenv.cfg",
      "py/lib/x.sql",
      "node_modules/.package-lock.json",
      "node_modules/a/x.md",
      "models/a.sql",
    ]);
    expect(assemble(config).lacks(["py", "node_modules", "models/a.sql"])).toEqual(["py", "node_modules"]);
  });

  test("D16: links travel as what they lead to, and a circle of them ends", () => {
    const config = project(["models/a.sql"]);
    write("elsewhere/b.sql");
    symlinkSync(join(folder, "elsewhere"), join(folder, "dbt/models/linked"));
    symlinkSync(join(folder, "elsewhere/b.sql"), join(folder, "dbt/models/c.sql"));
    symlinkSync("..", join(folder, "dbt/models/circle"));
    symlinkSync("nowhere.sql", join(folder, "dbt/models/gone.sql"));
    expect(assemble(config).lacks(["models/linked/b.sql", "models/c.sql"])).toEqual([]);
  });

  test("D16: local packages lie in the image where packages.yml looks for them", () => {
    const config = project({
      "packages.yml": "packages:\n  - local: ../shared\n  - local: packages/in\n",
      "packages/in/target/x.sql": "",
    });
    for (const path of ["shared/dbt_project.yml", "shared/models/logs/s.sql", "shared/target/x"]) write(path, "");
    const { inImage } = assemble(config);
    const at = "beside/stepwatch/shared";
    const kept = [`${at}/dbt_project.yml`, `${at}/models/logs/s.sql`, "project/packages/in/target/x.sql"];
    expect(kept.filter((path) => !inImage(path))).toEqual([]);
    expect(inImage(`${at}/target/x`)).toBe(false);
  });

  test("D16: a local package of a local package travels too, from where dbt looks for it: the project's folder", () => {
    const config = project({ "packages.yml": "packages: [{local: ../one}]" });
    write("one/packages.yml", "packages: [{local: ../two}, {local: ../nowhere}]");
    write("two/packages.yml", "packages: [{local: ../one}]");
    for (const name of ["one", "two"]) write(`${name}/dbt_project.yml`, `name: ${name}`);
    const { inImage } = assemble(config);
    expect(["one", "two"].map((name) => inImage(`beside/stepwatch/${name}/dbt_project.yml`))).toEqual([true, true]);
  });

  test("D16: a project that tests the package around it: the package travels once, without the project in it", () => {
    write("dbt_project.yml", "");
    write("models/p.sql");
    const config = project({ "packages.yml": "packages: [{local: ../}]", "models/a.sql": "" });
    mkdirSync(join(folder, "dbt/dbt_packages"));
    symlinkSync("../..", join(folder, "dbt/dbt_packages/around"));
    const { inImage } = assemble(config);
    const paths = ["project/dbt_packages/around/models/p.sql", "beside/stepwatch/models/p.sql", "beside/stepwatch/dbt"];
    expect(paths.map(inImage)).toEqual([true, true, false]);
  });

  test("D16: a local package that is not there is one sentence", () => {
    expect(() => assemble(project({ "packages.yml": "packages: [{local: ../gone}]" }))).toThrow(
      `projects.shop: the local package ../gone is not there: ${join(folder, "gone")} has no dbt_project.yml.`,
    );
  });

  test("D16: a model that is not in the copy is named: the second look knows nothing of the first", () => {
    const config = project(["models/a.sql", "seeds/logs/b.csv", "models/c/schema.yml"]);
    const context = assemble(config);
    expect(missingSourceFiles(config.projectDir, join(context.folder, "project"))).toEqual([]);
    for (const path of ["models/a.sql", "seeds/logs", "models/c"])
      rmSync(join(context.folder, "project", path), { recursive: true });
    expect(missingSourceFiles(config.projectDir, join(context.folder, "project"))).toEqual([
      "models/a.sql",
      "models/c/schema.yml",
      "seeds/logs/b.csv",
    ]);
  });

  test("D16: an environment in model-paths [.] that dbt would read refuses the deploy", () => {
    const config = project(["a.sql", "py/pyvenv.cfg", "py/macro.sql"], "model-paths: ['.']");
    expect(() => assemble(config)).toThrow(/these files here, and they are not in the image: .*py\/macro\.sql\.$/);
  });
});

describe("keys never are", () => {
  const PRIVATE = "-----BEGIN RSA PRIVATE KEY-----\nx\n";
  const KEYS = {
    ".env": "A=1",
    ".env.prod": "A=1",
    "conf/prod.env": "A=1",
    ".envrc": "export A=1",
    id_rsa: "x",
    "keys/a.pem": PRIVATE,
    "keys/b.pem": "x",
    "keys/c.p12": "x",
    "keys/d.pfx": "x",
    "keys/e.key": "x",
    "keys/f.p8": PRIVATE,
    "keys/no_ending": PRIVATE,
    ".aws/config": "x",
    ".ssh/config": "x",
    ".netrc": "x",
    credentials: "x",
    "sa/prod-123.json": '{"type": "service_account", "private_key": "x"}',
    "models/service.json": '{"type" : "service_account"}',
    "dbt_cloud.yml": "token: x",
  };

  test("D16: by name or by what stands in them, and the deploy names each", () => {
    const { lacks, warnings } = assemble(project(KEYS));
    expect(lacks(Object.keys(KEYS))).toEqual(Object.keys(KEYS));
    expect(warnings).toHaveLength(1);
    expect(Object.keys(KEYS).filter((path) => !warnings[0]!.includes(join(folder, "dbt", path)))).toEqual([]);
  });

  test("D16: a certificate is no key, nor is data in JSON", () => {
    const files = { "ca.pem": "-----BEGIN CERTIFICATE-----\nx\n", "seeds/types.json": '{"type": "city"}' };
    const { lacks, warnings } = assemble(project(files));
    expect({ lacks: lacks(Object.keys(files)), warnings }).toEqual({ lacks: [], warnings: [] });
  });

  test("D16: a link to a key is one", () => {
    const config = project([]);
    symlinkSync(write("home/id_rsa", "x"), join(folder, "dbt/harmless.txt"));
    expect(assemble(config).lacks(["harmless.txt"])).toEqual(["harmless.txt"]);
  });

  test("D16: a file that profiles.yml names and that lies elsewhere is said at deploy", () => {
    const config = project({ "ca.pem": "-----BEGIN CERTIFICATE-----\nx\n", "dbt_project.yml": "profile: shop" });
    const outside = write("home/rsa_key.p8", "x");
    const output = { type: "snowflake", private_key_path: outside, sslrootcert: "ca.pem", sslcert: "/not/here.pem" };
    write("dbt/dbt_project.yml", "profile: shop");
    write("dbt/profiles.yml", JSON.stringify({ shop: { target: "prod", outputs: { prod: output } } }));
    expect(assemble(config).warnings).toEqual([
      expect.stringContaining(`shop: profiles.yml names ${outside}, which is not in the image`),
    ]);
  });

  test("D16: one that profiles.yml names refuses the deploy: dbt could not connect without it", () => {
    const config = project({ "keys/sa.json": '{"type": "service_account"}' });
    write("dbt/profiles.yml", "shop:\n  outputs:\n    prod: {keyfile: keys/sa.json}\n");
    expect(() => assemble(config)).toThrow(/profiles\.yml names .*keys\/sa\.json, a key, and keys never travel/);
  });
});
