import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PlanVertex } from "#core/run/planning/plan.ts";
import { manifestOf, planOf, SCALE_PROJECT, type ScaleProject, type ScaleVertex } from "./project.ts";

/** What the scripted dbt finds in its project's folder. */
export interface ScaleScript {
  readonly vertices: readonly ScaleVertex[];
  readonly plan: { readonly vertices: readonly Pick<PlanVertex, "uniqueId" | "gateParents">[] };
  readonly threads: number;
  /** How many times as fast as the project's own seconds. */
  readonly speed: number;
  readonly manifest: object;
}

export interface ScaleFolder {
  readonly projectDir: string;
  readonly executable: string;
}

/** Writes a dbt project in name, with its script and the executable that plays it. */
export function writeScaleFolder(
  folder: string,
  project: ScaleProject,
  { threads, speed }: Pick<ScaleScript, "threads" | "speed">,
): ScaleFolder {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, "models"), { recursive: true });
  const plan = planOf(project, { project: SCALE_PROJECT, runId: "scripted" });
  const gates = plan.vertices.map(({ uniqueId, gateParents }) => ({ uniqueId, gateParents }));
  const { vertices } = project;
  const script: ScaleScript = { vertices, plan: { vertices: gates }, threads, speed, manifest: manifestOf(project) };
  writeFileSync(join(folder, "scale.json"), JSON.stringify(script));
  const config = { name: SCALE_PROJECT, version: "1.0", "config-version": 2, profile: SCALE_PROJECT };
  writeFileSync(join(folder, "dbt_project.yml"), JSON.stringify(config));
  const output = { type: "postgres", host: "127.0.0.1", port: 1, user: "scale", password: "scale", dbname: "dw" };
  const outputs = { dev: { ...output, schema: SCALE_PROJECT, threads } };
  writeFileSync(join(folder, "profiles.yml"), JSON.stringify({ [SCALE_PROJECT]: { target: "dev", outputs } }));
  // The runner starts it by its path: which Node plays it stands in its first line.
  const executable = join(folder, "scripted-dbt.mjs");
  const source = join(import.meta.dirname, "scripted-dbt.ts");
  writeFileSync(
    executable,
    `#!${process.execPath} --disable-warning=ExperimentalWarning\nawait import("${source}");\n`,
  );
  chmodSync(executable, 0o755);
  return { projectDir: folder, executable };
}
