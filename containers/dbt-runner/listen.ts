import type { Artefacts } from "#clients/artefacts.ts";
import { artefactKeys } from "#core/names.ts";
import { quietSentence, silenceSchema } from "#core/run/watching/quiet.ts";
import type { FinishedBuild } from "./build.ts";
import type { TaskContext } from "./run-task.ts";
import { SilenceWatch } from "./silence-watch.ts";

export interface Listening {
  /** dbt has printed a line. */
  readonly onLine: () => void;
  /** dbt is gone: the longest silence that it has broken, which the run's end keeps for the project's next build. Milliseconds. */
  readonly ended: (build: FinishedBuild) => number | undefined;
}

/** The longest silence that the project's builds have broken so far; 0 where nothing is known of it. Never rejects. */
export async function longestSilenceMs(artefacts: Pick<Artefacts, "getJson">, project: string): Promise<number> {
  const kept = await artefacts.getJson(artefactKeys.silence(project)).catch(() => null);
  return silenceSchema.safeParse(kept).data?.longestMs ?? 0;
}

/**
 * Notices a dbt that says nothing for long against its project's history, and interrupts it where the policy asks for it
 * (behaviour A25, docs/adr/0039). The history is a help: without it the setting alone counts.
 */
export async function listen(context: TaskContext): Promise<Listening> {
  const { brief, log, output, quiet, stop } = context;
  const { stuckAfterMinutes, stuck } = brief.run.settings.policy;
  const before = await context.longestSilenceMs;
  const watch = new SilenceWatch({
    stuckAfterMinutes,
    longestMs: before,
    interrupts: stuck === "interrupt",
    log,
    onQuiet: (notice) => {
      const sentence = quietSentence(brief.task, notice);
      quiet.push(notice);
      output.say("dbt is silent", { sentence });
      if (notice.interrupted) stop.ask("stuck", sentence);
    },
  });
  return {
    onLine: () => watch.heard(),
    ended: ({ end }) => {
      watch.stop();
      return end.signal !== null || end.signalledByUs ? undefined : watch.longestMs;
    },
  };
}
