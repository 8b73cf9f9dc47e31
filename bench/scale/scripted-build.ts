import type { PlanVertex } from "#core/run/planning/plan.ts";
import type { ScaleProject } from "./project.ts";

/** One word of a scripted dbt, with the milliseconds since it began. */
export interface ScriptedWord {
  readonly atMs: number;
  readonly uniqueId: string;
  readonly status: "started" | "success" | "error" | "pass" | "fail" | "skipped";
  readonly message: string | null;
}

export interface ScriptedBuild {
  readonly words: readonly ScriptedWord[];
  readonly endsAtMs: number;
  readonly red: boolean;
}

/**
 * What one `dbt build` of this selection says, and when: threads take what is ready in the plan's order, what hangs on a
 * failure is skipped, and what lies outside the selection gates nothing.
 */
export function scriptedBuild(
  project: Pick<ScaleProject, "vertices">,
  plan: { readonly vertices: readonly Pick<PlanVertex, "uniqueId" | "gateParents">[] },
  selection: ReadonlySet<string>,
  threads: number,
): ScriptedBuild {
  const facts = new Map(project.vertices.map((vertex) => [vertex.uniqueId, vertex]));
  const chosen = plan.vertices.filter(({ uniqueId }) => selection.has(uniqueId));
  const open = new Map(
    chosen.map(({ uniqueId, gateParents }) => [uniqueId, gateParents.filter((id) => selection.has(id)).length]),
  );
  const children = Map.groupBy(
    chosen.flatMap(({ uniqueId, gateParents }) => gateParents.map((parent) => ({ parent, uniqueId }))),
    ({ parent }) => parent,
  );
  const words: ScriptedWord[] = [];
  const doomed = new Set<string>();
  const ready = chosen.filter(({ uniqueId }) => open.get(uniqueId) === 0).map(({ uniqueId }) => uniqueId);
  const running: { readonly uniqueId: string; readonly endsAtMs: number }[] = [];
  let nowMs = 0;
  let next = 0;
  const done = (uniqueId: string, isGood: boolean) => {
    for (const { uniqueId: child } of children.get(uniqueId) ?? []) {
      if (!isGood) doomed.add(child);
      const left = open.get(child)! - 1;
      open.set(child, left);
      if (left === 0) ready.push(child);
    }
  };
  const begin = (uniqueId: string) => {
    if (doomed.has(uniqueId)) {
      words.push({ atMs: nowMs, uniqueId, status: "skipped", message: null });
      return done(uniqueId, false);
    }
    words.push({ atMs: nowMs, uniqueId, status: "started", message: null });
    running.push({ uniqueId, endsAtMs: nowMs + Math.round(facts.get(uniqueId)!.seconds * 1000) });
  };
  for (;;) {
    while (next < ready.length && (running.length < threads || doomed.has(ready[next]!))) begin(ready[next++]!);
    if (running.length === 0) break;
    const first = running.reduce((a, b) => (b.endsAtMs < a.endsAtMs ? b : a));
    running.splice(running.indexOf(first), 1);
    nowMs = first.endsAtMs;
    const { uniqueId, type, failure } = facts.get(first.uniqueId)!;
    const status = type === "test" ? (failure ? "fail" : "pass") : failure ? "error" : "success";
    words.push({ atMs: nowMs, uniqueId, status, message: failure });
    done(uniqueId, failure === null);
  }
  return { words, endsAtMs: nowMs, red: words.some(({ status }) => status === "error" || status === "fail") };
}
