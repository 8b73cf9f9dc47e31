import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { DEFAULT_STATE_DIR, ensureVenv } from "#local/python.ts";

/** The last dbt 2.0 with a wheel on PyPI. */
export const DBT2_PACKAGES = ["dbt==2.0.0rc196"];

/** DuckDB's own library as an npm package: dbt 2.0 has no driver inside, and would download one at first use. */
const DRIVER = `@duckdb/node-bindings-${process.platform}-${process.arch}`;
const DRIVER_VERSION = "1.5.6-r.1";
const LIBRARY = process.platform === "darwin" ? "libduckdb.dylib" : "libduckdb.so";

/**
 * dbt 2.0 in an environment of its own, with the driver where dbt looks first: `lib` next to its `bin`. Made on first
 * use, some 165 MB to download.
 * @returns the path of its executable
 */
export async function ensureDbt2(): Promise<string> {
  const venv = await ensureVenv(DBT2_PACKAGES, { label: "dbt 2.0" });
  const library = join(venv.dir, "lib", LIBRARY);
  if (!existsSync(library)) {
    copyFileSync(await installedDriver(), `${library}.part`);
    renameSync(`${library}.part`, library);
  }
  return join(venv.bin, "dbt");
}

async function installedDriver(): Promise<string> {
  const folder = join(DEFAULT_STATE_DIR, "duckdb-driver");
  mkdirSync(folder, { recursive: true });
  const options = ["--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder];
  const npm = spawn("npm", ["install", ...options, `${DRIVER}@${DRIVER_VERSION}`], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const [code] = (await once(npm, "exit")) as [number | null];
  const library = join(folder, "node_modules", DRIVER, LIBRARY);
  if (code !== 0 || !existsSync(library))
    throw new Error(`npm did not install ${DRIVER}@${DRIVER_VERSION} (exit code ${code}).`);
  return library;
}
