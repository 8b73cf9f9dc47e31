import { NOTHING_TO_BUILD, type NodeReport } from "#core/run/reporting/report.ts";
import type { Tone } from "./style.ts";

/** How a node looks to a person: one word, one mark, one colour. */
export interface NodeState {
  readonly word:
    | "waiting"
    | "running"
    | "testing"
    | "green"
    | "nothing to do"
    | "red"
    | "skipped"
    | "upstream failed"
    | "not built"
    | "interrupted";
  readonly mark: string;
  readonly tone: Tone;
}

const STATES = {
  waiting: { word: "waiting", mark: "·", tone: "dim" },
  running: { word: "running", mark: "▸", tone: "blue" },
  testing: { word: "testing", mark: "▸", tone: "blue" },
  green: { word: "green", mark: "✔", tone: "green" },
  nothingToDo: { word: "nothing to do", mark: "-", tone: "dim" },
  red: { word: "red", mark: "✘", tone: "red" },
  skipped: { word: "skipped", mark: "-", tone: "dim" },
  upstreamFailed: { word: "upstream failed", mark: "✘", tone: "red" },
  notBuilt: { word: "not built", mark: "-", tone: "yellow" },
  interrupted: { word: "interrupted", mark: "✘", tone: "yellow" },
} as const satisfies Record<string, NodeState>;

/**
 * A node with its tests, as one word. Built but with tests still to come is `testing`, not green: a test that fails a
 * moment later must not turn a green line red.
 */
export function nodeState(node: NodeReport): NodeState {
  switch (node.class) {
    case "waiting":
      return STATES.waiting;
    case "running":
      return STATES.running;
    case "skipped":
      return STATES.skipped;
    case "doomed":
      return STATES.upstreamFailed;
    case "interrupted":
      return STATES.interrupted;
    case "not_built":
      return STATES.notBuilt;
    case "failed":
      return STATES.red;
    case "good":
      return builtState(node);
  }
}

function builtState(node: NodeReport): NodeState {
  if (node.outcome === "green") return STATES.green;
  // dbt 2 calls an ephemeral a no-op; the others say nothing of it.
  if ([NOTHING_TO_BUILD, "no-op"].includes(node.status ?? "") && node.tests.length === 0) return STATES.nothingToDo;
  if (node.outcome === "red" || node.tests.some((test) => test.class === "failed" || test.class === "interrupted"))
    return STATES.red;
  const open = node.tests.some((test) => test.class === "waiting" || test.class === "running");
  return open ? STATES.testing : STATES.green;
}

/** A node that will not change by itself while the run goes on; the others are what a person watches. */
export const isSettled = (node: NodeReport): boolean =>
  !["waiting", "running", "testing"].includes(nodeState(node).word);
