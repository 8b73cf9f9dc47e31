import type { Policy } from "#core/contracts/settings.ts";
import { counted } from "#core/counted.ts";
import type { VertexView } from "#core/run/judging/vertex-view.ts";

/** A vertex whose build takes, or took, longer than it may (behaviour F13). */
export interface Overdue {
  readonly uniqueId: string;
  readonly task: number;
  readonly allowedMinutes: number;
  readonly ranMs: number;
  /** It still runs. */
  readonly isRunning: boolean;
}

/** Minutes that one build of a vertex may take: its own `meta.stepwatch.timeoutMinutes`, or the run's. */
const allowedMinutes = ({ plan }: VertexView, policy: Policy): number | undefined =>
  plan.overrides.timeoutMinutes ?? policy.nodeTimeoutMinutes;

/**
 * Vertices that run, or ran, longer than they may. Nothing is ended for it: dbt can not cancel one node, and its
 * consumer stays open until dbt says how it ended.
 */
export function overdue(views: Iterable<VertexView>, policy: Policy, nowMs: number): Overdue[] {
  return [...views].flatMap((view) => {
    const minutes = allowedMinutes(view, policy);
    const { statusTask: task, startedAtMs, endedAtMs } = view.row ?? {};
    if (minutes === undefined || task === undefined || startedAtMs === undefined) return [];
    const isRunning = view.class === "running";
    // Of one that was cut off nobody knows how long it ran.
    if (!isRunning && endedAtMs === undefined) return [];
    const ranMs = (isRunning ? nowMs : endedAtMs!) - startedAtMs;
    if (ranMs <= minutes * 60_000) return [];
    return [{ uniqueId: view.plan.uniqueId, task, allowedMinutes: minutes, ranMs, isRunning }];
  });
}

/** When the next of those that run will have run longer than they may; null if none has a bound. Milliseconds. */
export function nextOverdueMs(views: Iterable<VertexView>, policy: Policy, nowMs: number): number | null {
  const moments = [...views].flatMap((view) => {
    const minutes = allowedMinutes(view, policy);
    const startedAtMs = view.row?.startedAtMs;
    if (view.class !== "running" || minutes === undefined || startedAtMs === undefined) return [];
    const dueMs = startedAtMs + minutes * 60_000;
    return dueMs > nowMs ? [dueMs] : [];
  });
  return moments.length === 0 ? null : Math.min(...moments);
}

/** The warning of it. Of one that still runs it stays the same while it runs: an event of it is one event. */
export function overdueSentence({ uniqueId, allowedMinutes, ranMs, isRunning }: Overdue): string {
  const allowed = `the ${counted(allowedMinutes, "minute")} that it may (timeoutMinutes)`;
  if (isRunning)
    return `${uniqueId} runs longer than ${allowed}. dbt can not end one node: stop the run, or end its query on the warehouse.`;
  return `${uniqueId} ran ${(ranMs / 60_000).toFixed(1)} minutes, longer than ${allowed}.`;
}
