import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { listProject } from "../../cli/list-project.ts";
import { loadConfig } from "../../infra/load-config.ts";

const project = loadConfig(join(import.meta.dirname, "../../stepwatch.yaml")).projects.jaffle_shop!;
const list = (options: Parameters<typeof listProject>[1]) =>
  listProject(project, { target: project.target, ...options }, process.env, new AbortController().signal);

it("what plan shows is what the project's own dbt selects, with its graph; nothing of the project is written", async () => {
  const before = readdirSync(project.projectDir);
  const { selectedIds, manifest } = await list({ select: ["orders"] });
  expect(selectedIds).toContain("model.jaffle_shop.orders");
  expect(selectedIds).not.toContain("model.jaffle_shop.customers");
  expect(manifest.nodes.size).toBeGreaterThan(selectedIds.length);
  expect(readdirSync(project.projectDir)).toEqual(before);
}, 60_000);

it("a selection that dbt refuses is told in dbt's words", async () => {
  const refused = list({ selector: "no_such_selector" });
  await expect(refused).rejects.toThrow(/dbt ls ended with exit code \d/);
  await expect(refused).rejects.toThrow("no_such_selector");
}, 60_000);
