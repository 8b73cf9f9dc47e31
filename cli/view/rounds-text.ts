import type { RunSummary } from "#core/run/reporting/summary.ts";
import { nodeName } from "./node-table.ts";

/** Rounds that are told one by one; older ones stand in `--json`. */
const MOST_ROUNDS = 3;

/** What went before in a run of several rounds, and what counts by a person's word. */
export function roundLines(summary: RunSummary): string[] {
  return [...resumedLine(summary), ...pastLines(summary), ...openedLine(summary), ...byHandLines(summary)];
}

const resumedLine = ({ resumed }: RunSummary): string[] =>
  resumed === null ? [] : [`  goes on with run ${resumed}: its plan, and what was good in it`];

function pastLines({ rounds }: RunSummary): string[] {
  const shown = rounds.slice(-MOST_ROUNDS);
  const older = rounds.length - shown.length;
  const lines = shown
    .filter(({ round }) => round > 0)
    .map(({ round, state, verdict }) => `  round ${round}  ${state}: ${verdict}`);
  return [...(older > 0 ? [`  … ${older} rounds before these: use --json for all`] : []), ...lines];
}

const OPENED_BY: Readonly<Record<string, string>> = {
  person: "",
  redrive: "Redrive on the run's execution",
  consumer: "Redrive on a node's consumer",
  run_retry: "runRetries",
  resume: "",
};

function openedLine({ round, opening }: RunSummary): string[] {
  if (opening === null) return [];
  const { by, who, reason, nodes } = opening;
  const opener = OPENED_BY[by] || who || by;
  const what = nodes === null ? "" : ` for ${nodes.map(nodeName).join(", ")}`;
  return [`  round ${round}  opened by ${opener}${what}${reason === null ? "" : `: ${reason}`}`];
}

const byHandLines = ({ byHand }: RunSummary): string[] =>
  byHand.map(({ uniqueId, as, by, at, reason }) => {
    const day = `${at.slice(0, 16).replace("T", " ")} UTC`;
    return `  by hand  ${nodeName(uniqueId)} ${as === "good" ? "good" : "skipped"}, ${by} ${day}: ${reason}`;
  });
