import { expect, test } from "vitest";
import type { Plan, PlanVertex } from "#core/run/planning/plan.ts";
import { summarise, verdictOf } from "#core/run/reporting/summary.ts";
import { warningEvents } from "#core/run/reporting/warning-events.ts";
import { whyOf } from "#core/run/reporting/why.ts";
import { consumerAnswer, consumersDue, rowsOfConsumer } from "#core/run/watching/consumer.ts";
import { dataTest, over, planOf, row, runOf, vertex } from "../../support/run-builders.ts";

const SMALL = 60;
const TEN_TIMES = 10;

test("the reads of a plan grow with its vertices, not with their square: summary, verdict, events, consumers due", () => {
  const asked = (plan: Plan) => {
    const run = runOf({ state: "red" });
    const rows = plan.vertices.map(({ uniqueId, resourceType }, at) =>
      row(uniqueId, resourceType === "test" ? ["pass", "warn", "fail"][at % 3]! : "success"),
    );
    const input = { run, plan, rows, tasks: [over(1)], nowMs: 20_000 };
    verdictOf(input);
    consumersDue(plan, rows, "after_each");
    warningEvents(summarise(input), plan);
  };
  expect(readsOf(TEN_TIMES * SMALL, asked)).toBeLessThan(1.2 * TEN_TIMES * readsOf(SMALL, asked));
});

test("why grows with the vertices too, however many of them failed", () => {
  const asked = (plan: Plan) => {
    const rows = plan.vertices.map(({ uniqueId, resourceType }) => {
      const word = { final: resourceType === "test" ? ("dead" as const) : ("doomed" as const), finalReason: "x" };
      return row(uniqueId, resourceType === "test" ? "fail" : "skipped", { ...word, rootCause: "test.shop.t_0" });
    });
    const input = { plan, rows, tasks: [over(1)], nowMs: 20_000, results: new Map(), samples: new Map() };
    whyOf({ ...input, run: runOf({ state: "red", input: { project: "shop" } }), usualMs: new Map() });
  };
  expect(readsOf(TEN_TIMES * SMALL, asked)).toBeLessThan(1.2 * TEN_TIMES * readsOf(SMALL, asked));
});

test("F10: a consumer that knows its plan reads what is near its node, however many vertices the plan has", () => {
  const asked = (plan: Plan) => {
    const node = plan.vertices[0]!.uniqueId;
    const near = rowsOfConsumer(plan, node);
    consumerAnswer(
      plan,
      node,
      near.map((id) => row(id, "success")),
      [over(1)],
      runOf(),
    );
  };
  expect(readsOf(TEN_TIMES * SMALL, asked, asked)).toBe(readsOf(SMALL, asked, asked));
});

/** How often attributes of a plan's vertices are read by `work`, after `before` has seen the same plan. */
function readsOf(nodes: number, work: (plan: Plan) => void, before: (plan: Plan) => void = () => undefined): number {
  let reads = 0;
  const counted = (one: PlanVertex): PlanVertex =>
    new Proxy(one, {
      get: (target, name) => {
        reads += 1;
        return Reflect.get(target, name);
      },
    });
  const ids = Array.from({ length: nodes }, (_, at) => `model.shop.m_${at}`);
  const models = ids.map((id, at) => vertex(id, at === 0 ? [] : [ids[at - 1]!]));
  const tests = ids.map((id, at) => dataTest(`test.shop.t_${at}`, [id]));
  const plan = planOf([...models, ...tests].map(counted));
  before(plan);
  reads = 0;
  work(plan);
  expect(reads).toBeGreaterThan(0);
  return reads;
}
