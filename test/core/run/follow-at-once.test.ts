import { expect, it } from "vitest";
import { policySchema } from "#core/contracts/settings.ts";
import { mayFollowAtOnce } from "#core/run/deciding/early-refusal.ts";
import { planOf, vertex } from "../../support/run-builders.ts";

it.each([
  // what the plan and the policy say, and whether a recovery may begin before the fallback's dbt has ended
  [{}, {}, true],
  [{ adapterType: "duckdb" }, {}, false],
  [{ adapterType: "duckdb", manyWriters: true }, {}, true],
  [{ dbtVersion: "2.0.0" }, {}, false],
  [{}, { backup: "end" }, false],
  [{ hookCount: 1 }, {}, false],
  [{ endHooks: true }, {}, false],
  [{ endHooks: true }, { concurrentHooks: true }, true],
  [{ endHooks: true }, { hooks: "once" }, true],
])("F13: of a plan with %j and a policy of %j what a fallback gates may follow at once: %s", (of, policy, may) => {
  const plan = { ...planOf([vertex("a")]), adapterType: "postgres", dbtVersion: "1.11.2", hookCount: 0, ...of };
  expect(mayFollowAtOnce({ ...plan, endHooks: false, ...of }, policySchema.parse(policy))).toBe(may);
});
