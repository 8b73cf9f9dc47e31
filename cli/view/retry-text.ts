import { counted, firstOf } from "#core/counted.ts";
import type { NextRound } from "#core/run/deciding/next-round.ts";
import { lineOf, type RunStep } from "#core/run/judging/run-steps.ts";
import type { VertexView } from "#core/run/judging/vertex-view.ts";
import { nodeName } from "./node-table.ts";

/** Names that one line has. */
const MOST_NAMED = 6;

/** Vertices that are refused and told one by one. */
const MOST_REFUSED = 5;

/** What a retry will do: said before anything is started. */
export function retryPlan(next: NextRound, steps: readonly RunStep[]): string[] {
  const [first] = steps;
  if (first?.where === "alone") return [stepLine(first)];
  return [
    ...steps.filter(({ where }) => where === "before").map(stepLine),
    ...buildLines(next),
    ...steps.filter(({ where }) => where === "after").map(stepLine),
  ];
}

/** What the retry builds, what it leaves as it is, and what it does not dare. */
function buildLines(next: NextRound): string[] {
  if (next.builds === null)
    return ["  builds      everything that the run selects: it has come to no plan, so its producer is started again"];
  const nodes = next.builds.filter(({ plan }) => !/test$/.test(plan.resourceType));
  const tests = next.builds.length - nodes.length;
  const failed = nodes.filter((view) => view.class === "failed" || view.class === "interrupted");
  const rest = nodes.filter((view) => !failed.includes(view));
  return [
    ...namedLine("builds", failed, "failed or cut off"),
    ...namedLine("builds", rest, "not built yet, or to be built anew"),
    ...(tests > 0 ? [`  tests       ${tests} of them, or of what was good before`] : []),
    `  keeps       ${counted(next.kept, "vertex", "vertices")} that ${next.kept === 1 ? "is" : "are"} good`,
    ...namedLine("drops", next.dropped, "with the table that they read: nothing builds them"),
    ...refusedLines(next),
  ];
}

const stepLine = (step: RunStep): string =>
  `  runs        ${lineOf(step)}${step.where === "alone" ? "" : ` (a step ${step.where} the build)`}`;

function namedLine(word: string, views: readonly VertexView[], why: string): string[] {
  if (views.length === 0) return [];
  const names = views.map((view) => nodeName(view.plan.uniqueId));
  return [`  ${word.padEnd(12)}${firstOf(names, MOST_NAMED)} (${why})`];
}

/** Of what is not built, the roots: what is below them follows from that. */
function refusedLines({ refused }: NextRound): string[] {
  const roots = refused.filter(({ word }) => word.final === "dead");
  const lines = roots
    .slice(0, MOST_REFUSED)
    .map(({ view, word }) => `  not built   ${nodeName(view.plan.uniqueId)}: ${word.finalReason}`);
  const more = roots.length - MOST_REFUSED;
  const below = refused.length - roots.length;
  return [
    ...lines,
    ...(more > 0 ? [`  not built   … and ${more} more for such reasons`] : []),
    ...(below > 0
      ? [`  not built   ${counted(below, "vertex", "vertices")} below them, or not part of this retry`]
      : []),
  ];
}
