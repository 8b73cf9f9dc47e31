import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { refuseEarly, singleWriter } from "../../infra/early-problem.ts";
import { exampleConfig } from "../support/projects.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

let folder: string;
beforeEach(() => {
  folder = temporaryFolder("early-problem");
});

const PROFILES = "shop:\n  target: dev\n  outputs:\n    dev: {type: duckdb}\n    prod: {type: snowflake}\n";

/** The project of two files and its entry in stepwatch.yaml. */
function projectOf(entry: Record<string, unknown>, project = "name: shop\nprofile: shop\n", profiles = PROFILES) {
  writeFileSync(join(folder, "profiles.yml"), profiles);
  writeFileSync(join(folder, "dbt_project.yml"), project);
  return exampleConfig({}, { projectDir: folder, target: undefined, ...entry }).projects.shop!;
}
const HOOKED = 'name: shop\nprofile: shop\non-run-end: ["{{ publish() }}"]\n';
const early = (more: Record<string, unknown> = {}) => ({ policy: { recovery: "early", ...more } });

test("G19: recovery: early is refused before anything is deployed where its warehouse takes one writer", () => {
  expect(() => refuseEarly(projectOf(early()))).toThrow(
    'projects.shop.policy.recovery = "early": duckdb takes one writing process at a time, so that nothing can be built beside a build.',
  );
  expect(() => refuseEarly(projectOf({ ...early(), target: "prod" }))).not.toThrow();
  expect(() => refuseEarly(projectOf({ ...early(), target: "prod", build: { target: "dev" } }))).toThrow(/duckdb/);
  expect(() => refuseEarly(projectOf({}))).not.toThrow();
});

test("G19: and where the project's own hooks would run beside its producer", () => {
  const hooked = (more: object) => projectOf({ ...early({ ...more }), target: "prod" }, HOOKED);
  expect(() => refuseEarly(hooked({}))).toThrow(
    /policy\.recovery = "early": dbt_project\.yml has on-run-end hooks, .*policy\.hooks: once or policy\.concurrentHooks: true\.$/m,
  );
  expect(() => refuseEarly(hooked({ hooks: "once" }))).not.toThrow();
  expect(() => refuseEarly(hooked({ concurrentHooks: true }))).not.toThrow();
});

test("G19: what only dbt can tell is left to the plan", () => {
  expect(singleWriter(projectOf({}))).toBe("duckdb");
  expect(singleWriter(projectOf({ environment: { DBT_PROFILE: "other" } }))).toBeNull();
  const chosen = PROFILES.replace("target: dev", "target: \"{{ env_var('WHERE') }}\"");
  expect(singleWriter(projectOf({}, undefined, chosen))).toBeNull();
  expect(singleWriter(projectOf({ target: "dev" }, undefined, chosen))).toBe("duckdb");
  const template = PROFILES.replace("duckdb", "\"{{ env_var('KIND') }}\"");
  expect(singleWriter(projectOf({}, undefined, template))).toBeNull();
  expect(() => refuseEarly(projectOf(early(), "name: shop\nprofile: elsewhere\n"))).not.toThrow();
});
