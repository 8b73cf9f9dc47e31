import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { BuildOptions } from "#core/dbt/argv.ts";
import { isDbt1 } from "#core/dbt/dbt-version.ts";
import { namesInDotEnv } from "./dot-env.ts";

/**
 * Where a run's plan comes from. `manifest`: the build's own manifest, at its first line about a vertex; costs nothing.
 * `ls_beside`: a `dbt ls` with the same selection, next to the build. `ls_first`: the same, before the build: dbt 2
 * writes its manifest only at the end of a build and lists in a tenth of a second.
 */
export type PlanSourceKind = "manifest" | "ls_beside" | "ls_first";

/** Variables of dbt (1.11 reads `DBT_ENGINE_` too) by which the environment selects; an argument is not needed then. */
const SELECTING_VARIABLE =
  /^DBT_(ENGINE_)?(SELECT|EXCLUDE|MODELS|SELECTOR|RESOURCE_TYPES?|EXCLUDE_RESOURCE_TYPES?|INDIRECT_SELECTION|SAMPLE)$/;

const SELECTING_OPTIONS = [
  "select",
  "exclude",
  "selector",
  "resourceTypes",
  "excludeResourceTypes",
  "indirectSelection",
] as const;

export interface Selecting {
  readonly options: BuildOptions;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly projectDir: string;
}

/** Where a run's plan comes from: of what is narrowed only dbt can say what it selects (behaviour H6). */
export async function choosePlanSource(
  input: Selecting & { readonly dbtVersion: string | null },
): Promise<PlanSourceKind> {
  if (input.dbtVersion !== null && !isDbt1(input.dbtVersion)) return "ls_first";
  return (await isNarrowed(input)) ? "ls_beside" : "manifest";
}

/** Whether anything but dbt's own default decides what is built. */
export async function isNarrowed(input: Selecting): Promise<boolean> {
  const byOptions = SELECTING_OPTIONS.some((name) => {
    const value = input.options[name];
    return Array.isArray(value) ? value.length > 0 : value !== undefined;
  });
  const byEnvironment = Object.entries(input.env).some(([name, value]) => SELECTING_VARIABLE.test(name) && value);
  // dbt 1.12 reads it; one that does not is asked once too often.
  const byDotEnv = namesInDotEnv(input.projectDir).some((name) => SELECTING_VARIABLE.test(name));
  return byOptions || byEnvironment || byDotEnv || (await hasDefaultSelector(input.projectDir));
}

/**
 * Whether `selectors.yml` may hold a default selector, which changes a bare `dbt build`. Any `default:` that is not
 * plainly false counts, also one inside a condition: asking dbt once too often costs seconds, once too rarely a wrong plan.
 */
async function hasDefaultSelector(projectDir: string): Promise<boolean> {
  for (const name of ["selectors.yml", "selectors.yaml"]) {
    try {
      const text = await readFile(join(projectDir, name), "utf8");
      if (/^[^#\n]*["']?\bdefault["']?\s*:(?!\s*["']?(?:false|no)\b)/im.test(text)) return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
  return false;
}
