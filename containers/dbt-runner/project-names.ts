import { readdir, readFile } from "node:fs/promises";
import { extname, join } from "node:path";

/** Folders of a project that hold no vertex. */
const NOT_READ = new Set(["target", "logs", ".git", "node_modules", ".venv", "venv", "__pycache__"]);

/** Files whose own name, or names in them, become parts of ids. */
const NAMED = new Set([".sql", ".py", ".csv", ".yml", ".yaml", ".md"]);

/** Settings of dbt and of the warehouse: schemas and the like stand there, and in no id. */
const SETTINGS = /^(?:profiles|packages|dependencies|selectors|package-lock)\.ya?ml$/;

/**
 * Names from which dbt makes the ids of a project: files, and what stands as a name in properties, tests, snapshots and
 * macros of the project and of its installed packages. More than dbt uses, since no id may be missed: a test's id holds
 * columns and arguments.
 */
export async function projectNames(projectDir: string): Promise<Set<string>> {
  const names = new Set<string>();
  const open = [projectDir];
  for (let folder = open.pop(); folder !== undefined; folder = open.pop()) {
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      const path = join(folder, entry.name);
      if (entry.isDirectory() && !NOT_READ.has(entry.name)) open.push(path);
      else if (!entry.isDirectory() && NAMED.has(extname(entry.name)) && !SETTINGS.test(entry.name))
        await addNames(names, path, entry.name);
    }
  }
  return names;
}

async function addNames(names: Set<string>, path: string, file: string): Promise<void> {
  names.add(file);
  if (extname(file) === ".csv" || extname(file) === ".md") return;
  const text = await readFile(path, "utf8").catch(() => "");
  for (const name of /\.ya?ml$/.test(file) ? namesInYaml(text, file) : namesInCode(text)) names.add(name);
}

/** Of dbt_project.yml the project's name alone; of properties each value but prose. */
function namesInYaml(text: string, file: string): string[] {
  const lines = text.split("\n").filter((line) => !/^\s*(?:#|-?\s*description:)/.test(line));
  if (/^dbt_project\.ya?ml$/.test(file)) return lines.filter((line) => line.startsWith("name:"));
  return lines.map((line) => line.trim()).filter((line) => line !== "");
}

function namesInCode(text: string): string[] {
  return [...text.matchAll(/\{%-?\s*(?:snapshot|macro|test|materialization|data_test)\s+(\w+)/g)].map(
    (found) => found[1]!,
  );
}
