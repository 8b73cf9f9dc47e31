import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseConfig } from "#core/config.ts";
import { lockSharing } from "../../infra/lock-sharing.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

/** A dbt project whose profile's target is `prod`, once as itself and once by a link. */
function folders(): { folder: string; link: string; other: string } {
  const root = temporaryFolder("lock-sharing");
  const [folder, link, other] = [join(root, "shop"), join(root, "link"), join(root, "other")];
  for (const one of [folder, other]) {
    mkdirSync(one);
    writeFileSync(join(one, "dbt_project.yml"), "name: shop\nprofile: shop\n");
    writeFileSync(
      join(one, "profiles.yml"),
      "shop:\n  target: prod\n  outputs: {prod: {type: duckdb}, dev: {type: duckdb}}\n",
    );
  }
  symlinkSync(folder, link);
  return { folder, link, other };
}

const sharingOf = (projects: Record<string, Record<string, unknown>>) =>
  Object.fromEntries(lockSharing(Object.values(parseConfig({ projects }, "/", (_, path) => path).projects)));

test("G29: entries of one dbt project's folder, by whatever path, have their locks in one place; another folder has its own", () => {
  const { folder, link, other } = folders();
  const entries = {
    nightly: { projectDir: folder },
    hourly: { projectDir: link, target: "dev" },
    other: { projectDir: other },
  };
  expect(sharingOf(entries)).toEqual({
    nightly: { lockProject: "hourly", defaultTarget: "prod" },
    hourly: { lockProject: "hourly", defaultTarget: "prod" },
    other: { lockProject: "other", defaultTarget: "prod" },
  });
});

test("G29: entries of several profiles share one lock: a run of one may name the other's", () => {
  const { folder } = folders();
  writeFileSync(join(folder, "profiles.yml"), "shop: {target: prod}\nother: {target: prod}\n");
  const targets = (profile: string) =>
    Object.values(sharingOf({ a: { projectDir: folder }, b: { projectDir: folder, build: { profile } } }));
  expect(targets("other").map((one) => one.defaultTarget)).toEqual([null, null]);
  expect(targets("shop").map((one) => one.defaultTarget)).toEqual(["prod", "prod"]);
});

test("G29: where the target of one entry is known to dbt alone, all of them share one lock", () => {
  const { folder } = folders();
  const entries = { a: { projectDir: folder }, b: { projectDir: folder, environment: { DBT_TARGET: "prod" } } };
  expect(Object.values(sharingOf(entries)).map((one) => one.defaultTarget)).toEqual([null, null]);
});
