import { expect, test } from "vitest";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import { runProject, startProject } from "../support/cli.ts";
import { endedConsumers } from "../support/consumers.ts";
import { dbtPid } from "../support/containers.ts";
import { nodeOf, orchardId } from "../support/orchard.ts";
import { ownStack } from "../support/own-stack.ts";
import { statusOnce } from "../support/run-status.ts";
import { askPostgres } from "../support/warehouse.ts";

const deployed = ownStack();

/** A producer that goes on for a minute, by `quince`, and comes to what is below `apple` and `pear` after some seconds. */
const early = (fail: Record<string, number>) => [
  "--policy",
  "recovery=early",
  "--vars",
  JSON.stringify({ fail, slow: { quince: 60, pear: 15 } }),
];

/** What the models themselves have written in their own transactions: how often each was built, and when last. */
async function audit(runId: string): Promise<Map<string, { times: number; beganAt: number }>> {
  const rows = await askPostgres(
    deployed,
    `select name, count(*), extract(epoch from max(noted_at)) from orchard.builds where run_id = '${runId}' group by 1`,
  );
  return new Map(rows.map(([name, times, at]) => [String(name), { times: Number(times), beganAt: Number(at) }]));
}

const EDGES = [
  ["apple", "apple_juice"],
  ["apple_juice", "apple_cider"],
  ["apple_juice", "mixed_jam"],
  ["pear", "mixed_jam"],
  ["pear", "pear_tart"],
  ["plum", "plum_cake"],
  ["plum_cake", "quince_jelly"],
  ["quince", "quince_jelly"],
] as const;

/** Each was built once, and none before what it reads. */
async function expectBuilt(runId: string, names: number): Promise<void> {
  const built = await audit(runId);
  expect(Object.fromEntries([...built].filter(([, { times }]) => times !== 1))).toEqual({});
  expect(built.size).toBe(names);
  for (const [parent, child] of EDGES)
    if (built.has(child))
      expect(built.get(child)!.beganAt, `${child} after ${parent}`).toBeGreaterThan(built.get(parent)!.beganAt);
}

const secondsBetween = (from: string | null | undefined, to: string | null | undefined) =>
  (Date.parse(to ?? "") - Date.parse(from ?? "")) / 1000;

test("G19 F3: on Postgres a flaky model and what it gates are built while the producer goes on with the rest", async () => {
  const { code, summary, stderr } = await runProject(deployed, "orchard", early({ apple: 1 }));
  expect(code, stderr).toBe(0);
  const [producer, fallback, recovery] = summary.tasks;
  expect(summary.tasks.map((task) => task.kind).slice(0, 3)).toEqual(["producer", "fallback", "recovery"]);
  // The producer failed apple, and ended in order long after both had begun.
  expect(producer).toMatchObject({ state: "over", exitCode: 1 });
  for (const beside of [fallback, recovery])
    expect(secondsBetween(beside?.startedAt, producer?.finishedAt), beside?.reason).toBeGreaterThan(0);
  expect(nodeOf(summary, "apple")).toMatchObject({ class: "good", tries: 2 });
  for (const name of ["apple_juice", "apple_cider", "mixed_jam"])
    expect(nodeOf(summary, name)).toMatchObject({ class: "good", tries: 1, outcome: "green" });
  expect(secondsBetween(nodeOf(summary, "apple_cider").finishedAt, producer?.finishedAt)).toBeGreaterThan(0);
  expect(summary.drift).toEqual({ filled: [], contradictions: [] });
  expect(summary.causes).toEqual([]);
  await expectBuilt(summary.runId, 10);
  expect([...new Set((await endedConsumers(deployed, summary)).values())]).toEqual(["SUCCEEDED"]);
}, 240_000);

test("G19 G20 F5: one root that recovers and one that does not: nothing stands on the stale one, and each is told once", async () => {
  const { code, summary } = await runProject(deployed, "orchard", early({ apple: 1, plum: 99 }));
  expect(code).toBe(1);
  expect(nodeOf(summary, "plum")).toMatchObject({ class: "failed", tries: 2, outcome: "red" });
  for (const name of ["plum_cake", "quince_jelly"])
    expect(nodeOf(summary, name)).toMatchObject({ class: "doomed", rootCause: orchardId("plum"), tries: 0 });
  for (const name of ["apple", "apple_juice", "apple_cider", "mixed_jam"])
    expect(nodeOf(summary, name).class).toBe("good");
  expect(summary.causes.map((cause) => cause.uniqueId)).toEqual([orchardId("plum")]);
  await expectBuilt(summary.runId, 7);
}, 240_000);

test("G19 D4: the producer's dbt is killed when its flaky model is good by another task: each is built once all the same", async () => {
  const runId = await startProject(deployed, "orchard", early({ apple: 1 }));
  // Of the producer's own models quince alone is open: one that is killed before it could say what it committed is built again.
  const isMended = (one: RunSummary) =>
    ["apple", "pear", "pear_tart", "plum", "plum_cake"].every((name) => nodeOf(one, name)?.class === "good") &&
    nodeOf(one, "quince")?.class === "running";
  const before = await statusOnce(deployed, runId, isMended);
  expect(before.tasks[0]).toMatchObject({ kind: "producer", state: "running" });
  process.kill(await dbtPid(deployed, runId, 1), "SIGKILL");
  const summary = await statusOnce(deployed, runId, (one) => one.state !== "running");
  expect(summary.state, summary.verdict ?? "").toBe("green");
  expect(summary.tasks[0]!.end).toMatch(/SIGKILL/);
  expect(nodeOf(summary, "apple").tries).toBe(2);
  await expectBuilt(runId, 10);
}, 240_000);
