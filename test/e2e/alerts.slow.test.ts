import { expect, test, vi } from "vitest";
import type { LineageEvent } from "#core/run/lineage/open-lineage.ts";
import { runCli, runProject } from "../support/cli.ts";
import { messagesTo } from "../support/message-sink.ts";
import { orchardId, vars } from "../support/orchard.ts";
import { ownStack } from "../support/own-stack.ts";
import { repaired } from "../support/run-status.ts";

const deployed = ownStack();

/** Titles of what a channel was told of a run, once there are so many; no more may come after the last. */
async function titles(path: "/slack" | "/teams", runId: string, count: number): Promise<string[]> {
  const ofRun = async () =>
    (await messagesTo(deployed.messagesUrl, path))
      .map(({ body }) => JSON.stringify(body))
      .filter((body) => body.includes(runId));
  const found = await vi.waitUntil(
    async () => {
      const bodies = await ofRun();
      return bodies.length >= count && bodies;
    },
    { timeout: 30_000, interval: 250 },
  );
  return found.map(
    (body) => /(?:Still failing|Failed|Recovered): [^"\\]+/.exec(body.replaceAll("\\\\", ""))?.[0] ?? body,
  );
}

test("H4: one message for each root cause to each channel, none for what is below it, and a recovery with the round that mends it", async () => {
  // Whatever other runs of this stack have left failing is told as good by this one, and is news again afterwards.
  expect((await runProject(deployed, "orchard")).code).toBe(0);
  // Two roots; what is below both, and what fails once and is good again, has no message.
  const { code, summary } = await runProject(deployed, "orchard", vars({ fail: { apple: 2, plum: 2, pear: 1 } }));
  expect(code).toBe(1);
  const failed = ["Failed: model apple of orchard", "Failed: model plum of orchard"];
  for (const path of ["/slack", "/teams"] as const)
    expect((await titles(path, summary.runId, 2)).toSorted()).toEqual(failed);
  const [first] = (await messagesTo(deployed.messagesUrl, "/slack")).filter(({ body }) =>
    JSON.stringify(body).includes(summary.runId),
  );
  expect(JSON.stringify(first!.body)).toContain(`npx stepwatch retry ${summary.runId}`);
  await runCli(deployed, ["retry", summary.runId, "--config", deployed.configPath, "--no-follow"]);
  expect(
    (await repaired(deployed, summary.runId)).nodes.find(({ uniqueId }) => uniqueId === orchardId("apple"))?.class,
  ).toBe("good");
  for (const path of ["/slack", "/teams"] as const)
    expect((await titles(path, summary.runId, 4)).toSorted()).toEqual(
      [...failed, "Recovered: model apple of orchard", "Recovered: model plum of orchard"].toSorted(),
    );
});

test("H3: a lineage service is told of a run, of each table with what it was built from, and of its end", async () => {
  const { summary } = await runProject(deployed, "orchard");
  const events = await vi.waitUntil(
    async () => {
      const all = (await messagesTo(deployed.messagesUrl, "/lineage")).map(({ body }) => body as LineageEvent);
      const own = all.findLast(({ eventType, job }) => eventType === "COMPLETE" && job.name === "orchard");
      const of = (event: LineageEvent) =>
        event === own ||
        (event.run.facets.parent as { run: { runId: string } } | undefined)?.run.runId === own?.run.runId;
      const found = own === undefined ? [] : all.filter(of);
      return found.length === 21 && found;
    },
    { timeout: 30_000, interval: 250 },
  );
  const jam = events.find(({ eventType, job }) => eventType === "COMPLETE" && job.name.endsWith("mixed_jam"))!;
  expect(jam).toMatchObject({
    inputs: [{ name: "postgres.orchard.apple_juice" }, { name: "postgres.orchard.pear" }],
    outputs: [{ namespace: "postgres://tests:5432", name: "postgres.orchard.mixed_jam" }],
  });
  expect(events.filter(({ eventType }) => eventType === "START")).toHaveLength(summary.nodes.length);
});
