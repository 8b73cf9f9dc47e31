import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canBeGood } from "../../support/simulated-oracle.ts";
import { type ProjectOptions, randomProject } from "../../support/simulated-project.ts";
import { Random } from "../../support/simulated-random.ts";
import { simulateRun } from "../../support/simulated-run.ts";

const seed = Number(process.env.STEPWATCH_TEST_SEED ?? Date.now() % 1_000_000_000);

/**
 * Every run of the simulator holds the invariants of docs/design.md; see test/support/simulated-run.ts. Answers how many
 * vertices were taken from builds that went on.
 */
function holds(runs: number, options: ProjectOptions): number {
  let early = 0;
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 31 }), (number) => {
      const random = new Random(number);
      const project = randomProject(random, options);
      const able = canBeGood(project);
      const end = simulateRun(project, random);
      early += end.early;
      const expected = [...able.values()].every(Boolean) ? "green" : "red";
      expect(end.verdict.state === "green" || end.verdict.causes.length > 0).toBe(true);
      expect([end.verdict.state, end.verdict.sentence][0], end.verdict.sentence).toBe(
        able.size === 0 ? "red" : expected,
      );
      // What was built on what never becomes good is good by dbt's word: whether it came to that is a matter of chance.
      const exact =
        !project.failFast && !options.continues && ![...project.vertices.values()].some((one) => one.unreported);
      if (!exact) return;
      for (const [id, good] of able) expect(end.warehouse.table(id).good, `${id} ends good`).toBe(good);
    }),
    { seed, numRuns: runs, endOnFailure: true },
  );
  return early;
}

describe(`the step on random projects (STEPWATCH_TEST_SEED=${seed})`, () => {
  it("ends every run as its vertices allow, and breaks no invariant on the way", () => {
    holds(700, {});
  });

  it("does so with larger projects", () => {
    holds(150, { mostNodes: 25 });
  });

  it("B8: a fail-fast build is resumed if its failure recovers", () => {
    holds(200, { failFast: true });
  });

  it("B7: what dbt built on a failed parent is built again once that is good, and nothing is older than its parent", () => {
    holds(300, { continues: true, failFast: false });
    holds(100, { continues: true, mostNodes: 20, policy: { onTestFailure: "node" } });
  });

  it("C12: under onTestFailure: node everything is younger than what it was built from", () => {
    holds(200, { policy: { onTestFailure: "node" } });
  });

  it("G19: recovery: early takes from a live build only what dbt can not touch there, and ends every run as after does", () => {
    const early = { recovery: "early", retryDelaySeconds: 0, holdSeconds: 0 };
    const taken = holds(500, { policy: early, mostNodes: 14 }) + holds(300, { policy: { recovery: "early" } });
    expect(taken).toBeGreaterThan(100);
    holds(100, { policy: { recovery: "early" }, mostNodes: 25 });
    holds(100, { policy: { recovery: "early", onTestFailure: "node" } });
  });

  it("G21: killers do not drag others down", () => {
    holds(200, { killers: true, unreported: false, mostNodes: 14, policy: { retryDelaySeconds: 0 } });
  });

  it("B4: an ephemeral that fails without a word makes no run green, frees nothing below it, and ends every run", () => {
    let failedQuietly = 0;
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 31 }), (number) => {
        const random = new Random(number);
        // Without gaps: a gate through a model that the selection leaves out is no reading of the ephemeral.
        const project = randomProject(random, { quiet: true, failFast: false, unreported: false, gaps: false });
        const { plan } = project;
        // One that fails once is built again without a word of its own: it costs no try.
        const once = [...project.vertices].map(
          ([id, one]) => [id, one.failures === 1 && one.quiet ? { ...one, failures: 0 } : one] as const,
        );
        const able = canBeGood({ ...project, vertices: new Map(once) });
        const { verdict } = simulateRun(project, random);
        const hopeless = plan.vertices.some(({ uniqueId, builds }) => builds && able.get(uniqueId) === false);
        if (hopeless) expect(verdict.state, verdict.sentence).toBe("red");
        if ([...project.vertices.values()].some((one) => one.quiet && one.failures > 0)) failedQuietly += 1;
      }),
      { seed, numRuns: 500, endOnFailure: true },
    );
    expect(failedQuietly).toBeGreaterThan(100);
  });
});
