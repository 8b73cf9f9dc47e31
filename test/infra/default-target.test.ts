import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { defaultTarget } from "../../infra/default-target.ts";
import { exampleConfig } from "../support/projects.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

let folder: string;
beforeEach(() => {
  folder = temporaryFolder("default-target");
});

/** What dbt would build by these two files and the project's entry. */
function targetOf(profiles: string, project = "name: shop\nprofile: shop\n", entry: Record<string, unknown> = {}) {
  writeFileSync(join(folder, "profiles.yml"), profiles);
  writeFileSync(join(folder, "dbt_project.yml"), project);
  return defaultTarget(exampleConfig({}, { projectDir: folder, target: undefined, ...entry }).projects.shop!);
}

test("G10: the profile's target, or dbt's own word where the profile has none", () => {
  expect(targetOf("shop:\n  target: prod\n  outputs: {}\n")).toBe("prod");
  expect(targetOf("shop:\n  outputs: {}\n")).toBe("default");
  expect(targetOf("shop:\n  target: a\nother:\n  target: b\n", undefined, { build: { profile: "other" } })).toBe("b");
});

test.each([
  ["a template as target", "shop:\n  target: \"{{ env_var('TARGET', 'dev') }}\"\n", undefined, {}],
  ["a template as profile", "shop:\n  target: a\n", "profile: \"{{ env_var('P') }}\"\n", {}],
  ["a variable of dbt", "shop:\n  target: a\n", undefined, { environment: { DBT_TARGET: "b" } }],
  ["a variable of newer versions", "shop:\n  target: a\n", undefined, { environment: { DBT_ENGINE_TARGET: "b" } }],
  ["a secret that is one", "shop:\n  target: a\n", undefined, { secrets: { DBT_PROFILE: "name:key" } }],
  ["a profile that is not there", "other:\n  target: a\n", undefined, {}],
  ["a file that is no YAML", "shop: [\n", undefined, {}],
  ["a target that is no text", "shop:\n  target: [a]\n", undefined, {}],
])("G10: %s: only dbt can tell", (_what, profiles, project, entry) => {
  expect(targetOf(profiles, project, entry)).toBeNull();
});

test("G10: files that are not there: only dbt can tell", () => {
  expect(defaultTarget(exampleConfig({}, { projectDir: join(folder, "none") }).projects.shop!)).toBeNull();
});
