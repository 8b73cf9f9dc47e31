import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { PythonEnvironmentError } from "./errors.ts";
import { withLock } from "./lock-file.mjs";
import { ownStateDir } from "./own-files.ts";

/** Where everything is kept that is made here, unless a state folder is named. */
export const DEFAULT_STATE_DIR = ownStateDir();

/** Newest first: dbt and MiniStack both run on all of them. */
const PYTHON_NAMES = ["python3.13", "python3.12", "python3.11", "python3.10", "python3"] as const;

const DONE = ".complete.json";

export interface Venv {
  readonly dir: string;
  /** Folder of the environment's executables. */
  readonly bin: string;
}

export interface VenvOptions {
  /** What the environment is for, in the words of a progress line: "the dbt environment". */
  readonly label: string;
  readonly onProgress?: (line: string) => void;
  /** Holds `venvs/` and `logs/`; the checkout's own `.stepwatch` if absent. */
  readonly stateDir?: string;
  /** Path of an interpreter, for what does not run on each that {@link findPython} takes. */
  readonly python?: string;
}

interface PythonInterpreter {
  readonly executable: string;
  readonly version: string;
}

/**
 * A virtual environment with exactly these pinned requirements, made on first use and shared by all that ask for the
 * same ones. A virtual environment can not be moved (its scripts hold its path), so it is built where it stays, behind
 * a lock, and counts only once its marker is written: one that was interrupted is built again.
 *
 * @throws {PythonEnvironmentError} one sentence: no Python, no venv module, no disk, no permission, no network
 */
export async function ensureVenv(requirements: readonly string[], options: VenvOptions): Promise<Venv> {
  const stateDir = options.stateDir ?? DEFAULT_STATE_DIR;
  const venv = venvOf(requirements, stateDir);
  const { dir } = venv;
  const name = basename(dir);
  if (isComplete(venv)) return venv;
  makeFolder(dirname(dir));
  const onWait = (pid: number) => options.onProgress?.(`Waiting for process ${pid}, which is making ${options.label}.`);
  await withLock(`${dir}.lock`, () => build(venv, requirements, options, join(stateDir, "logs", `venv-${name}.log`)), {
    onWait,
  });
  return venv;
}

/** Where the environment with these requirements is, or will be. */
export function venvOf(requirements: readonly string[], stateDir: string = DEFAULT_STATE_DIR): Venv {
  const name = createHash("sha256")
    .update([...requirements].sort().join("\n"))
    .digest("hex")
    .slice(0, 16);
  const dir = join(stateDir, "venvs", name);
  return { dir, bin: join(dir, "bin") };
}

/** One that was made elsewhere and moved here since is not: its scripts name a Python that is gone. */
function isComplete(venv: Venv): boolean {
  const marker = join(venv.dir, DONE);
  if (!existsSync(marker) || !existsSync(join(venv.bin, "python"))) return false;
  // Not parsed: a marker that was cut off by a full disk is none, and no error.
  return readFileSync(marker, "utf8").endsWith(`,"dir":${JSON.stringify(realpathSync(venv.dir))}}`);
}

async function build(venv: Venv, requirements: readonly string[], options: VenvOptions, log: string): Promise<void> {
  if (isComplete(venv)) return;
  const python = await findPython(
    options.python === undefined ? process.env : { ...process.env, PYTHON: options.python },
  );
  const started = Date.now();
  options.onProgress?.(`Making ${options.label} with Python ${python.version} …`);
  makeFolder(dirname(log));
  rmSync(venv.dir, { recursive: true, force: true });
  // Not by a path that leads here over a link: what holds the link may be gone before the environment is.
  const dir = join(realpathSync(dirname(venv.dir)), basename(venv.dir));
  await runLogged(python.executable, ["-m", "venv", dir], log, "w", `making ${options.label}`);
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", ...requirements];
  await runLogged(join(dir, "bin", "python"), pip, log, "a", `installing ${requirements.join(", ")}`);
  writeFileSync(join(dir, DONE), JSON.stringify({ requirements, python: python.version, dir }));
  options.onProgress?.(`Made ${options.label} in ${Math.round((Date.now() - started) / 1000)} s.`);
}

/**
 * The Python named by the variable PYTHON if it is set, otherwise the first that is new enough and can make virtual
 * environments.
 *
 * @throws {PythonEnvironmentError}
 */
export async function findPython(env: NodeJS.ProcessEnv = process.env): Promise<PythonInterpreter> {
  const chosen = env.PYTHON;
  const names = chosen !== undefined && chosen !== "" ? [chosen] : PYTHON_NAMES;
  let withoutVenv: string | undefined;
  for (const name of names) {
    const found = await inspectPython(name, env);
    if (found === undefined || !isNewEnough(found.version)) continue;
    if (found.hasVenv) return { executable: found.executable, version: found.version };
    withoutVenv ??= found.version;
  }
  throw new PythonEnvironmentError(whyNoPython(chosen, withoutVenv));
}

function whyNoPython(chosen: string | undefined, withoutVenv: string | undefined): string {
  if (withoutVenv !== undefined) {
    const [major, minor] = withoutVenv.split(".");
    return `Python ${withoutVenv} has no module to make virtual environments: install it (on Debian and Ubuntu: apt-get install python${major}.${minor}-venv) and try again.`;
  }
  if (chosen !== undefined && chosen !== "") {
    return `PYTHON is set to "${chosen}", which is not a Python 3.10 or newer: correct or unset it and try again.`;
  }
  return "No Python 3.10 or newer was found: install one, or set PYTHON to its path, and try again.";
}

function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major === 3 && minor >= 10;
}

const INSPECTION = `
import importlib.util, json, platform, sys
has_venv = all(importlib.util.find_spec(m) is not None for m in ("venv", "ensurepip"))
print(json.dumps({"executable": sys.executable, "version": platform.python_version(), "hasVenv": has_venv}))
`;

async function inspectPython(
  name: string,
  env: NodeJS.ProcessEnv,
): Promise<(PythonInterpreter & { hasVenv: boolean }) | undefined> {
  const child = spawn(name, ["-c", INSPECTION], { stdio: ["ignore", "pipe", "ignore"], env });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  const code = await exitCodeOf(child).catch(() => 1);
  return code === 0 ? inspectionIn(output) : undefined;
}

/** What the inspection printed; undefined if the program is no Python and printed something of its own. */
function inspectionIn(output: string): (PythonInterpreter & { hasVenv: boolean }) | undefined {
  try {
    const answer = JSON.parse(output) as Partial<PythonInterpreter & { hasVenv: boolean }> | null;
    const { executable, version, hasVenv } = answer ?? {};
    const known = typeof executable === "string" && typeof version === "string" && typeof hasVenv === "boolean";
    return known ? { executable, version, hasVenv } : undefined;
  } catch {
    return undefined;
  }
}

async function runLogged(
  command: string,
  args: readonly string[],
  log: string,
  flags: "w" | "a",
  doing: string,
): Promise<void> {
  const output = openSync(log, flags);
  try {
    const code = await exitCodeOf(spawn(command, args, { stdio: ["ignore", output, output] }));
    if (code !== 0) throw new PythonEnvironmentError(`${capitalised(doing)} failed${causeIn(log)}: see ${log}.`);
  } finally {
    closeSync(output);
  }
}

/** The words of pip and of the system that a person can act upon. */
export function causeIn(log: string): string {
  const text = readFileSync(log, "utf8");
  if (/No space left on device|Errno 28\b/.test(text)) return " because the disk is full";
  if (/Permission denied|Errno 13\b|Read-only file system/.test(text)) return " because a file may not be written";
  if (/NewConnectionError|NameResolutionError|ConnectTimeout|ProxyError|Max retries exceeded/.test(text)) {
    return " because the Python package index was not reached";
  }
  if (/No matching distribution found/.test(text)) return " because the package index has no such version";
  return "";
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new PythonEnvironmentError(
      `The folder ${path} can not be made (${code}): check its permissions and the disk.`,
      {
        cause: error,
      },
    );
  }
}

function exitCodeOf(child: ReturnType<typeof spawn>): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code ?? 1));
  });
}

function capitalised(sentence: string): string {
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}
