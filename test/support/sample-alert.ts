import type { Alert } from "#core/run/alerts/alert.ts";

/** A data test of a nightly run that found rows: the sample of docs/alerts.md. */
export const sampleAlert: Alert = {
  kind: "failed",
  again: false,
  project: "shop",
  runId: "20260301-030000-0a1b2c3d",
  uniqueId: "test.shop.unique_orders_order_id.fed79b3a6e",
  words:
    "test.shop.unique_orders_order_id.fed79b3a6e failed: Got 2 results, configured to fail if != 0\nNot tried again: a data test that ran comes to the same each time (retryOn: transient).",
  owner: { name: "Finance", email: "finance@example.com", group: "finance" },
  gates: 4,
  failures: 2,
  relation: '"shop"."dbt_test__audit"."unique_orders_order_id"',
  rows: {
    columns: ["order_id", "amount"],
    rows: [
      ["17", "12.50"],
      ["18", null],
    ],
  },
  since: null,
  commands: [
    "npx stepwatch why 20260301-030000-0a1b2c3d --stack stepwatch",
    "npx stepwatch retry 20260301-030000-0a1b2c3d --stack stepwatch",
  ],
  url: "https://eu-west-1.console.aws.amazon.com/states/home?region=eu-west-1#/v2/executions/details/arn:aws:states:eu-west-1:123456789012:execution:stepwatch-run:20260301-030000-0a1b2c3d",
};
