import { execFile } from "node:child_process";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { assembleImageContext } from "../../infra/image-context.ts";
import { loadConfig } from "../../infra/load-config.ts";
import { copyFieldCase } from "../support/field-cases.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { dbtBin } from "../support/warehouse.ts";

const ROOT = join(import.meta.dirname, "../..");

/** The real dbt is the second judge of a copy: what it lists in the project it lists in the image. */
async function listed(projectDir: string, environment: Readonly<Record<string, string>>): Promise<string[]> {
  const args = ["--quiet", "ls", "--project-dir", projectDir, "--profiles-dir", projectDir, "--output", "path"];
  const { stdout } = await promisify(execFile)(join(await dbtBin(), "dbt"), args, {
    env: { ...process.env, ...environment },
  });
  return stdout.trim().split("\n").sort();
}

test("D16: dbt lists the same in the image as in the project, models called like its output among them", async () => {
  const folder = temporaryFolder("image-ls");
  const { projectDir, environment } = copyFieldCase(folder, "folders_named_like_output");
  for (const [path, text] of [
    ["seeds/logs/s.csv", "n\n1\n"],
    ["models/venv/v.sql", "select * from {{ ref('s') }}"],
    ["tests/target/t.sql", "select 1 as n where false"],
    ["macros/dbt_packages/m.sql", "{% macro unused() %}{% endmacro %}"],
    ["target/compiled/old.sql", "select 1"],
  ] as const) {
    mkdirSync(join(projectDir, path, ".."), { recursive: true });
    writeFileSync(join(projectDir, path), text);
  }
  cpSync(join(ROOT, "containers/dbt-runner/Dockerfile"), join(folder, "containers/dbt-runner/Dockerfile"));
  writeFileSync(join(folder, "runner.mjs"), "");
  const yaml = join(folder, "stepwatch.yaml");
  writeFileSync(yaml, "projects:\n  shop:\n    projectDir: folders_named_like_output\n");
  const context = assembleImageContext(folder, loadConfig(yaml).projects.shop!, join(folder, "runner.mjs"));
  const inImage = await listed(join(context.folder, "project"), environment);
  expect(inImage).toEqual(await listed(projectDir, environment));
  expect(inImage).toHaveLength(7);
});
