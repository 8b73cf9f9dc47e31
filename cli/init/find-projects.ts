import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** Folders that hold other people's dbt projects, or none. */
const NEVER = new Set(["node_modules", "dbt_packages", "dbt_modules", "target", "logs", "cdk.out", "build", "dist"]);

/** How far below a folder a dbt project is looked for: `repo/data/warehouses/shop`. */
const DEPTH = 3;

const FILE = "dbt_project.yml";

/** The dbt projects in a folder and below it, none within another: what lies in one is a package or a test of it. */
export function dbtProjectsIn(folder: string, depth = DEPTH): string[] {
  if (existsSync(join(folder, FILE))) return [folder];
  if (depth === 0) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith(".") && !NEVER.has(entry.name))
    .filter((entry) => !existsSync(join(folder, entry.name, "pyvenv.cfg")))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => readable(() => dbtProjectsIn(join(folder, entry.name), depth - 1)));
}

/** A folder that this person may not read has nothing to say. */
function readable(look: () => string[]): string[] {
  try {
    return look();
  } catch (error) {
    if (["EACCES", "EPERM"].includes((error as NodeJS.ErrnoException).code ?? "")) return [];
    throw error;
  }
}
