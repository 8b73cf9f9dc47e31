import { spawn } from "node:child_process";
import { access, mkdir, rm, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { isDbt1 } from "#core/dbt/dbt-version.ts";
import { windowMoves } from "#core/run/event-window.ts";
import type { DbtCommand } from "./dbt-process.ts";
import type { BuildSet } from "./task-brief.ts";

/**
 * A module that Python imports at its start. It changes nothing but the moment that a microbatch model of this build
 * takes for now, and the begin of a model that makes it of the time: the two places where dbt looks at the clock. Which
 * of them counts stays dbt's decision, by its own look at the model's table. A dbt without these places ends here,
 * before it builds anything. What else is named sitecustomize in the image is imported after it.
 */
const SITECUSTOMIZE = `import json, os, sys
from datetime import datetime
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

BUILDER = "dbt.materializations.incremental.microbatch"
HERE = os.path.dirname(os.path.abspath(__file__))
HELD = json.loads(os.environ["STEPWATCH_MICROBATCH"])
AS_OF = datetime.fromisoformat(HELD["asOf"])


def hold(builder):
    start, end = builder.build_start_time, builder.build_end_time

    def build_end_time(self):
        if self.event_time_end is not None:
            return end(self)
        self.event_time_end = AS_OF
        try:
            return end(self)
        finally:
            self.event_time_end = None

    def build_start_time(self, checkpoint):
        begin = HELD["begin"].get(self.model.unique_id)
        if begin and self.model.config.begin:
            self.model.config.begin = datetime.fromisoformat(begin)
        return start(self, checkpoint)

    builder.build_end_time = build_end_time
    builder.build_start_time = build_start_time


class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != BUILDER:
            return None
        spec = PathFinder.find_spec(name, path, target)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            hold(module.MicrobatchBuilder)

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Finder)
open(os.path.join(HERE, "imported"), "w").close()

spec = PathFinder.find_spec("sitecustomize", [one for one in sys.path if os.path.abspath(one or ".") != HERE])
if spec is not None and spec.loader is not None:
    spec.loader.exec_module(module_from_spec(spec))
`;

/** How long `dbt --version` may take; milliseconds. */
const ASKING_MS = 60_000;

/** This dbt can not be made to choose the batches of another moment: nothing was built. */
export class ClockNotHeld extends Error {
  override readonly name = "ClockNotHeld";
}

/**
 * The environment with which dbt chooses the batches of microbatch models as it would have at the run's start; empty
 * where the set has none that would choose others by now (behaviour G27, docs/adr/0021). The table of such a model
 * exists or does not: with an explicit window dbt would leave a first build's history away, without one it would leave
 * out what lies between then and now.
 * @throws {@link ClockNotHeld}
 */
export async function heldClock(
  set: BuildSet,
  folder: string,
  dbtVersion: string,
  command: (argv: readonly string[], env?: Readonly<Record<string, string>>) => DbtCommand,
): Promise<Readonly<Record<string, string>>> {
  if (set.asOfMs === undefined || !windowMoves(set.vertices, set.asOfMs, Date.now())) return {};
  const asOf = new Date(set.asOfMs).toISOString().replace("Z", "+00:00");
  if (!isDbt1(dbtVersion)) throw notHeld(asOf, dbtVersion);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "sitecustomize.py"), SITECUSTOMIZE);
  const begin = Object.fromEntries(set.vertices.flatMap((one) => (one.begin ? [[one.uniqueId, one.begin]] : [])));
  const inherited = command([]).env.PYTHONPATH;
  const env = {
    PYTHONPATH: inherited ? `${folder}${delimiter}${inherited}` : folder,
    STEPWATCH_MICROBATCH: JSON.stringify({ asOf, begin }),
  };
  await started(command(["--version"], env));
  if (!(await exists(join(folder, "imported")))) throw notHeld(asOf, dbtVersion);
  return env;
}

const notHeld = (asOf: string, dbtVersion: string) =>
  new ClockNotHeld(
    `A microbatch model of this build would take other batches by now than at ${asOf}, when the run began, and dbt ${dbtVersion} can not be told so: nothing was built. Start a run with --event-time-start and --event-time-end.`,
  );

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

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
