import { GetExecutionHistoryCommand } from "@aws-sdk/client-sfn";
import { afterAll, expect, test } from "vitest";
import { WOKEN } from "#core/contracts/payloads.ts";
import { runProject } from "../support/cli.ts";
import { endedConsumers, eventClients } from "../support/consumers.ts";
import { kindsOf, nodeOf, orchardBuilds, orchardId, vars } from "../support/orchard.ts";
import { ownStack } from "../support/own-stack.ts";
import { useStack } from "../support/place.ts";

const deployed = ownStack();

/** Lambda's own API: no client of it is needed elsewhere. */
async function eventSources(method: "GET" | "PUT", id = "", body?: object): Promise<{ UUID: string }[]> {
  await useStack(deployed);
  const url = `${process.env.AWS_ENDPOINT_URL}/2015-03-31/event-source-mappings/${id}`;
  const answer = await fetch(url, { method, ...(body && { body: JSON.stringify(body) }) });
  if (!answer.ok) throw new Error(`${method} ${url}: ${await answer.text()}`);
  const { EventSourceMappings = [] } = (await answer.json()) as { EventSourceMappings?: { UUID: string }[] };
  return EventSourceMappings;
}

async function switchStream(Enabled: boolean): Promise<void> {
  const sources = await eventSources("GET");
  expect(sources.length).toBeGreaterThan(0);
  for (const { UUID } of sources) await eventSources("PUT", UUID, { Enabled });
}

/** How often the ledger's stream woke a run, as its history has it. */
async function wakesOf(executionArn: string): Promise<number> {
  const { machines } = await eventClients(deployed);
  const { events = [] } = await machines.send(new GetExecutionHistoryCommand({ executionArn, maxResults: 1_000 }));
  return events.filter((event) => event.taskFailedEventDetails?.error === WOKEN).length;
}

afterAll(() => switchStream(true));

test("F13: the end of a build wakes its run", async () => {
  const { code, summary } = await runProject(deployed, "orchard", ["--select", "quince"]);
  expect(code).toBe(0);
  expect(await wakesOf(summary.executionArn)).toBeGreaterThan(0);
});

test("F13: with the stream taken away a run ends by its own look, with a retry, a red node and its descendants as dbt has them", async () => {
  await switchStream(false);
  const { code, summary } = await runProject(deployed, "orchard", vars({ fail: { plum: 99, apple: 1 } }));
  expect(await wakesOf(summary.executionArn)).toBe(0);
  expect(code).toBe(1);
  expect(kindsOf(summary).slice(0, 2)).toEqual(["producer", "fallback"]);
  expect(nodeOf(summary, "plum")).toMatchObject({ class: "failed", tries: 2, outcome: "red" });
  expect(nodeOf(summary, "plum_cake")).toMatchObject({ class: "doomed", rootCause: orchardId("plum") });
  expect(nodeOf(summary, "apple")).toMatchObject({ class: "good", tries: 2 });
  for (const count of Object.values(await orchardBuilds(deployed, summary.runId))) expect(count).toBe(1);
  // They are told by the run itself, once their nodes have their last words.
  const reached = summary.nodes.filter(({ tries }) => tries > 0);
  const statuses = await endedConsumers(deployed, summary);
  expect(Object.fromEntries(statuses)).toEqual(
    Object.fromEntries(
      reached.map(({ uniqueId, outcome }) => [uniqueId, outcome === "green" ? "SUCCEEDED" : "FAILED"]),
    ),
  );
}, 600_000);
