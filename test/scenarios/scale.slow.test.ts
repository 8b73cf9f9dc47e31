import { describe, expect, it } from "vitest";
import { brokenBudgets, NEW_ACCOUNT } from "../../bench/scale/budgets.ts";
import { type ModelFigures, modelRun } from "../../bench/scale/model.ts";
import { scaleProject } from "../../bench/scale/project.ts";
import { scaleRun as run } from "../support/scale-runs.ts";

/** Each kind of failure once; `npm run bench -- --only model` has each with each size. */
const LARGE = [
  { nodes: 3_000, tests: 20_000, nodeSeconds: 12, failing: "none" },
  { nodes: 3_000, tests: 20_000, nodeSeconds: 12, failing: "root" },
  { nodes: 10_000, tests: 10_000, nodeSeconds: 8, failing: "tenth" },
] as const;

it.each(LARGE)(
  "$nodes nodes with $tests tests under a virtual clock keep within every budget: $failing fails",
  async (shape) => {
    const figures = await modelRun({
      project: scaleProject({ ...shape, testSeconds: 1 }),
      threads: 32,
      pollSeconds: 5,
      watch: "wake",
      policy: { fallbacks: "together" },
    });
    expect(figures.state).toBe(shape.failing === "none" ? "green" : "red");
    expect(brokenBudgets(figures)).toEqual([]);
  },
);

const total = (uses: ModelFigures["writes"], of: "units" | "bytes"): number =>
  [...uses.values()].reduce((sum, use) => sum + use[of], 0);

describe("150 nodes with 1,000 tests under a virtual clock", () => {
  it("writes as much for a vertex as half the project does", async () => {
    const [half, whole] = [await run(75, "none"), await run(150, "none")];
    const each = (figures: ModelFigures, of: "units" | "bytes") => total(figures.writes, of) / figures.vertices;
    expect(each(whole, "units") / each(half, "units")).toBeLessThan(1.05);
    expect(each(whole, "bytes") / each(half, "bytes")).toBeLessThan(1.05);
  });

  it("ends the same in an account with ten Lambdas at once: what is refused is called again, and nothing is lost", async () => {
    const [narrow, wide] = [await run(150, "tenth", { places: NEW_ACCOUNT.lambdasAtOnce }), await run(150, "tenth")];
    expect(narrow.functions.get("watch-node")!.throttled).toBeGreaterThan(0);
    expect(brokenBudgets(narrow, NEW_ACCOUNT)).toEqual([]);
    expect(narrow.verdict).toBe(wide.verdict);
    expect(narrow.consumers).toBe(wide.consumers);
  });

  it("D21: in an account with six vCPUs what ECS refuses waits for room, uses no try, and ends the same", async () => {
    const narrow = { places: NEW_ACCOUNT.lambdasAtOnce, vcpu: NEW_ACCOUNT.fargateVcpu };
    const usual = await run(150, "tenth", narrow);
    expect(usual.refusedLaunches).toBe(0);
    expect(brokenBudgets(usual, NEW_ACCOUNT)).toEqual([]);
    const wide = { maxTasks: 12, policy: { fallbacks: "alone" } };
    const waited = await run(150, "tenth", { ...narrow, ...wide });
    expect(waited.refusedLaunches).toBeGreaterThan(0);
    expect(brokenBudgets(waited, NEW_ACCOUNT)).toEqual([]);
    expect(waited.verdict).toBe((await run(150, "tenth", wide)).verdict);
  });
});
