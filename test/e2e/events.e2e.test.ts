import { expect, test } from "vitest";
import { eventDetailSchemas } from "#core/contracts/events.ts";
import { runProject } from "../support/cli.ts";
import { eventClients } from "../support/consumers.ts";
import { receiveEvents } from "../support/events.ts";
import { orchardId, vars } from "../support/orchard.ts";
import { ownStack } from "../support/own-stack.ts";

const deployed = ownStack();

test("H3, H4: a run that repairs itself: one event for each table, one for what broke and one when it is good", async () => {
  const received = await receiveEvents(await eventClients(deployed), "all-of-orchard", {
    detail: { project: ["orchard"], stack: ["stepwatch-e2e"] },
  });
  const { code, summary } = await runProject(deployed, "orchard", vars({ fail: { apple: 1 } }));
  expect(code).toBe(0);
  // Begin, end, ten tables, a pending retry and a recovery.
  const events = await received(14);
  const told = events
    .map((event) => [event["detail-type"], event.detail.uniqueId].filter(Boolean).join(" "))
    .toSorted();
  const tables = summary.nodes.map(({ uniqueId }) => `Dataset updated ${uniqueId}`);
  const apple = orchardId("apple");
  expect(told).toEqual(
    [...tables, `Node recovered ${apple}`, `Retry pending ${apple}`, "Run ended", "Run started"].toSorted(),
  );
  for (const { "detail-type": type, detail } of events) {
    eventDetailSchemas[type as keyof typeof eventDetailSchemas].parse(detail);
    expect(detail).toMatchObject({ runId: summary.runId, round: 1 });
  }
  const dataset = events.find(({ detail }) => detail.uniqueId === orchardId("mixed_jam"))!.detail;
  expect(dataset).toMatchObject({
    relation: expect.stringContaining("mixed_jam"),
    inputs: [expect.stringContaining("apple"), expect.stringContaining("pear")],
    rowsAffected: 1,
    logUrl: null,
  });
});
