import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { buildEnded } from "#core/dbt/build-end.ts";
import type { ProcessEnd } from "#core/dbt/cause.ts";
import { dbtGraph } from "#core/dbt/dbt-graph.ts";
import { readManifest } from "#core/dbt/manifest.ts";
import { readRunResults } from "#core/dbt/run-results.ts";
import { nameSkips } from "#core/dbt/skipped-without-id.ts";
import { classOfStatus } from "#core/dbt/status.ts";
import { viewOfRow } from "#core/run/judging/planless.ts";
import type { RecordedOutcome } from "#core/run/judging/recorded-outcomes.ts";
import { viewVertices } from "#core/run/judging/vertex-view.ts";
import type { Plan } from "#core/run/planning/plan.ts";
import { vertexReport } from "#core/run/reporting/report.ts";
import { line, result, skip, start, stats, version } from "../support/dbt-lines.ts";
import { gatesFixture } from "../support/gates-project.ts";
import { planOfGraph } from "../support/planned-vertices.ts";
import { endOf, outcomesOf, readLines, readRecording } from "../support/read-recording.ts";
import { recordedCases, unzipped, versions } from "../support/recorded-cases.ts";
import { ephemeral, planOf, vertex } from "../support/run-builders.ts";
import { writtenBuild } from "../support/written-build.ts";

/** What a live run and a replay must say alike of a vertex. What dbt did not end itself, a row calls by our own words. */
const told = (one: { class: string; status: string | null; tries: number }) =>
  `${one.class} ${one.class === "good" || one.class === "failed" ? (one.status ?? "not reported") : ""} ${one.tries}`;

const toldOf = (outcome: RecordedOutcome) => told({ ...outcome, tries: outcome.evidence ? 1 : 0 });

/** A live run's words on each planned vertex, and on what else its rows have. */
async function live(...build: Parameters<typeof writtenBuild>): Promise<Record<string, string>> {
  const { rows, tasks } = await writtenBuild(...build);
  const views = viewVertices(build[2], rows, tasks);
  const others = rows.filter((row) => !views.has(row.uniqueId)).map((row) => viewOfRow(row, tasks));
  return Object.fromEntries(
    [...views.values(), ...others].map((view) => {
      const report = vertexReport(view);
      return [view.plan.uniqueId, told({ ...report, tries: view.row?.tryTasks.length ?? 0 })];
    }),
  );
}

const replayed = (outcomes: readonly RecordedOutcome[]) =>
  Object.fromEntries(outcomes.map((outcome) => [outcome.uniqueId, toldOf(outcome)]));

describe("A12: a recorded build is judged as the rows are that its container would have written", () => {
  const harbour = dbtGraph(readManifest(gatesFixture("manifest-harbour.json")));
  const graphOf = (recorded: { version: string; name: string }) => {
    const own = unzipped(`${recorded.version}/${recorded.name}/manifest.json`);
    return own === null ? harbour : dbtGraph(readManifest(own));
  };

  it.each(versions())(
    "dbt %s: each recording, with the whole project as its plan and with what dbt named",
    async (of) => {
      for (const recorded of recordedCases().filter((one) => one.version === of)) {
        const graph = graphOf(recorded);
        const named = [...readLines(recorded.lines()).vertices.keys()];
        for (const ids of [[...graph.gates.keys()], named]) {
          const plan = planOfGraph(graph, ids);
          const file = recorded.runResults();
          const results = file === null ? null : readRunResults(file);
          const expected = await live(recorded.lines(), endOf(recorded), plan, results);
          const { outcomes } = readRecording(recorded, { withFile: true, plan });
          expect(replayed(outcomes), `${recorded.name} at ${recorded.level}`).toEqual(expected);
        }
      }
    },
  );
});

const ID = (n: number) => `model.p.m${n}`;

/** A graph of up to eight models; a gate through an ephemeral reaches what is above it too, as plans have it. */
const anyPlan = fc
  .array(fc.record({ builds: fc.boolean(), parents: fc.array(fc.nat(), { maxLength: 2 }) }), {
    minLength: 2,
    maxLength: 8,
  })
  .map((drawn) => {
    const gates: string[][] = [];
    for (const [n, { parents }] of drawn.entries()) {
      const direct = n === 0 ? [] : [...new Set(parents.map((parent) => parent % n))];
      const through = direct.flatMap((parent) => (drawn[parent]!.builds ? [] : gates[parent]!));
      gates.push([...new Set([...direct.map(ID), ...through])].sort());
    }
    const named = (n: number) => ({ name: `m${n}` });
    return planOf(
      drawn.map(({ builds }, n) =>
        builds ? vertex(ID(n), gates[n], named(n)) : { ...ephemeral(ID(n), gates[n]), ...named(n) },
      ),
    );
  });

const skippedWithoutId = (n: number) =>
  line({ name: "LogSkipBecauseError", level: "error", data: { schema: "main", relation: `m${n}`, index: 1 } });

/** What dbt may print of one vertex. */
const anyWord = fc.constantFrom("silent", "success", "success", "success", "error", "skipped", "unnamed", "started");

function linesOf(n: number, word: string): string[] {
  if (word === "silent") return [];
  if (word === "skipped") return [skip(ID(n))];
  if (word === "unnamed") return [skippedWithoutId(n)];
  return word === "started" ? [start(ID(n))] : [start(ID(n)), result(ID(n), word)];
}

const anyEnd = fc.constantFrom<ProcessEnd>(
  { exitCode: 0, signal: null, signalledByUs: false },
  { exitCode: 1, signal: null, signalledByUs: false },
  { exitCode: null, signal: "SIGKILL", signalledByUs: false },
);

const failedStartHook = line({
  name: "LogHookEndLine",
  level: "error",
  id: "operation.p.p-on-run-start-0",
  nodeStatus: "error",
  data: { statement: "p.on-run-start.0", status: "ERROR" },
});

const anyExtra = fc.constantFrom<string[]>(
  [],
  [],
  [],
  [line({ name: "LogCancelLine", level: "error", data: { conn_name: "m" } })],
  [failedStartHook],
  [line({ name: "NothingToDo", level: "warn" })],
);

interface Drawn {
  readonly plan: Plan;
  readonly lines: readonly string[];
  readonly end: ProcessEnd;
}

const anyBuild: fc.Arbitrary<Drawn> = fc
  .tuple(anyPlan, fc.array(anyWord, { minLength: 8, maxLength: 8 }), anyEnd, anyExtra, fc.boolean())
  .map(([plan, words, end, extra, whole]) => {
    const said = plan.vertices.flatMap(({ builds }, n) =>
      builds || words[n] === "error" ? linesOf(n, words[n]!) : [],
    );
    return { plan, lines: [version("1.12.6"), ...said, ...extra, ...(whole ? [stats()] : [])], end };
  });

function replayOf({ plan, lines, end }: Drawn) {
  const log = readLines(lines);
  nameSkips(log, plan.vertices);
  const ended = buildEnded(log, end);
  return { log, ended, outcomes: new Map(outcomesOf(log, ended, { plan }).map((one) => [one.uniqueId, one])) };
}

describe("any graph, whatever dbt says of it", () => {
  it("A12: a live run and a replay say the same of each vertex", async () => {
    await fc.assert(
      fc.asyncProperty(anyBuild, async (drawn) => {
        const { outcomes } = replayOf(drawn);
        expect(replayed([...outcomes.values()])).toEqual(await live(drawn.lines, drawn.end, drawn.plan));
      }),
      { numRuns: 500 },
    );
  });

  it("F9, F10: nothing that dbt builds is good by silence, and what it never builds only after an end in order or below what began", () => {
    fc.assert(
      fc.property(anyBuild, (drawn) => {
        const { log, ended, outcomes } = replayOf(drawn);
        for (const { uniqueId, builds, gateParents } of drawn.plan.vertices) {
          const one = outcomes.get(uniqueId)!;
          if (one.class !== "good") continue;
          const word = log.vertices.get(uniqueId)?.status;
          if (word !== undefined) expect(classOfStatus(word)).toBe("good");
          else expect(builds, uniqueId).toBe(false);
          if (word !== undefined || isProved(uniqueId, drawn.plan, outcomes)) continue;
          expect(ended.inOrder).toBe(true);
          for (const parent of gateParents)
            expect(outcomes.get(parent)?.class, `${uniqueId} on ${parent}`).toBe("good");
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it("B4: what dbt skipped in a build that ended in order has something above it that is not good", () => {
    fc.assert(
      fc.property(anyBuild, (drawn) => {
        const { log, ended, outcomes } = replayOf(drawn);
        if (!ended.inOrder || log.cancelled || log.hookFailures.length > 0 || log.emptySelection) return;
        for (const { uniqueId, gateParents } of drawn.plan.vertices) {
          if (outcomes.get(uniqueId)?.status !== "skipped") continue;
          const silent = gateParents.filter((id) => !log.vertices.has(id));
          if (silent.length === 0 || silent.some((id) => isProved(id, drawn.plan, outcomes))) continue;
          expect(
            gateParents.map((id) => outcomes.get(id)?.class),
            uniqueId,
          ).not.toEqual(gateParents.map(() => "good"));
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

/** dbt began something below it: it was compiled. */
const isProved = (id: string, plan: Plan, outcomes: ReadonlyMap<string, RecordedOutcome>): boolean =>
  plan.vertices.some((below) => below.gateParents.includes(id) && outcomes.get(below.uniqueId)?.evidence === true);
