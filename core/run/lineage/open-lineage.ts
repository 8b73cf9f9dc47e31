import { createHash } from "node:crypto";
import type { DetailType, EventOf } from "#core/contracts/events.ts";
import type { LineageSettings } from "#core/contracts/lineage.ts";
import { NODE_TYPES } from "#core/dbt/resource-types.ts";
import { datasetName } from "#core/run/lineage/dataset-names.ts";

/** Who makes these events, as OpenLineage wants it: a URI. */
const PRODUCER = "urn:stepwatch:1";
const SPEC = "https://openlineage.io/spec";
const EVENT_SCHEMA = `${SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent`;

/** Our events that lineage is made of. */
export const LINEAGE_TYPES = [
  "Run started",
  "Run ended",
  "Dataset updated",
  "Node failed",
] as const satisfies readonly DetailType[];

/** One of them, with the moment at which it was told. */
export type LineageSource = {
  [Type in (typeof LINEAGE_TYPES)[number]]: Pick<EventOf<Type>, "detail"> & {
    readonly "detail-type": Type;
    readonly time: string;
  };
}[(typeof LINEAGE_TYPES)[number]];

/** A run event of OpenLineage. */
export interface LineageEvent {
  readonly eventType: "START" | "COMPLETE" | "FAIL" | "ABORT";
  readonly eventTime: string;
  readonly producer: string;
  readonly schemaURL: string;
  readonly run: { readonly runId: string; readonly facets: Readonly<Record<string, object>> };
  readonly job: {
    readonly namespace: string;
    readonly name: string;
    readonly facets: Readonly<Record<string, object>>;
  };
  readonly inputs: readonly object[];
  readonly outputs: readonly object[];
}

/**
 * Events of OpenLineage for one of ours: the run's own job, and below it one job for each node. A node's START comes with
 * its end, as dbt's own integration sends it: until then nobody knows that its table is good. Same event, same ids.
 */
export function lineageEvents(source: LineageSource, settings: LineageSettings): LineageEvent[] {
  // A command of dbt's is no run of the project's job.
  if ("kind" in source.detail && source.detail.kind === "command") return [];
  switch (source["detail-type"]) {
    case "Run started":
      return [runEvent(source.detail, settings, { eventType: "START", eventTime: source.detail.startedAt })];
    case "Run ended":
      return [endOfRun(source.detail, settings)];
    case "Dataset updated":
      return ofTable(source.detail, source.time, settings);
    case "Node failed":
      return NODE_TYPES.has(source.detail.resourceType) ? ofFailure(source.detail, source.time, settings) : [];
  }
}

interface RunIdentity {
  readonly project: string;
  readonly runId: string;
  readonly round: number;
}

/** A UUID made of names, as version 5 is: the same run is the same each time it is told. */
function runUuid({ project, runId, round }: RunIdentity, uniqueId = ""): string {
  const hash = createHash("sha256")
    .update(JSON.stringify([project, runId, round, uniqueId]))
    .digest("hex");
  const variant = ((Number.parseInt(hash[16]!, 16) & 3) | 8).toString(16);
  return [
    hash.slice(0, 8),
    hash.slice(8, 12),
    `5${hash.slice(13, 16)}`,
    `${variant}${hash.slice(17, 20)}`,
    hash.slice(20, 32),
  ].join("-");
}

type Moment = Pick<LineageEvent, "eventType" | "eventTime">;

const facet = (schema: string, fields: object) => ({
  _producer: PRODUCER,
  _schemaURL: `${SPEC}/facets/${schema}`,
  ...fields,
});

const jobType = (type: string) => ({
  jobType: facet("2-0-3/JobTypeJobFacet.json#/$defs/JobTypeJobFacet", {
    processingType: "BATCH",
    integration: "DBT",
    jobType: type,
  }),
});

const errorFacet = (message: string) => ({
  errorMessage: facet("1-0-0/ErrorMessageRunFacet.json#/$defs/ErrorMessageRunFacet", {
    message,
    programmingLanguage: "SQL",
  }),
});

const event = (moment: Moment, rest: Pick<LineageEvent, "run" | "job" | "inputs" | "outputs">): LineageEvent => ({
  ...moment,
  producer: PRODUCER,
  schemaURL: EVENT_SCHEMA,
  ...rest,
});

function runEvent(of: RunIdentity, { namespace }: LineageSettings, moment: Moment, facets: object = {}): LineageEvent {
  return event(moment, {
    run: { runId: runUuid(of), facets: { ...facets } },
    job: { namespace, name: of.project, facets: jobType("JOB") },
    inputs: [],
    outputs: [],
  });
}

const ENDS = { green: "COMPLETE", red: "FAIL", stopped: "ABORT" } as const;

function endOfRun(detail: EventOf<"Run ended">["detail"], settings: LineageSettings): LineageEvent {
  const { state, endedAt, verdict } = detail;
  const eventType = state === "green" || state === "stopped" ? ENDS[state] : ENDS.red;
  return runEvent(detail, settings, { eventType, eventTime: endedAt }, eventType === "FAIL" ? errorFacet(verdict) : {});
}

type NodeDetail = EventOf<"Dataset updated">["detail"] | EventOf<"Node failed">["detail"];

function nodeEvent(
  detail: NodeDetail,
  { namespace }: LineageSettings,
  moment: Moment,
  more: { readonly facets?: object; readonly inputs?: readonly object[]; readonly outputs?: readonly object[] } = {},
): LineageEvent {
  const parent = facet("1-0-1/ParentRunFacet.json#/$defs/ParentRunFacet", {
    run: { runId: runUuid(detail) },
    job: { namespace, name: detail.project },
  });
  return event(moment, {
    run: { runId: runUuid(detail, detail.uniqueId), facets: { parent, ...more.facets } },
    job: {
      namespace,
      name: `${detail.project}.${detail.uniqueId}`,
      facets: jobType(detail.resourceType.toUpperCase()),
    },
    inputs: more.inputs ?? [],
    outputs: more.outputs ?? [],
  });
}

function ofTable(
  detail: EventOf<"Dataset updated">["detail"],
  time: string,
  settings: LineageSettings,
): LineageEvent[] {
  const { startedAt, endedAt, relation, columns, rowsAffected } = detail;
  const namespace = settings.warehouses[detail.project] ?? detail.project;
  const fields = columns.map(({ name, type }) => ({ name, ...(type !== null && { type }) }));
  const schema = facet("1-1-1/SchemaDatasetFacet.json#/$defs/SchemaDatasetFacet", { fields });
  const rows = facet("1-0-2/OutputStatisticsOutputDatasetFacet.json#/$defs/OutputStatisticsOutputDatasetFacet", {
    rowCount: rowsAffected,
  });
  const output = {
    namespace,
    name: datasetName(relation ?? detail.name),
    facets: columns.length > 0 ? { schema } : {},
    ...(rowsAffected !== null && { outputFacets: { outputStatistics: rows } }),
  };
  const inputs = detail.inputs.map((input) => ({ namespace, name: datasetName(input) }));
  const end = endedAt ?? time;
  return [
    nodeEvent(detail, settings, { eventType: "START", eventTime: startedAt ?? end }, { inputs }),
    nodeEvent(detail, settings, { eventType: "COMPLETE", eventTime: end }, { inputs, outputs: [output] }),
  ];
}

function ofFailure(detail: EventOf<"Node failed">["detail"], time: string, settings: LineageSettings): LineageEvent[] {
  const facets = errorFacet(detail.message ?? detail.reason ?? "It failed.");
  return [
    nodeEvent(detail, settings, { eventType: "START", eventTime: time }),
    nodeEvent(detail, settings, { eventType: "FAIL", eventTime: time }, { facets }),
  ];
}
