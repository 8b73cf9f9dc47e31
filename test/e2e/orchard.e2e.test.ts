import { expect, test } from "vitest";
import { runProject, startProject } from "../support/cli.ts";
import { endedConsumers, runningConsumer, stopConsumer } from "../support/consumers.ts";
import { containerPid, dbtPid } from "../support/containers.ts";
import { needs } from "../support/needs.ts";
import { kindsOf, nodeOf, once, orchardBuilds, orchardId, vars } from "../support/orchard.ts";
import { ownStack } from "../support/own-stack.ts";
import { onlyRunning, statusOnce } from "../support/run-status.ts";

const deployed = ownStack();

const ALL = [
  "apple",
  "apple_juice",
  "apple_cider",
  "pear",
  "pear_tart",
  "mixed_jam",
  "plum",
  "plum_cake",
  "quince",
  "quince_jelly",
];

test("F4 F8 G6: on Postgres a root that fails once is built alone, then its descendants by one recovery build", async () => {
  const { code, summary } = await runProject(deployed, "orchard", vars({ fail: { apple: 1 } }));
  expect(code).toBe(0);
  expect(kindsOf(summary)).toEqual(["producer", "fallback", "recovery"]);
  expect(nodeOf(summary, "apple").tries).toBe(2);
  expect(await orchardBuilds(deployed, summary.runId)).toEqual(once(ALL));
});

test("G20: two roots with a shared descendant; one recovers, the other does not: nothing is built on the stale one", async () => {
  const { code, summary } = await runProject(deployed, "orchard", vars({ fail: { apple: 1, pear: 99 } }));
  expect(code).toBe(1);
  expect(nodeOf(summary, "mixed_jam")).toMatchObject({ class: "doomed", rootCause: orchardId("pear"), tries: 0 });
  expect(nodeOf(summary, "pear_tart")).toMatchObject({ class: "doomed", rootCause: orchardId("pear") });
  for (const name of ["apple", "apple_juice", "apple_cider"]) expect(nodeOf(summary, name).class).toBe("good");
  expect(await orchardBuilds(deployed, summary.runId)).toEqual(
    once(ALL.filter((name) => !["pear", "pear_tart", "mixed_jam"].includes(name))),
  );
});

test("F5 F7 G7: a permanent failure leaves its siblings green and dooms its descendants", async () => {
  const { code, summary } = await runProject(deployed, "orchard", vars({ fail: { plum: 99 } }));
  expect(code).toBe(1);
  expect(nodeOf(summary, "plum")).toMatchObject({ class: "failed", tries: 2, outcome: "red" });
  for (const name of ["plum_cake", "quince_jelly"])
    expect(nodeOf(summary, name)).toMatchObject({ class: "doomed", rootCause: orchardId("plum") });
  expect(summary.counts).toMatchObject({ failed: 1, doomed: 3 });
});

test("D4 D12 G21: dbt is killed in the middle: what is good stays, what ran is built alone first, the rest in one build", async () => {
  // Both of dbt's threads are at work on them.
  const slow = { apple_juice: 15, pear_tart: 15 };
  const runId = await startProject(deployed, "orchard", vars({ slow }));
  await statusOnce(deployed, runId, (one) => Object.keys(slow).every((name) => nodeOf(one, name)?.class === "running"));
  process.kill(await dbtPid(deployed, runId, 1), "SIGKILL");
  const summary = await statusOnce(deployed, runId, (one) => one.state !== "running");
  expect(summary.state).toBe("green");
  expect(summary.tasks[0]!.end).toMatch(/SIGKILL/);
  expect(kindsOf(summary)).toEqual(["producer", "fallback", "fallback", "recovery"]);
  expect(summary.nodes.every((node) => node.tries === 1)).toBe(true);
  expect(await orchardBuilds(deployed, runId)).toEqual(once(ALL));
}, 240_000);

test("D4 D10: a container that is killed with its supervisor is noticed, and the run repairs itself", async () => {
  const runId = await startProject(deployed, "orchard", vars({ slow: { apple_juice: 20 } }));
  await statusOnce(
    deployed,
    runId,
    onlyRunning([orchardId("apple_juice")], ["apple_cider", "mixed_jam"].map(orchardId)),
  );
  process.kill(-(await containerPid(deployed, runId, 1)), "SIGKILL");
  const summary = await statusOnce(deployed, runId, (one) => one.state !== "running");
  expect(summary.state).toBe("green");
  expect(summary.tasks[0]).toMatchObject({ state: "over", exitCode: 137 });
  expect(await orchardBuilds(deployed, runId)).toEqual(once(ALL));
}, 240_000);

test("F16: a consumer that a person stops changes nothing of the run", async (context) => {
  needs(context, "stop an execution in the middle of a wait");
  const runId = await startProject(deployed, "orchard", vars({ slow: { plum: 12 } }));
  const live = await statusOnce(deployed, runId, (one) => nodeOf(one, "plum")?.class === "running");
  await runningConsumer(deployed, live, orchardId("plum"));
  await stopConsumer(deployed, live, orchardId("plum"));
  const summary = await statusOnce(deployed, runId, (one) => one.state !== "running");
  expect(summary.state).toBe("green");
  const consumers = await endedConsumers(deployed, summary);
  expect(consumers.get(orchardId("plum"))).toBe("ABORTED");
  expect(await orchardBuilds(deployed, runId)).toEqual(once(ALL));
});
