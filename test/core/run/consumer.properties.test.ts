import { expect, it } from "vitest";
import { hasConsumer } from "#core/run/planning/plan.ts";
import { consumerAnswer, rowsOfConsumer, waitsByItsRow } from "#core/run/watching/consumer.ts";
import { runOf } from "../../support/run-builders.ts";
import { randomProject } from "../../support/simulated-project.ts";
import { Random } from "../../support/simulated-random.ts";
import { simulateRun } from "../../support/simulated-run.ts";

it("a node's own row says that its consumer waits only where the rows around it say the same, in any run at any moment", () => {
  let asked = 0;
  for (let seed = 1; seed <= 150; seed += 1) {
    const random = new Random(seed);
    simulateRun(randomProject(random), random, ({ plan, rows, tasks }) => {
      if (plan === null) return;
      const nodes = new Set(plan.vertices.filter(hasConsumer).map(({ uniqueId }) => uniqueId));
      for (const row of rows.filter(({ uniqueId }) => nodes.has(uniqueId))) {
        if (!waitsByItsRow(row)) continue;
        asked += 1;
        const near = new Set(rowsOfConsumer(plan, row.uniqueId));
        const read = rows.filter(({ uniqueId }) => near.has(uniqueId));
        expect(consumerAnswer(plan, row.uniqueId, read, tasks, runOf()), `seed ${seed}`).toEqual({ state: "waiting" });
      }
    });
  }
  expect(asked).toBeGreaterThan(1_000);
});
