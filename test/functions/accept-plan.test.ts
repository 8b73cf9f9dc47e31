import { beforeEach, describe, expect, it } from "vitest";
import type { Ledger } from "#clients/ledger.ts";
import { planReader } from "#clients/plan-reader.ts";
import type { TaskRow } from "#core/contracts/ledger.ts";
import { PlanRefused } from "#core/errors.ts";
import { artefactKeys } from "#core/names.ts";
import type { Plan } from "#core/run/planning/plan.ts";
import { MOST_NODES, MOST_PLAN_BYTES, MOST_PLANNED } from "#core/run/planning/plan-bounds.ts";
import { acceptedPlan } from "../../functions/check-run/accept-plan.ts";
import { FakeArtefacts } from "../support/fake-clients.ts";
import { runRow, taskRow } from "../support/ledger-rows.ts";
import { memoryLedger } from "../support/memory-ledger.ts";
import { planOf, vertex } from "../support/run-builders.ts";

const key = { project: "shop", runId: "20260101-000000-abcdef01", round: 1 };
const run = runRow(key);
const own = (task: number) => artefactKeys.plan(key.project, key.runId, task);
const plan: Plan = { ...planOf([vertex("model.shop.a"), vertex("model.shop.b", ["model.shop.a"])]), ...key };

let ledger: Ledger;
let artefacts: FakeArtefacts;

beforeEach(async () => {
  ledger = memoryLedger();
  artefacts = new FakeArtefacts();
  await ledger.createRun(run);
});

const accept = (tasks: readonly TaskRow[], stop: Parameters<typeof acceptedPlan>[2] = null) =>
  acceptedPlan(run, tasks, stop, { ledger, readPlan: planReader(artefacts) });
const told = (toldPlanKey: string, changes: Partial<TaskRow> = {}) => taskRow(1, { toldPlanKey, ...changes });
const planKeyOfRun = async () => (await ledger.readRun(key))?.planKey;

describe("D22: the plan that a container tells", () => {
  it("D22: is the run's, with its own count, once check-run has accepted it", async () => {
    await artefacts.putJson(own(1), plan);
    expect(await accept([told(own(1))])).toBe(own(1));
    expect(await ledger.readRun(key)).toMatchObject({ planKey: own(1), plannedVertices: 2, plannedNodes: 2 });
    expect(await accept([told(own(1))]), "again").toBe(own(1));
  });

  it("D22: counts only of a task that was launched to make one, in this run, and under its own prefix", async () => {
    for (const task of [1, 2]) await artefacts.putJson(own(task), plan);
    const elsewhere = [
      "runs/shop/other/tasks/1/plan.json",
      "runs/other/run/tasks/1/plan.json",
      own(2),
      "plan.json",
      "",
    ];
    for (const planKey of elsewhere) {
      artefacts.texts.set(planKey, JSON.stringify(plan));
      await expect(accept([told(planKey)]), planKey).rejects.toThrow(/not under the prefix of task 1/);
    }
    for (const kind of ["fallback", "recovery", "hooks"] as const)
      expect(await accept([told(own(1), { kind })]), kind).toBeUndefined();
    expect(await accept([told(own(1), { round: 0 })]), "adopted").toBeUndefined();
    expect(await planKeyOfRun()).toBeUndefined();
    expect(await accept([taskRow(1), taskRow(2, { kind: "plan", toldPlanKey: own(2) })])).toBe(own(2));
  });

  it("D22: is waited for while it is not there", async () => {
    expect(await accept([told(own(1))])).toBeUndefined();
  });

  const many = (count: number) => Array.from({ length: count }, (_, at) => vertex(`model.shop.m${at}`));
  it.each<[string, unknown, RegExp]>([
    ["of another run", { ...plan, runId: "other" }, /it is of run other of shop\.$/],
    ["of another project", { ...plan, project: "other" }, /it is of run .* of other\.$/],
    ["with too many vertices", { ...plan, vertices: many(MOST_PLANNED + 1) }, /100001 vertices, more than 100000\.$/],
    ["with too many nodes", { ...plan, vertices: many(MOST_NODES + 1) }, /30001 nodes, more than 30000\.$/],
    [
      "with an id twice",
      { ...plan, vertices: [...plan.vertices, vertex("model.shop.a")] },
      /names 1 of its vertices twice/,
    ],
    ["with an id of two lines", { ...plan, vertices: [vertex("model.shop.a\nb")] }, /"model\.shop\.a\\nb" is no id/],
    ["with an empty id", { ...plan, vertices: [vertex("")] }, /"" is no id/],
    ["with an id without end", { ...plan, vertices: [vertex(`model.shop.${"x".repeat(5_000)}`)] }, /is no id/],
    ["that is no plan", { vertices: "all" }, /contract: /],
    ["that is a list", [plan], /\S/],
  ])("D22: %s is refused with one sentence, and nothing is done with it", async (_, value, sentence) => {
    await artefacts.putJson(own(1), value);
    const refusal = await accept([told(own(1))]).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(PlanRefused);
    expect((refusal as PlanRefused).message).toMatch(sentence);
    expect((refusal as PlanRefused).message).not.toContain("\n");
    expect(await planKeyOfRun()).toBeUndefined();
    const stop = { reason: "A person stopped it.", afterCurrent: false };
    expect(await accept([told(own(1))], stop), "a run that is stopped ends without it").toBeUndefined();
  });

  it("D22: of too many bytes, or cut off, is refused unread", async () => {
    artefacts.texts.set(own(1), `"${"x".repeat(MOST_PLAN_BYTES)}"`);
    await expect(accept([told(own(1))])).rejects.toThrow(/bytes, more than 90000000/);
    artefacts.texts.set(own(1), '{"contract": 1, ');
    await expect(accept([told(own(1))])).rejects.toThrow(PlanRefused);
  });

  it("D22: of the largest size that is taken is taken", async () => {
    const tests = Array.from({ length: MOST_PLANNED - MOST_NODES }, (_, at) => vertex(`test.shop.t${at}`));
    await artefacts.putJson(own(1), { ...plan, vertices: [...many(MOST_NODES), ...tests] });
    expect(await accept([told(own(1))])).toBe(own(1));
  });
});
