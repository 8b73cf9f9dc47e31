import type { LatestKind } from "#core/contracts/latest.ts";
import type { RunRow, VertexRow } from "#core/contracts/ledger.ts";
import { effectiveOptions } from "#core/contracts/run-input.ts";
import { lockKey } from "#core/names.ts";
import type { Plan } from "#core/run/planning/plan.ts";

/**
 * Under which names the artefacts of a run that has its verdict may lie, if no newer run has them (behaviour H9). Only
 * those of a run of the whole project, on the project's own target, with all of its rows: who compares with them, defers
 * to them or shows them takes them for production; nor of one that goes on with another under a new image, whose manifest
 * knows code that the tables of the first were not built from. `latest-green` says beside it that all of this was built: a
 * model that was left out, or that a person has marked, would never be seen as modified again.
 */
export function latestKindsOf(run: RunRow, plan: Plan | null, rows: readonly VertexRow[]): LatestKind[] {
  if (plan?.narrowed !== false || !isOwnTarget(run) || hasFewRows(run) || run.mixedImages === true) return [];
  const isWhole = plan.vertices.every(({ leftOut }) => leftOut === undefined) && rows.every(({ mark }) => !mark);
  return run.state === "green" && isWhole ? ["latest", "latest-green"] : ["latest"];
}

/**
 * A run of another target, such as a pull request's, holds another lock than one that names none. A job's options are
 * merged into the project's settings by then: what it says of target and profile is no word of the project.
 */
export function isOwnTarget(run: RunRow): boolean {
  const { settings } = run;
  const asked = effectiveOptions(settings, run.input);
  const plain = effectiveOptions(settings, { project: run.project });
  const own = settings.job === undefined ? plain : { target: settings.target, profile: settings.defaultProfile };
  if (asked.profile !== undefined && asked.profile !== own.profile) return false;
  if (asked.profile === undefined && plain.profile !== undefined) return false;
  // A command that reads alone has a lock of its own name.
  const held = run.input.command === undefined ? run.lockKey : lockKey(asked.target, settings.defaultTarget);
  if (held !== lockKey(own.target, settings.defaultTarget)) return false;
  return settings.defaultTarget !== null || asked.target === own.target;
}

const hasFewRows = (run: RunRow): boolean => {
  const { empty, sample } = effectiveOptions(run.settings, run.input);
  return empty === true || sample !== undefined;
};
