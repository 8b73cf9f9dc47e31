import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { type DatabasePlace, embeddedDatabase, refuseLostDatabase } from "../../infra/database-place.ts";
import { singleWriter } from "../../infra/early-problem.ts";
import { exampleConfig } from "../support/projects.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { listOf, statementsOf, synthesise } from "./example-stack.ts";

const folder = temporaryFolder("database-place");

const EFS = { fileSystemId: "fs-0a1b2c3d", accessPointId: "fsap-0a1b2c3d" };

let made = 0;

/** A project whose profile has one output. */
function projectOf(output: object, more: Record<string, unknown> = {}) {
  made += 1;
  const projectDir = join(folder, `project-${made}`);
  mkdirSync(projectDir);
  writeFileSync(join(projectDir, "dbt_project.yml"), "name: shop\nprofile: shop\n");
  writeFileSync(join(projectDir, "profiles.yml"), stringify({ shop: { target: "prod", outputs: { prod: output } } }));
  return exampleConfig({}, { projectDir, ...more }).projects.shop!;
}

const duckdb = (path: string | undefined, more: object = {}) => ({
  type: "duckdb",
  ...(path !== undefined && { path }),
  ...more,
});

const attached = (path: string, more: object = {}) =>
  duckdb(":memory:", {
    database: "lake",
    attach: [
      { path: "other.duckdb", alias: "other" },
      { path, alias: "lake", ...more },
    ],
  });

describe("where an embedded database is", () => {
  test.each<[string, object, Record<string, unknown>, DatabasePlace]>([
    ["a file beside the project", duckdb("shop.duckdb"), {}, "task"],
    ["a file anywhere in the task", duckdb("/tmp/shop.duckdb"), {}, "task"],
    ["no path: memory", duckdb(undefined), {}, "task"],
    ["memory", duckdb(":memory:"), {}, "task"],
    ["a file on EFS", duckdb("/mnt/efs/shop.duckdb"), { efs: EFS }, "shared"],
    ["a file that only looks so", duckdb("/mnt/efs-2/shop.duckdb"), { efs: EFS }, "task"],
    ["a file that leaves EFS", duckdb("/mnt/efs/../shop.duckdb"), { efs: EFS }, "task"],
    ["such a path without EFS", duckdb("/mnt/efs/shop.duckdb"), {}, "task"],
    ["MotherDuck", duckdb("md:shop"), {}, "server"],
    ["MotherDuck with a token of the environment", duckdb("md:shop?motherduck_token={{ env_var('T') }}"), {}, "server"],
    ["MotherDuck, spelled out", duckdb("motherduck:shop"), {}, "server"],
    ["DuckLake with a catalog on Postgres", duckdb("ducklake:postgres:dbname=lake host=db"), {}, "server"],
    ["DuckLake on MotherDuck", duckdb("md:lake", { is_ducklake: true }), {}, "server"],
    ["DuckLake with a catalog in the task", duckdb("ducklake:metadata.ducklake"), {}, "task"],
    ["DuckLake with a SQLite catalog in the task", duckdb("ducklake:sqlite:metadata.sqlite"), {}, "task"],
    ["DuckLake with a catalog on EFS", duckdb("ducklake:/mnt/efs/metadata.ducklake"), { efs: EFS }, "shared"],
    ["an attached DuckLake that the models go to", attached("ducklake:postgres:dbname=lake"), {}, "server"],
    ["the same, by its type", attached("postgres:dbname=lake", { type: "ducklake" }), {}, "server"],
    ["an attached Postgres", attached("dbname=shop host=db", { type: "postgres" }), {}, "server"],
    ["an attached file", attached("lake.duckdb"), {}, "task"],
    ["memory with external models in a bucket", duckdb(":memory:", { external_root: "s3://bucket/x" }), {}, "external"],
    ["a file, by a variable's default", duckdb("{{ env_var('DB', 'shop.duckdb') }}"), {}, "task"],
    [
      "a variable of environment",
      duckdb("{{ env_var('DB', 'shop.duckdb') }}"),
      { environment: { DB: "md:shop" } },
      "server",
    ],
    ["a secret", duckdb("{{ env_var('DB') }}"), { secrets: { DB: "warehouse" } }, "unknown"],
    ["a template that only dbt can tell", duckdb("{{ env_var('DB') | trim }}"), {}, "unknown"],
    [
      "DuckDB behind a server of its own",
      duckdb("shop.duckdb", { remote: { host: "h", port: 1, user: "u" } }),
      {},
      "server",
    ],
    ["SQLite", { type: "sqlite", schemas_and_paths: { main: "/mnt/efs/a.db", other: "b.db" } }, { efs: EFS }, "task"],
    ["SQLite on EFS", { type: "sqlite", schemas_and_paths: { main: "/mnt/efs/a.db" } }, { efs: EFS }, "shared"],
  ])("%s", (_, output, more, place) => {
    expect(embeddedDatabase(projectOf(output, more))?.place).toBe(place);
  });

  test("of another warehouse, or of a profile that nobody can read here, nothing is said", () => {
    expect(embeddedDatabase(projectOf({ type: "postgres" }))).toBeNull();
    expect(embeddedDatabase(projectOf(duckdb("x.duckdb"), { environment: { DBT_PROFILE: "x" } }))).toBeNull();
    expect(embeddedDatabase(projectOf(duckdb("x.duckdb"), { target: "dev" }))).toBeNull();
  });
});

test("on AWS a database of the task's own is refused with what to do; any other place is not", () => {
  const refused = () => refuseLostDatabase(projectOf(duckdb("{{ env_var('DB', 'shop.duckdb') }}")));
  expect(refused).toThrow(
    "projects.shop: its duckdb database is the file shop.duckdb, of each task's own: a fallback would start without what the build before it made, and the tables would be gone with the last task. Put the file below efs.mountPath, or use MotherDuck (path md:…), DuckLake with its catalog on a server (ducklake:postgres:…), or another target.",
  );
  expect(() => refuseLostDatabase(projectOf(duckdb(undefined)))).toThrow(
    "its duckdb database is in memory, of each task's own",
  );
  for (const path of ["md:shop", "{{ env_var('DB') }}", "ducklake:postgres:x"])
    refuseLostDatabase(projectOf(duckdb(path)));
  refuseLostDatabase(projectOf(duckdb("/mnt/efs/x.duckdb"), { efs: EFS }));
  refuseLostDatabase(projectOf({ type: "redshift" }));
});

test("MotherDuck takes many writers, a file on EFS takes one", () => {
  expect(singleWriter(projectOf(duckdb("md:shop")))).toBeNull();
  expect(singleWriter(projectOf(duckdb("/mnt/efs/x.duckdb"), { efs: EFS }))).toBe("duckdb");
  expect(singleWriter(projectOf(duckdb("{{ env_var('DB') }}")))).toBe("duckdb");
});

test("the file system is mounted by its access point, encrypted, and the task role may use it through that alone", () => {
  const { template } = synthesise(exampleConfig({}, { efs: EFS }));
  template.allResourcesProperties("AWS::ECS::TaskDefinition", {
    Volumes: [
      {
        Name: "efs",
        EFSVolumeConfiguration: {
          FilesystemId: EFS.fileSystemId,
          TransitEncryption: "ENABLED",
          AuthorizationConfig: { AccessPointId: EFS.accessPointId, IAM: "ENABLED" },
        },
      },
    ],
  });
  const using = statementsOf(template).filter(({ statement }) =>
    listOf(statement.Action).some((action) => action.startsWith("elasticfilesystem:")),
  );
  expect(using.map(({ owner }) => owner)).toEqual([expect.stringMatching(/^ProjectshopTaskRole/)]);
  expect(JSON.stringify(using[0]!.statement.Condition)).toContain(`access-point/${EFS.accessPointId}`);
});
