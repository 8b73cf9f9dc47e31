import { expect, it } from "vitest";
import { costOf } from "#core/run/reporting/estimate.ts";
import { costText, dollars } from "../../cli/view/cost-text.ts";

it("the cost of a run is one line with its parts, labelled as an estimate of which list", () => {
  const task = { seconds: 600, vcpu: 1, gib: 2, publicAddress: true };
  const facts = { consumers: 185, vertices: 300, buildSeconds: 500, turns: 15, consumerTurns: null, events: 0 };
  expect(costText(costOf({ ...facts, tasks: [task] }, true))).toMatch(
    /^cost estimated \$0\.0\d\d: Fargate \$0\.0082, address \$0\.0008, states \$0\.00\d\d, Lambda \$0\.000\d, DynamoDB \$0\.00\d\d, S3 .*, logs \$0\.000\d \(list prices of us-east-1, 2026-11, Spot as on demand\)$/,
  );
});

it.each([
  [0, "$0.00"],
  [0.000_04, "$0.00"],
  [0.0042, "$0.0042"],
  [0.0215, "$0.021"],
  [12.4, "$12.40"],
])("%d dollars are %s", (usd, text) => {
  expect(dollars(usd)).toBe(text);
});
