import { expect, test } from "vitest";
import type { VertexRow } from "#core/contracts/ledger.ts";
import { applyEvent, type BuildLog, newBuildLog } from "#core/dbt/build-log.ts";
import { dbtGraph } from "#core/dbt/dbt-graph.ts";
import { readLine } from "#core/dbt/log-line.ts";
import { readManifest } from "#core/dbt/manifest.ts";
import { vertexWrite } from "#core/dbt/vertex-write.ts";
import { freedEarly } from "#core/run/deciding/early-recovery.ts";
import { viewVertices } from "#core/run/judging/vertex-view.ts";
import type { Plan } from "#core/run/planning/plan.ts";
import { gatesFixture } from "../../support/gates-project.ts";
import { planOfGraph } from "../../support/planned-vertices.ts";
import { type RecordedCase, recordedCases } from "../../support/recorded-cases.ts";
import { live, row, stepInput } from "../../support/run-builders.ts";

/**
 * What early recovery builds on, held against real builds of seven versions of dbt: after each line of a recording, what
 * would be free by then; in the lines that follow dbt may take none of it in hand, nor anything that reads it.
 */
const graph = dbtGraph(readManifest(gatesFixture("manifest-harbour.json")));
const harbour = planOfGraph(graph, [...graph.manifest.nodes.keys()]);
// As a warehouse of several writers and without hooks: the gates are what is looked at.
const plan: Plan = { ...harbour, adapterType: "postgres", hookCount: 0, endHooks: false };
const policy = { recovery: "early", retryOn: "all", fallbacks: "alone", retries: { node: 9, test: 9 } };
const CAUSE = "Database Error in model\n  deadlock detected";

/** The rows of a producer that has said so much; why something failed dbt 1 says elsewhere, and early enough. */
function rowsOf(log: BuildLog): VertexRow[] {
  return [...log.vertices.values()].map((vertex) => {
    const { status, message, evidence, ...write } = vertexWrite(vertex);
    const said = Object.fromEntries(Object.entries(write).filter(([, value]) => value !== undefined && value !== null));
    const base = row(vertex.uniqueId, status, { ...said, endedAtMs: write.endedAtMs ?? 0, evidence });
    return { ...base, tryTasks: evidence ? [1] : [], message: message ?? CAUSE };
  });
}

interface Freed {
  readonly failed: ReadonlySet<string>;
  readonly below: ReadonlySet<string>;
}

function freedBy(log: BuildLog): Freed {
  const input = stepInput({ plan, rows: rowsOf(log), tasks: [live(1)], policy });
  const views = freedEarly(viewVertices(plan, input.rows, input.tasks), input, plan, () => null);
  const free = [...views.values()].filter((view) => view.free);
  return {
    failed: new Set(free.filter((view) => view.class === "failed").map((view) => view.plan.uniqueId)),
    below: new Set(
      free.filter((view) => view.class === "not_built" && view.plan.builds).map((view) => view.plan.uniqueId),
    ),
  };
}

/** Vertices that were free at some moment, and lines after it in which dbt took one of them, or a reader, in hand. */
function replay(recorded: RecordedCase) {
  const log = newBuildLog();
  const seen = { failed: new Set<string>(), below: new Set<string>(), readers: new Set<string>() };
  const wrong: string[] = [];
  for (const line of recorded.lines()) {
    const event = readLine(line);
    if (event === null) continue;
    if (event.kind === "started" && event.proves && seen.readers.has(event.vertex.uniqueId))
      wrong.push(event.vertex.uniqueId);
    const changes = applyEvent(log, event);
    if (changes.length === 0 || ![...log.vertices.values()].some((vertex) => vertex.class === "failed")) continue;
    const { failed, below } = freedBy(log);
    for (const id of failed) seen.failed.add(id);
    for (const id of below) seen.below.add(id);
    for (const id of [...failed, ...below]) seen.readers.add(id);
    for (const { uniqueId, gateParents } of plan.vertices)
      if (gateParents.some((id) => failed.has(id) || below.has(id))) seen.readers.add(uniqueId);
  }
  // A start that dbt 2 printed of what it then skips is none.
  const begun = wrong.filter((id) => log.vertices.get(id)?.evidence === true);
  return { ...seen, begun };
}

const builds = recordedCases().filter(
  ({ level, name, end }) => level === "info" && end.argv.includes("build") && !/continue|whole/.test(name),
);
const versions = [...new Set(builds.map((one) => one.version))];

test.each(versions)("G19: dbt %s takes in hand nothing that was free, nor what reads it", (version) => {
  const freed = { failed: 0, below: 0 };
  for (const recorded of builds.filter((one) => one.version === version)) {
    const { failed, below, begun } = replay(recorded);
    expect(begun, recorded.name).toEqual([]);
    freed.failed += failed.size;
    freed.below += below.size;
  }
  // Not in vain: in each version's recordings some failures and some skips are free before the end.
  expect(freed.failed).toBeGreaterThan(3);
  expect(freed.below).toBeGreaterThan(3);
});

const debugBuilds = recordedCases().filter(
  ({ level, version, end }) => level === "debug" && version.startsWith("1.") && end.argv.includes("build"),
);

test("G19: at level debug dbt 1 tells why a model failed before it says that it did", () => {
  const told = new Set<string>();
  for (const recorded of debugBuilds) {
    const log = newBuildLog();
    for (const line of recorded.lines()) {
      const event = readLine(line);
      if (event === null) continue;
      applyEvent(log, event);
      if (event.kind !== "ended" || event.status !== "error" || event.source !== "line") continue;
      const { uniqueId } = event.vertex;
      const where = `${recorded.version} ${recorded.name} ${uniqueId}`;
      expect(log.vertices.get(uniqueId)?.message, where).toBeTruthy();
      told.add(recorded.version);
    }
  }
  // Of 1.9 and 1.10 no failure was recorded at that level.
  expect([...told].sort()).toEqual(["1.11.16", "1.12.6", "1.8.10"]);
});
