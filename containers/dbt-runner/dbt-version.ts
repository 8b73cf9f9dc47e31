import { spawn } from "node:child_process";
import { access, constants, readdir, realpath } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";

/** How long `dbt --version` may take; 1.x needs about 2 s of CPU, on a loaded machine a multiple of it. */
const ASKING_MS = 60_000;

/**
 * The version of dbt behind an executable, before it is started. First by a look at the Python package next to it,
 * which costs nothing; for anything else (dbt 2.0, a wrapper script) by `dbt --version`. Null: not known, then dbt's
 * first line is the net.
 */
export async function findDbtVersion(
  executable: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<string | null> {
  const path = await onPath(executable, env.PATH ?? "");
  if (path === null) return null;
  return (await versionOfPackage(await realpath(path))) ?? (await versionByAsking(path, env));
}

async function onPath(executable: string, path: string): Promise<string | null> {
  const candidates = executable.includes("/")
    ? [executable]
    : path.split(delimiter).map((dir) => join(dir, executable));
  for (const candidate of candidates) {
    try {
      await access(candidate, constants.X_OK);
      return candidate;
    } catch {
      // Not here, or not executable: as a shell does, the next folder.
    }
  }
  return null;
}

/** `<prefix>/bin/dbt` belongs to `<prefix>/lib/python3.x/site-packages/dbt_core-<version>.dist-info`. */
async function versionOfPackage(path: string): Promise<string | null> {
  const lib = join(dirname(path), "..", "lib");
  for (const python of await names(lib)) {
    if (!python.startsWith("python3")) continue;
    for (const name of await names(join(lib, python, "site-packages"))) {
      const found = /^dbt_core-(\d[^-]*)\.dist-info$/.exec(name);
      if (found?.[1]) return found[1];
    }
  }
  return null;
}

async function names(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch {
    return [];
  }
}

/** Version in the output of `dbt --version`: 1.x prints `installed: 1.11.16` among others, 2.0 `dbt … 2.0.1`. */
export function versionInText(text: string): string | null {
  const found = /installed:\s*(\d+\.\d+\.\d\S*)/.exec(text) ?? /\bdbt\S*\s+v?(\d+\.\d+\.\d\S*)/.exec(text);
  return found?.[1] ?? null;
}

function versionByAsking(path: string, env: Readonly<Record<string, string | undefined>>): Promise<string | null> {
  return new Promise((resolve) => {
    const child = spawn(path, ["--version"], {
      env,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: ASKING_MS,
      killSignal: "SIGKILL",
    });
    let text = "";
    const read = (chunk: Buffer) => {
      if (text.length < 100_000) text += chunk.toString("utf8");
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.once("error", () => resolve(null));
    child.once("close", () => resolve(versionInText(text)));
  });
}
