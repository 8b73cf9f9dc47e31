import { spawn } from "node:child_process";
import { access, mkdir, rm, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import type { DbtCommand } from "./dbt-process.ts";

/** How long `dbt --version` may take; milliseconds. */
const ASKING_MS = 60_000;

export type CommandWith = (argv: readonly string[], env?: Readonly<Record<string, string>>) => DbtCommand;

/** What is changed of dbt 1 as its Python starts. */
export interface PythonChange {
  /** Where the code is written; emptied before. */
  readonly folder: string;
  /** The module of dbt that is changed when it is imported. */
  readonly module: string;
  /** Python that defines `change(module)`. */
  readonly code: string;
  /** What the code reads of the environment. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * A module that Python imports at its start. It changes one module of dbt and leaves a mark once that is done. What else
 * is named sitecustomize behind it, another change of ours or the image's own, is imported after it.
 */
const sitecustomize = ({ module, code }: PythonChange) => `import os, sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

HERE = os.path.dirname(os.path.abspath(__file__))

${code}

class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != ${JSON.stringify(module)}:
            return None
        spec = PathFinder.find_spec(name, path, target)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            change(module)
            open(os.path.join(HERE, "changed"), "w").close()

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Finder)
if os.environ.get("STEPWATCH_ASKED") == HERE:
    __import__(${JSON.stringify(module)})

places = [os.path.abspath(one or ".") for one in sys.path]
behind = sys.path[places.index(HERE) + 1 :] if HERE in places else []
spec = PathFinder.find_spec("sitecustomize", behind)
if spec is not None and spec.loader is not None:
    spec.loader.exec_module(module_from_spec(spec))
`;

/**
 * The environment with which dbt starts changed; null where it would not: this dbt is no Python, takes no module from
 * outside, or has nothing at that place. Found out by a dbt that does nothing, before one builds anything.
 */
export async function changedStart(
  change: PythonChange,
  command: CommandWith,
): Promise<Readonly<Record<string, string>> | null> {
  const { folder } = change;
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "sitecustomize.py"), sitecustomize(change));
  const inherited = command([]).env.PYTHONPATH;
  const env = { PYTHONPATH: inherited ? `${folder}${delimiter}${inherited}` : folder, ...change.env };
  // dbt imports its tasks when it needs them: this one is told to at once.
  await started(command(["--version"], { ...env, STEPWATCH_ASKED: folder }));
  const isChanged = await access(join(folder, "changed")).then(
    () => true,
    () => false,
  );
  return isChanged ? env : null;
}

function started({ executable, argv, cwd, env }: DbtCommand): Promise<void> {
  return new Promise((resolve) => {
    const child = spawn(executable, [...argv], {
      cwd,
      env,
      stdio: "ignore",
      timeout: ASKING_MS,
      killSignal: "SIGKILL",
    });
    child.once("error", () => resolve());
    child.once("close", () => resolve());
  });
}
