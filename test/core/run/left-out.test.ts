import { describe, expect, it } from "vitest";
import { verdict } from "#core/run/reporting/verdict.ts";
import { consumerAnswer, consumersDue } from "#core/run/watching/consumer.ts";
import {
  dataTest,
  decide,
  launchesOf,
  live,
  nodeFailed,
  over,
  planOf,
  policyOf,
  row,
  runOf,
  vertex,
} from "../../support/run-builders.ts";

const leftOut = { leftOut: "Its source has no new rows." };
const plan = planOf([vertex("stale", [], leftOut), vertex("child", ["stale"]), dataTest("test.child", ["child"])]);
const ask = (rows: Parameters<typeof decide>[0]["rows"] = []) => ({ plan, rows, tasks: [over(1)], policy: policyOf() });

describe("a vertex that our own policy leaves out", () => {
  it("B2: is skipped: neither built, nor red, nor retried, also where the build ended in order without a word on it", () => {
    const rows = [row("child", "success"), row("test.child", "pass")];
    expect(decide({ plan, rows, tasks: [over(1)] })).toMatchObject({ launches: [], finals: [], settle: true });
    expect(verdict({ ...ask(rows), stopReason: null, selectsByState: false })).toMatchObject({
      state: "green",
      causes: [],
    });
  });

  it("B2: gates nothing: its child is retried, and follows in a recovery build, as dbt lets through what is not selected", () => {
    const failed = decide({
      plan,
      rows: [row("child", "error"), row("test.child", "skipped")],
      tasks: [over(1, nodeFailed())],
    });
    expect(launchesOf(failed)).toEqual([{ kind: "fallback", set: ["child", "test.child"] }]);
    const interrupted = planOf([...plan.vertices, vertex("b")]);
    const rows = [row("b", "success")];
    const cut = decide({
      plan: interrupted,
      rows,
      tasks: [over(1, { inOrder: false, exitCode: null, signal: "SIGKILL" })],
    });
    expect(launchesOf(cut)).toEqual([{ kind: "recovery", set: ["child", "test.child"] }]);
  });

  it("B2: a word of dbt about it wins: what was built all the same is told as dbt tells it", () => {
    const rows = [row("stale", "error"), row("child", "skipped"), row("test.child", "skipped")];
    expect(launchesOf(decide({ plan, rows, tasks: [over(1, nodeFailed())] }))).toEqual([
      { kind: "fallback", set: ["stale"] },
    ]);
  });

  it("F2: its consumer, if it has one, ends as skipped", () => {
    expect(consumersDue(plan, [], "build")).toEqual([]);
    expect(consumerAnswer(plan, "stale", [], [live(1)], runOf())).toMatchObject({ state: "skipped" });
  });
});
