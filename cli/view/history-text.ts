import { counted } from "#core/counted.ts";
import { sparkline, type Trend } from "#core/run/reporting/history.ts";
import type { HistoryEntry } from "../commands/history.ts";
import { dollars } from "./cost-text.ts";
import { duration } from "./style.ts";

/** Runs, newest first, below what they have in common. @param entries oldest first */
export function historyText(name: string, entries: readonly HistoryEntry[], trend: Trend): string[] {
  return [
    headLine(name, trend),
    ...timesLines(entries, trend),
    ...costLines(entries),
    "",
    ...entries.toReversed().map(entryLine),
  ];
}

function headLine(name: string, { ended, good, flaky }: Trend): string {
  const flakes = flaky === 0 ? "" : `, ${flaky} of them after a retry`;
  return `${name}: ${counted(ended, "run")}, ${good} good${flakes}`;
}

function timesLines(entries: readonly HistoryEntry[], { p50Ms, p95Ms, slower }: Trend): string[] {
  if (p50Ms === null || p95Ms === null) return [];
  const bars = sparkline(entries.map(({ isGood, tookMs }) => (isGood ? tookMs : null)));
  return [
    `  took   ${duration(p50Ms)} (half of the good ones), ${duration(p95Ms)} (95 %)  ${bars}${trendWords(slower)}`,
  ];
}

/** Less than so much is no trend. */
const WORTH_TELLING = 0.1;

function trendWords(slower: number | null): string {
  if (slower === null || Math.abs(slower) < WORTH_TELLING) return "";
  const percent = Math.round(Math.abs(slower) * 100);
  return `  ${percent} % ${slower > 0 ? "slower" : "faster"} in the newer half`;
}

function costLines(entries: readonly HistoryEntry[]): string[] {
  const known = entries.flatMap(({ usd }) => (usd === null ? [] : [usd]));
  if (known.length === 0) return [];
  const sum = known.reduce((all, usd) => all + usd, 0);
  return [`  cost   estimated ${dollars(sum)} in ${counted(known.length, "run")}, ${dollars(sum / known.length)} each`];
}

function entryLine({ runId, state, startedAt, tookMs, retried, tries, usd }: HistoryEntry): string {
  const took = tookMs === null ? "" : duration(tookMs);
  const again = !retried || tries === null ? "" : usd === null ? `${tries} tries` : `${tries} retried`;
  const cost = usd === null ? "" : dollars(usd);
  const columns = [runId, state.padEnd(8), startedAt.slice(0, 16).replace("T", " "), took.padStart(12), cost, again];
  return columns
    .filter((column) => column !== "")
    .join("  ")
    .trimEnd();
}
