import type { BackfillState, WindowState } from "#core/backfill.ts";
import { counted } from "#core/counted.ts";
import { sameOptions } from "../command-line.ts";
import type { CommonOptions } from "../context.ts";
import { duration, type Paint, type Tone } from "../view/style.ts";
import type { BackfillLook, WindowLook } from "./look.ts";

const LOOKS: Readonly<Record<WindowState, { mark: string; tone: Tone }>> = {
  green: { mark: "✔", tone: "green" },
  red: { mark: "✘", tone: "red" },
  stopped: { mark: "✘", tone: "red" },
  running: { mark: "▶", tone: "blue" },
  "not built": { mark: "-", tone: "yellow" },
  waiting: { mark: "·", tone: "dim" },
};

/** `✔ 2026-01-31  green    20260131-…   1 min 05 s`, and what its verdict says where it is not green. */
export function windowLine({ window, state, runId, verdict, tookMs }: WindowLook, paint: Paint): string {
  const { mark, tone } = LOOKS[state];
  const took = tookMs === null ? "" : duration(tookMs);
  const said = state === "green" || verdict === null ? "" : (verdict.split("\n")[0] ?? "");
  const columns = [window.window, state.padEnd(9), runId ?? "", took, said].filter((column) => column !== "");
  return `${paint(tone, mark)} ${columns.join("  ").trimEnd()}`;
}

/** How many windows are in which state, as one line. */
function windowCounts({ input, windows }: Pick<BackfillLook, "input" | "windows">): string {
  const { project, by } = input.backfill;
  const states = Object.keys(LOOKS) as WindowState[];
  const counts = states
    .map((state) => ({ state, count: windows.filter((one) => one.state === state).length }))
    .filter(({ count }) => count > 0);
  const range = `${windows[0]?.window.window} to ${windows.at(-1)?.window.window}`;
  return `${counted(windows.length, by)} of ${project}, ${range}: ${counts.map(({ state, count }) => `${count} ${state}`).join(", ")}`;
}

/** All of it, and what to do next. */
export function backfillLines(look: BackfillLook, paint: Paint, flags: CommonOptions): string[] {
  const { state, windows } = look;
  const tones: Record<BackfillState, Tone> = { green: "green", red: "red", stopped: "red", running: "blue" };
  return [
    `${paint(tones[state], state)}  ${windowCounts(look)}`,
    "",
    ...windows.map((window) => `  ${windowLine(window, paint)}`),
    ...nextLines(look, flags),
  ];
}

function nextLines({ input, state, windows }: BackfillLook, flags: CommonOptions): string[] {
  const { id } = input.backfill;
  const options = sameOptions(flags);
  if (state === "green") return [];
  if (state === "running") return ["", "Look further:", `  npx stepwatch backfill status ${id}${options}`];
  const red = windows.find((one) => one.state === "red");
  const why = red?.runId == null ? [] : [`  npx stepwatch why ${red.runId}${options}`];
  return ["", "Next:", ...why, `  npx stepwatch backfill retry ${id}${options}`];
}

/** What `--json` prints. */
export const backfillJson = ({ input: { backfill }, state, windows }: BackfillLook) => ({
  contract: 1,
  backfill: backfill.id,
  project: backfill.project,
  by: backfill.by,
  state,
  windows: windows.map(({ window, state: of, runId, verdict }) => ({
    ...{ window: window.window, scheduledTime: window.input.scheduledTime, state: of, runId, verdict },
  })),
});
