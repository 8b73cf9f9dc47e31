import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ensureVenv } from "#local/python.ts";

const REQUIREMENTS = readFileSync(join(import.meta.dirname, "dbt-1.12.txt"), "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"));

/**
 * dbt-core 1.12 with DuckDB and Postgres in an environment of its own, made on first use.
 * @returns the path of its executable
 */
export async function ensureDbt112(): Promise<string> {
  const venv = await ensureVenv(["--no-deps", ...REQUIREMENTS], { label: "dbt 1.12" });
  return join(venv.bin, "dbt");
}
