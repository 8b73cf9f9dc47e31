import type { BuildOptions } from "#core/dbt/argv.ts";
import { isDbt1 } from "#core/dbt/dbt-version.ts";
import { isBuiltWhole, windowMoves } from "#core/run/deciding/event-window.ts";
import { type CommandWith, changedStart } from "./python-start.ts";
import type { BuildSet } from "./task-brief.ts";

/**
 * Changes nothing but the moment that a microbatch model of this build takes for now, and the begin of a model that makes
 * it of the time: the two places where dbt looks at the clock. Which of them counts stays dbt's decision, by its own look
 * at the model's table.
 */
const CODE = `import json
from datetime import datetime

HELD = json.loads(os.environ["STEPWATCH_MICROBATCH"])
AS_OF = datetime.fromisoformat(HELD["asOf"])


def change(module):
    builder = module.MicrobatchBuilder
    start, end = builder.build_start_time, builder.build_end_time

    def build_end_time(self):
        if self.event_time_end is not None or self.model.unique_id in HELD["whole"]:
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
`;

/** This dbt can not be made to choose the batches of another moment: nothing was built. */
export class ClockNotHeld extends Error {
  override readonly name = "ClockNotHeld";
}

/**
 * The environment with which dbt chooses the batches of microbatch models as it would have at the run's start; empty
 * where the set has none that would choose others by now (behaviour G27, docs/adr/0021). The table of such a model
 * exists or does not: with an explicit window dbt would leave a first build's history away, without one it would leave
 * out what lies between then and now. A model that the build makes anew takes its own: it would lose what came since.
 * @throws {@link ClockNotHeld}
 */
export async function heldClock(
  set: BuildSet & Pick<BuildOptions, "fullRefresh">,
  folder: string,
  dbtVersion: string,
  command: CommandWith,
): Promise<Readonly<Record<string, string>>> {
  const chosen = set.vertices.filter((one) => !isBuiltWhole(one, set));
  if (set.asOfMs === undefined || !windowMoves(chosen, set.asOfMs, Date.now())) return {};
  const asOf = new Date(set.asOfMs).toISOString().replace("Z", "+00:00");
  if (!isDbt1(dbtVersion)) throw notHeld(asOf, dbtVersion);
  const begin = Object.fromEntries(chosen.flatMap((one) => (one.begin ? [[one.uniqueId, one.begin]] : [])));
  const whole = set.vertices.filter((one) => isBuiltWhole(one, set)).map((one) => one.uniqueId);
  const env = await changedStart(
    {
      folder,
      module: "dbt.materializations.incremental.microbatch",
      code: CODE,
      env: { STEPWATCH_MICROBATCH: JSON.stringify({ asOf, begin, whole }) },
    },
    command,
  );
  if (env === null) throw notHeld(asOf, dbtVersion);
  return env;
}

const notHeld = (asOf: string, dbtVersion: string) =>
  new ClockNotHeld(
    `A microbatch model of this build would take other batches by now than at ${asOf}, when the run began, and dbt ${dbtVersion} can not be told so: nothing was built. Start a run with --event-time-start and --event-time-end.`,
  );
