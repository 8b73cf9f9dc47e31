import { dataTest, live, nodeFailed, over, planOf, row, runOf, vertex } from "../support/run-builders.ts";
import type { Look } from "./fake-context.ts";

/** A run of two models and a test between them, as the ledger shows it: begun, green, red. */
export const plan = planOf([
  vertex("model.shop.orders"),
  dataTest("test.shop.unique_orders_id.abc123", ["model.shop.orders"]),
  vertex("model.shop.customers", ["model.shop.orders", "test.shop.unique_orders_id.abc123"]),
]);
export const begun: Look = {
  run: runOf(),
  plan,
  tasks: [live(1)],
  vertices: [row("model.shop.orders", "started", { startedAtMs: 1_700_000_000_000 })],
};
const good = (id: string) =>
  row(id, id.startsWith("test.") ? "pass" : "success", {
    consumerStartedAtMs: 1,
    ...(id.startsWith("test.") ? {} : { outcome: "green" }),
  });
export const green: Look = {
  run: runOf({ state: "green", verdict: "Every one of 3 vertices is good.", endedAtMs: 1_700_000_100_000 }),
  plan,
  tasks: [over(1)],
  vertices: plan.vertices.map((one) => good(one.uniqueId)),
};
export const red: Look = {
  run: runOf({ state: "red", verdict: "2 vertices are not good.", endedAtMs: 1_700_000_100_000 }),
  plan,
  tasks: [over(1, nodeFailed())],
  vertices: [
    row("model.shop.orders", "error", {
      message: "Database Error in model orders\n  no such column",
      final: "dead",
      finalReason: "No tries left.",
      outcome: "red",
    }),
    row("model.shop.customers", "skipped", {
      final: "doomed",
      finalReason: "Upstream failed: model.shop.orders",
      rootCause: "model.shop.orders",
    }),
    row("test.shop.unique_orders_id.abc123", "skipped", {
      final: "doomed",
      finalReason: "Upstream failed: model.shop.orders",
      rootCause: "model.shop.orders",
    }),
  ],
};
