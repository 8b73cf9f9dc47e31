import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test, vi } from "vitest";
import { parseConfig } from "#core/config.ts";
import { installDbtPackages } from "../../cli/dbt-packages.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

let folder: string;
beforeEach(() => {
  folder = temporaryFolder("deps");
});

/** A project that wants a package, and a dbt that does this. */
function project(script: string, settings: Record<string, unknown> = {}) {
  const projectDir = join(folder, "shop");
  mkdirSync(projectDir);
  writeFileSync(join(projectDir, "dbt_project.yml"), "name: shop\n");
  writeFileSync(join(projectDir, "packages.yml"), "packages: [{package: a/b, version: 1.0.0}]\n");
  const dbt = join(folder, "dbt");
  writeFileSync(dbt, `#!/bin/sh\necho "$*" >> ${join(folder, "called")}\n${script}\n`);
  chmodSync(dbt, 0o755);
  const { shop } = parseConfig(
    { projects: { shop: { projectDir, ...settings } } },
    folder,
    (_from, path) => path,
  ).projects;
  const said: string[] = [];
  const install = () =>
    installDbtPackages(shop!, dbt, {
      stateDir: join(folder, "state"),
      environment: process.env,
      signal: new AbortController().signal,
      onProgress: (line) => said.push(line),
    });
  return { projectDir, install, said, calls: () => readFileSync(join(folder, "called"), "utf8").trim().split("\n") };
}

test("packages that are listed and not installed are installed by the project's own dbt, once", async () => {
  const { projectDir, install, said, calls } = project("mkdir -p dbt_packages/b");
  await Promise.all([install(), install()]);
  expect(calls()).toEqual([`deps --project-dir ${projectDir} --profiles-dir ${projectDir}`]);
  expect(said).toEqual(["Installing the dbt packages of shop (dbt deps) …"]);
});

test("without a network one sentence names the command, no half of them counts as installed, and the deploy goes on", async () => {
  const { projectDir, install, said } = project("mkdir dbt_packages; exit 2");
  await install();
  expect(said).toHaveLength(2);
  expect(said[1]).toMatch(
    /^The dbt packages of shop were not installed .*Before a run of it: \/.*\/bin\/dbt deps --project-dir /,
  );
  expect(existsSync(join(projectDir, "dbt_packages"))).toBe(false);
});

test("D17: dbt deps has the build secrets here as in the image's build", async () => {
  writeFileSync(join(folder, "index"), "https://x:y@example.com\n");
  vi.stubEnv("GIT_TOKEN", "planted");
  const buildSecrets = { DBT_ENV_SECRET_GIT: "GIT_TOKEN", PIP_INDEX_URL: join(folder, "index"), NONE: "NOT_SET" };
  const script = `echo "$DBT_ENV_SECRET_GIT $PIP_INDEX_URL \${NONE-unset}" > ${join(folder, "had")}; mkdir -p dbt_packages/b`;
  await project(script, { image: { buildSecrets } }).install();
  vi.unstubAllEnvs();
  expect(readFileSync(join(folder, "had"), "utf8")).toBe("planted https://x:y@example.com unset\n");
});
