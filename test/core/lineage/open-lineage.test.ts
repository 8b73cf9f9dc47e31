import { describe, expect, it, test } from "vitest";
import { z } from "zod";
import type {
  DatasetUpdatedDetail,
  NodeFailedDetail,
  RunEndedDetail,
  RunStartedDetail,
} from "#core/contracts/events.ts";
import { datasetName, datasetNamespace } from "#core/run/lineage/dataset-names.ts";
import { type LineageSource, lineageEvents } from "#core/run/lineage/open-lineage.ts";
import { lineage } from "../../../functions/lineage/lineage.ts";

const settings = {
  url: "https://lineage.example.com",
  namespace: "nightly",
  warehouses: { shop: "postgres://db:5432" },
};
const time = "2026-03-01T03:04:06Z";
const run = {
  contract: 1 as const,
  id: "i",
  project: "shop",
  runId: "run-1",
  round: 1,
  stack: "stepwatch",
  runUrl: null,
};
const node = {
  ...{ ...run, uniqueId: "model.shop.orders", name: "orders", resourceType: "model", materialized: "table" },
  ...{ owner: null, tags: [], meta: null, executionArn: null, executionUrl: null, logUrl: null },
};
const updated: DatasetUpdatedDetail = {
  ...node,
  relation: '"shop"."main"."orders"',
  columns: [
    { name: "id", type: "integer" },
    { name: "day", type: null },
  ],
  rowsAffected: 7,
  startedAt: "2026-03-01T03:04:00.000Z",
  endedAt: "2026-03-01T03:04:05.000Z",
  inputs: ['"shop"."raw"."orders"'],
};
const failure: NodeFailedDetail = {
  ...node,
  ...{
    status: "error",
    message: "no such column",
    tries: 1,
    failures: null,
    relation: null,
    on: [],
    reason: null,
    gates: 2,
  },
};
const started: RunStartedDetail = { ...run, startedAt: "2026-03-01T03:00:00.000Z", opening: null, resumed: null };
const ended: RunEndedDetail = {
  ...run,
  ...{ state: "red", verdict: "orders failed", startedAt: started.startedAt, endedAt: time, seconds: 246 },
  ...{ counts: null, causes: [], causeCount: 1, asConfigured: true, summaryKey: null, logUrl: null },
};
const told = (type: LineageSource["detail-type"], detail: object) =>
  lineageEvents({ "detail-type": type, time, detail } as LineageSource, settings);
const all = [
  ...told("Run started", started),
  ...told("Dataset updated", updated),
  ...told("Node failed", failure),
  ...told("Run ended", ended),
];

/** What the specification requires of a run event (2-0-2): fields, their forms, and of each facet who made it. */
const facets = z.record(z.string(), z.looseObject({ _producer: z.url(), _schemaURL: z.url() }));
const dataset = z.looseObject({ namespace: z.string().min(1), name: z.string().min(1), facets: facets.optional() });
const runEventSchema = z.object({
  eventType: z.enum(["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]),
  eventTime: z.iso.datetime(),
  producer: z.url(),
  schemaURL: z.url(),
  run: z.object({ runId: z.uuid(), facets }),
  job: z.object({ namespace: z.string(), name: z.string(), facets }),
  inputs: z.array(dataset),
  outputs: z.array(dataset),
});

describe("H3: OpenLineage", () => {
  it("has what the specification requires of each event", () => {
    for (const event of all) runEventSchema.parse(JSON.parse(JSON.stringify(event)));
    expect(all.map(({ eventType, job }) => `${eventType} ${job.name}`)).toEqual([
      "START shop",
      "START shop.model.shop.orders",
      "COMPLETE shop.model.shop.orders",
      "START shop.model.shop.orders",
      "FAIL shop.model.shop.orders",
      "FAIL shop",
    ]);
  });

  it("H3 H7: a command of dbt's is no run of the project's job", () => {
    expect([
      ...told("Run started", { ...started, kind: "command" }),
      ...told("Run ended", { ...ended, kind: "command" }),
    ]).toEqual([]);
    expect(told("Run ended", { ...ended, kind: "build" })).toHaveLength(1);
  });

  it("names tables as the warehouse's naming has them, and joins a node to its run", () => {
    const complete = all[2]!;
    expect(complete).toMatchObject({
      eventTime: "2026-03-01T03:04:05.000Z",
      inputs: [{ namespace: "postgres://db:5432", name: "shop.raw.orders" }],
      outputs: [
        {
          namespace: "postgres://db:5432",
          name: "shop.main.orders",
          facets: { schema: { fields: [{ name: "id", type: "integer" }, { name: "day" }] } },
          outputFacets: { outputStatistics: { rowCount: 7 } },
        },
      ],
    });
    const parent = complete.run.facets.parent as { run: { runId: string }; job: object };
    expect(parent).toMatchObject({ run: { runId: all[0]!.run.runId }, job: { namespace: "nightly", name: "shop" } });
    expect(all[1]!.run.runId).toBe(complete.run.runId);
  });

  it("says why something failed; a stopped run is an abort; a test is no job", () => {
    expect(all[4]!.run.facets.errorMessage).toMatchObject({ message: "no such column", programmingLanguage: "SQL" });
    expect(told("Run ended", { ...ended, state: "stopped" })[0]).toMatchObject({ eventType: "ABORT" });
    expect(told("Run ended", { ...ended, state: "green" })[0]).toMatchObject({
      eventType: "COMPLETE",
      run: { facets: {} },
    });
    expect(told("Node failed", { ...failure, resourceType: "test" })).toEqual([]);
  });

  it("is posted with the token of its secret, and nothing is posted of other events", async () => {
    const posts: unknown[][] = [];
    const deps = {
      settings: { ...settings, apiKeySecret: "marquez" },
      post: async (...given: unknown[]) => void posts.push(given),
      readSecret: async (reference: string) => `token of ${reference}`,
    };
    await lineage({ "detail-type": "Dataset updated", time, detail: updated }, deps);
    await lineage({ "detail-type": "Warning", time, detail: {} }, deps);
    expect(posts.map(([url, , token]) => [url, token])).toEqual(Array(2).fill([settings.url, "token of marquez"]));
  });
});

test.each([
  [{ type: "postgres", host: "db.example.com" }, "postgres://db.example.com:5432"],
  [{ type: "postgres", host: "db", port: 5433 }, "postgres://db:5433"],
  [{ type: "postgres", host: "{{ env_var('PGHOST') }}" }, null],
  [{ type: "snowflake", account: "acme-eu1" }, "snowflake://acme-eu1"],
  [{ type: "bigquery", project: "acme" }, "bigquery"],
  [{ type: "redshift", host: "dwh.abc123.eu-west-1.redshift.amazonaws.com" }, "redshift://dwh.eu-west-1:5439"],
  [{ type: "athena", region_name: "eu-west-1" }, "awsathena://athena.eu-west-1.amazonaws.com"],
  [{ type: "databricks", host: "adb-1.azuredatabricks.net" }, "databricks://adb-1.azuredatabricks.net"],
  [{ type: "an adapter of tomorrow", host: "db" }, null],
  [{}, null],
])("H3: the namespace of %j is %j", (output, namespace) => {
  expect(datasetNamespace(output)).toBe(namespace);
});

test.each([
  ['"db"."main"."orders"', "db.main.orders"],
  ["`acme-eu`.`main`.`orders`", "acme-eu.main.orders"],
  ["`acme-eu.main.orders`", "acme-eu.main.orders"],
  ["db.main.orders", "db.main.orders"],
  ["[db].[main].[orders]", "db.main.orders"],
  ['"a.b"."c ""d"""', 'a.b.c "d"'],
])("H3: %s is the dataset %s", (relation, name) => {
  expect(datasetName(relation)).toBe(name);
});
