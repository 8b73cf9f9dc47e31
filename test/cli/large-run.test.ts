import { expect, it } from "vitest";
import { summarise } from "#core/run/reporting/summary.ts";
import { whyOf } from "#core/run/reporting/why.ts";
import { tableFrame } from "../../cli/view/run-view.ts";
import { plain } from "../../cli/view/style.ts";
import { statusText } from "../../cli/view/summary-text.ts";
import { whyText } from "../../cli/view/why-text.ts";
import { dataTest, over, planOf, row, runOf, vertex } from "../support/run-builders.ts";

const NODES = 10_000;
const dead = { message: 'column "x" does not exist', final: "dead" as const, finalReason: "Not tried again." };

/** A tenth of the models failed, each with a test that was not run by it. */
function largeRun(nodes: number) {
  const ids = Array.from({ length: nodes }, (_, at) => `model.shop.m_${at}`);
  const tests = ids.map((id, at) => dataTest(`test.shop.t_${at}.0123456789`, [id]));
  const rows = ids.flatMap((id, at) => {
    if (at % 10 > 0) return [row(id, "success"), row(tests[at]!.uniqueId, "pass")];
    const doomed = { final: "doomed" as const, finalReason: `Upstream failed: ${id}`, rootCause: id };
    return [row(id, "error", dead), row(tests[at]!.uniqueId, "skipped", doomed)];
  });
  const run = runOf({ state: "red", verdict: "2000 vertices are not good.", endedAtMs: 2_900_000 });
  const none = { results: new Map(), samples: new Map(), usualMs: new Map() };
  return { run, plan: planOf([...ids.map((id) => vertex(id)), ...tests]), rows, tasks: [over(1)], nowMs: 3e6, ...none };
}

/** What a person sees of a run, and the processor's time that it takes. Milliseconds. */
function looked(nodes: number) {
  const input = largeRun(nodes);
  const before = process.cpuUsage();
  const summary = summarise(input);
  const status = statusText(summary, { width: 79, height: 20 }, plain, 3e6);
  const frame = tableFrame(summary, { terminal: { columns: 80, rows: 30 } as never, paint: plain, now: () => 3e6 });
  const why = whyOf(input);
  const told = { why, roots: why.roots, about: null, live: [], next: [], variables: [] };
  const text = whyText({ ...told, dbt: (args) => ["dbt", ...args] }, 79, plain);
  const { user, system } = process.cpuUsage(before);
  return { status, frame, text, cpuMs: (user + system) / 1_000 };
}

it("status, why and the live view of 10,000 nodes are a page each", () => {
  const { status, frame, text } = looked(NODES);
  for (const lines of [status, frame, text]) expect(lines.length).toBeLessThan(100);
  expect(frame.every((line) => line.length < 80)).toBe(true);
  expect(status.join("\n")).toContain("18000 good, 1000 failed, 1000 upstream failed (10000 models, 10000 tests)");
  expect(status.join("\n")).toContain("m_0, m_10, m_20, 997 more failed");
  expect(status.join("\n")).toMatch(/… and \d+ green, \d+ red/);
  expect(text.join("\n")).toContain("1000 root causes, 1000 vertices not built because of them.");
});

it("their work grows with the nodes, and not with their square", () => {
  // By the machine's own measure: sixteen times the nodes would be 256 times the work. The first look pays for the code.
  looked(500);
  const small = Math.min(looked(500).cpuMs, looked(500).cpuMs);
  expect(looked(8_000).cpuMs / small).toBeLessThan(100);
});
