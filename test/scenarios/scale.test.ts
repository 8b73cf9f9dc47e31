import { describe, expect, it } from "vitest";
import { brokenBudgets } from "../../bench/scale/budgets.ts";
import type { ModelFigures } from "../../bench/scale/model.ts";
import { FAILING } from "../../bench/scale/project.ts";
import { scaleRun as run } from "../support/scale-runs.ts";

describe("150 nodes with 1,000 tests under a virtual clock", () => {
  it.each(FAILING)("keeps within every budget: %s fails", async (failing) => {
    const figures = await run(150, failing);
    expect(figures.state).toBe(failing === "none" ? "green" : "red");
    expect(brokenBudgets(figures)).toEqual([]);
  });

  it("F17: a consumer that waits for a test which it shares with a node built much later costs nothing while it waits", async () => {
    const turns = ({ transitions, consumers }: ModelFigures) => transitions.consumers / consumers;
    const [alone, shared] = [await run(150, "none"), await run(150, "none", { shared: 0.4 })];
    expect(turns(shared) / turns(alone)).toBeLessThan(1.1);
    expect(shared.transitions.run / alone.transitions.run).toBeLessThan(1.1);
    const [polled, polledShared] = [
      await run(150, "none", { watch: "poll" }),
      await run(150, "none", { watch: "poll", shared: 0.4 }),
    ];
    expect(turns(polledShared)).toBeGreaterThan(turns(polled));
  });

  it("a turn of a consumer whose node is being built reads its row and the run's, not the plan's neighbours", async () => {
    const { reads, consumers } = await run(150, "none");
    // Two looks of two rows of the node and twice the run's each; by its tests and their gates it were fifty.
    expect(reads.get("watch-node")!.rows / consumers).toBeLessThanOrEqual(8);
  });
});
