import type { TaskKind, TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import type { Policy } from "#core/contracts/settings.ts";
import type { HooksBrief } from "#core/contracts/task-set.ts";
import type { OrphanSearch } from "#core/dbt/orphans.ts";
import type { Closing } from "#core/run/deciding/closing.ts";
import type { EventWindow } from "#core/run/deciding/event-window.ts";
import type { Round } from "#core/run/judging/rounds.ts";
import type { RunSteps } from "#core/run/judging/run-steps.ts";
import type { Plan } from "#core/run/planning/plan.ts";

/** All that the rule of the system looks at. Tasks must have been read before rows (behaviour F12). */
export interface StepInput {
  readonly plan: Plan | null;
  readonly rows: readonly VertexRow[];
  /** In order of their numbers. */
  readonly tasks: readonly TaskRow[];
  readonly policy: Policy;
  /** The execution queue's cap. */
  readonly maxTasks: number;
  /** Set when nothing may be launched any more: a person's stop, or the run's deadline. */
  readonly stopReason: string | null;
  readonly heldSinceMs: number | null;
  readonly nowMs: number;
  /** Unset: the first of a run of its own. */
  readonly round?: Round;
  /** Commands around the build, or instead of it; unset: there are none. */
  readonly steps?: RunSteps | null;
  /** Nothing is launched before: an automatic round's delay. Milliseconds since 1970. */
  readonly notBeforeMs?: number | null;
}

/** One build to launch. A producer has no set: it owns what it plans. */
export interface LaunchDecision {
  readonly kind: TaskKind;
  readonly uniqueIds: readonly string[];
  readonly claims: readonly {
    readonly uniqueId: string;
    readonly from: number | null;
    readonly lostTask?: number;
    /** It is to be built anew: an earlier build's word on it, though it was good, is taken from its row. */
    readonly forget?: boolean;
  }[];
  readonly size: "producer" | "queue";
  /** Of a fallback of a microbatch model: the window of its first build. */
  readonly eventWindow?: EventWindow;
  /** Of a build with microbatch models that choose their window themselves: as of when (behaviour G27). */
  readonly asOfMs?: number;
  /** What an earlier build may have left running of it (behaviour D12). */
  readonly orphans?: OrphanSearch;
  /** The project's on-run-start hooks are to run in it, although they are run once (behaviour G30). */
  readonly startHooks?: boolean;
  /** Of a command: the step that it is, and its words. */
  readonly step?: { readonly id: string; readonly words: readonly string[] };
  /** Of a task that runs hooks alone (behaviour G30). */
  readonly hooks?: HooksBrief;
  readonly reason: string;
}

export interface Decision {
  readonly launches: readonly LaunchDecision[];
  /** Last words that the ledger does not have yet. */
  readonly finals: readonly Closing[];
  /** Live tasks are to be stopped. */
  readonly stopTasks: boolean;
  /** Since when a recovery build is held back; null if none is. */
  readonly heldSinceMs: number | null;
  /** Nothing is left to wait for: the verdict can be given. */
  readonly settle: boolean;
}

/** Nothing to do yet. */
export const nothing: Decision = {
  launches: [],
  finals: [],
  stopTasks: false,
  heldSinceMs: null,
  settle: false,
};

/** These launches and nothing else. */
export const launch = (...launches: LaunchDecision[]): Decision => ({ ...nothing, launches });

/** How a task ended, in a sentence. */
export const endOf = (task: TaskRow): string =>
  task.end?.cause.sentence ?? task.stop?.stoppedReason ?? `exit code ${task.stop?.exitCode ?? "unknown"}`;
