import { describe, expect, it } from "vitest";
import { buildEnded } from "#core/dbt/build-end.ts";
import type { BuildLog } from "#core/dbt/build-log.ts";
import type { ProcessEnd } from "#core/dbt/cause.ts";
import { dbtGraph } from "#core/dbt/dbt-graph.ts";
import { readManifest } from "#core/dbt/manifest.ts";
import { nameSkips } from "#core/dbt/skipped-without-id.ts";
import { toldEnd } from "#core/dbt/told-end.ts";
import { NOT_SELECTED } from "#core/run/judging/silence.ts";
import type { PlanVertex } from "#core/run/planning/plan.ts";
import { generic, lateError, line, result, skip, start, stats, version } from "../../support/dbt-lines.ts";
import { gatesFixture } from "../../support/gates-project.ts";
import { planOfGraph } from "../../support/planned-vertices.ts";
import { outcomesOf, readLines, readRecording } from "../../support/read-recording.ts";
import { recordedCase } from "../../support/recorded-cases.ts";
import { ephemeral, planOf, vertex } from "../../support/run-builders.ts";

const [A, B, E, C] = ["model.p.a", "model.p.b", "model.p.eph", "model.p.c"];
const ok: ProcessEnd = { exitCode: 0, signal: null, signalledByUs: false };
const red: ProcessEnd = { ...ok, exitCode: 1 };

const planned = (uniqueId: string, gateParents: string[] = [], builds = true): PlanVertex =>
  builds ? vertex(uniqueId, gateParents) : ephemeral(uniqueId, gateParents);

/** Classes by id when these lines are all that dbt said. */
function judged(lines: string[], end: ProcessEnd, plan: PlanVertex[], log: BuildLog = readLines(lines)) {
  nameSkips(
    log,
    plan.map(({ uniqueId }) => ({ uniqueId, name: uniqueId.split(".").at(-1) ?? "" })),
  );
  const outcomes = outcomesOf(log, buildEnded(log, end), { plan: planOf(plan) });
  return Object.fromEntries(outcomes.map((one) => [one.uniqueId, `${one.class}/${one.status}`]));
}

const harbour = dbtGraph(readManifest(gatesFixture("manifest-harbour.json")));

describe("F9: planned and never reported", () => {
  it("after a build that ended in order: failed, not selected by dbt", () => {
    expect(judged([start(A), result(A, "success"), stats()], ok, [planned(A), planned(B)])).toEqual({
      [A!]: "good/success",
      [B!]: "failed/not reported",
    });
    const log = readLines([start(A!), result(A!, "success"), stats()]);
    const end = buildEnded(log, ok);
    expect(outcomesOf(log, end, { plan: planOf([planned(B!)]) })[0]?.message).toContain("Not selected by dbt");
  });

  it("while a gate parent is not good: not built", () => {
    expect(judged([start(A), result(A, "error"), stats()], red, [planned(A), planned(B, [A!])])).toMatchObject({
      [B!]: "not_built/not reported",
    });
  });

  it.each([
    ["killed", { exitCode: null, signal: "SIGKILL", signalledByUs: false }],
    ["stopped by us", { exitCode: 2, signal: null, signalledByUs: true }],
    ["out of memory", { exitCode: 137, signal: null, signalledByUs: false, outOfMemory: true }],
    ["with an exit code that nothing explains", { exitCode: 3, signal: null, signalledByUs: false }],
  ])("after a build that was %s: not built", (_why, end) => {
    expect(judged([start(A), result(A, "success"), stats()], end, [planned(B)])).toMatchObject({
      [B!]: "not_built/not reported",
    });
  });

  it("after fail-fast: not built", () => {
    const cancel = line({ name: "LogCancelLine", level: "error", data: { conn_name: C } });
    expect(judged([start(A), result(A, "error"), cancel, stats()], red, [planned(A), planned(B)])).toMatchObject({
      [B!]: "not_built/not reported",
    });
  });

  it("F15: an empty selection leaves no vertex green, though dbt exits 0", () => {
    const lines = [version("1.11.16"), line({ name: "NothingToDo", level: "warn" })];
    expect(judged(lines, ok, [planned(A), planned(E!, [], false)])).toEqual({
      [A!]: "failed/not reported",
      [E!]: "not_built/not reported",
    });
  });

  it("nothing at all was said: not built", () => {
    expect(judged([], red, [planned(A)])).toEqual({ [A!]: "not_built/not reported" });
  });
});

describe("F10: nothing to build", () => {
  const plan = [planned(A), planned(E!, [A!], false), planned(C, [A!, E!])];

  it("green when its gate parents are good and the build ended in order", () => {
    expect(judged([start(A), result(A, "success"), start(C), result(C, "success"), stats()], ok, plan)).toMatchObject({
      [E!]: "good/nothing to build",
    });
  });

  it("not built when a gate parent is not good, or the build was cut short", () => {
    expect(judged([start(A), result(A, "error"), skip(C), stats()], red, plan)).toMatchObject({
      [E!]: "not_built/not reported",
      [C]: "not_built/skipped",
    });
    expect(judged([start(A), result(A, "success")], { ...ok, exitCode: null, signal: "SIGKILL" }, plan)).toMatchObject({
      [E!]: "not_built/not reported",
    });
  });

  it("the whole case project, at info: every planned vertex is green, ephemeral and empty file included", () => {
    const plan = planOfGraph(harbour, [...harbour.gates.keys()]);
    const { outcomes: all } = readRecording(recordedCase("1.11.16", "all_pass"), { plan, withFile: true });
    expect(all.filter((one) => one.class !== "good")).toEqual([]);
    expect(
      all
        .filter((one) => one.status === "nothing to build")
        .map((one) => one.uniqueId)
        .sort(),
    ).toEqual(["model.harbour.eph_visits", "model.harbour.hollow"]);
  });
});

describe("B4: an ephemeral model in between", () => {
  it.each(["1.8.10", "1.9.10", "1.10.23", "1.11.16", "1.12.6"])(
    "%s: it fails itself; its child has no line and is not built",
    (release) => {
      const ids = [...harbour.gates.keys()].filter((id) =>
        /eph_visits|fct_visits|clearance|stg_calls|stg_vessels|seed.*(calls|vessels)/.test(id),
      );
      const { outcomes: all } = readRecording(recordedCase(release, "eph_compile_error"), {
        plan: planOfGraph(harbour, ids),
        withFile: true,
      });
      const byId = new Map(all.map((one) => [one.uniqueId, one]));
      expect(byId.get("model.harbour.eph_visits")).toMatchObject({ class: "failed", status: "error" });
      expect(byId.get("model.harbour.eph_visits")?.message).toContain("planned compile failure");
      expect(byId.get("model.harbour.fct_visits")).toMatchObject({ class: "not_built", evidence: false });
      expect(byId.get("model.harbour.clearance")?.class).toBe("not_built");
    },
  );

  it("an ordinary failure above it: the ephemeral is no recovered parent, the child is not built", () => {
    const plan = [planned(A), planned(E!, [A!], false), planned(C, [A!, E!])];
    const unnamed = line({
      name: "LogSkipBecauseError",
      level: "error",
      data: { relation: "c", schema: "main", index: 3 },
    });
    expect(judged([start(A), result(A, "error"), unnamed, lateError(A, "boom"), stats()], red, plan)).toEqual({
      [A!]: "failed/error",
      [E!]: "not_built/not reported",
      [C]: "not_built/skipped",
    });
  });
});

describe("the end of the build closes what is open", () => {
  it("D4: started and never ended in a build that was killed: interrupted", () => {
    expect(
      judged([start(A), start(B), result(B, "success")], { ...ok, exitCode: null, signal: "SIGKILL" }, [
        planned(A),
        planned(B),
      ]),
    ).toEqual({ [A!]: "interrupted/started", [B!]: "good/success" });
  });

  it("started and never ended in a build that ended in order: failed, never green", () => {
    expect(judged([start(A), stats()], ok, [planned(A)])).toEqual({ [A!]: "failed/error" });
  });

  it("dbt 2 printed an error about it and then nothing: failed", () => {
    expect(
      judged([start(A), generic(A, "[error] boom")], { ...red, exitCode: null, signal: "SIGKILL" }, [planned(A)]),
    ).toEqual({ [A!]: "failed/error" });
  });

  it("B1: upstream failed, the vertex skipped: not built, no try", () => {
    const log = readLines([start(A), result(A, "error"), skip(B), stats()]);
    const end = buildEnded(log, red);
    expect(outcomesOf(log, end).find((one) => one.uniqueId === B)).toMatchObject({
      class: "not_built",
      evidence: false,
      planned: true,
    });
  });

  it("A14: what the plan does not have is told as unplanned", () => {
    const log = readLines([result("model.p.stranger", "success"), stats()]);
    const end = buildEnded(log, ok);
    expect(outcomesOf(log, end, { plan: planOf([]) })).toMatchObject([
      { uniqueId: "model.p.stranger", planned: false },
    ]);
  });

  it("B8: vertices that only run_results.json names were never built, whatever it says", () => {
    const { outcomes: all } = readRecording(recordedCase("2.0.0rc196", "no_database"), { withFile: true });
    expect(all.length).toBeGreaterThan(40);
    expect(new Set(all.map((one) => one.class))).toEqual(new Set(["not_built"]));
  });
});

describe("B4: dbt 1 is silent at its default level about an ephemeral model with nothing but ephemerals on it", () => {
  const [TOP, MID, LOW, ON, GOOD] = ["top", "mid", "low", "on", "good"].map((name) => `model.p.${name}`) as [
    string,
    string,
    string,
    string,
    string,
  ];
  const skipped = (relation: string) =>
    line({ name: "LogSkipBecauseError", level: "error", data: { schema: "main", relation, index: 1 } });
  const said = [version("1.12.6"), start(GOOD), result(GOOD, "success"), skipped("on"), stats()];

  it("of a chain of two the upper one failed: a failure of the lower one would have been printed", () => {
    const plan = [planned(TOP, [], false), planned(LOW, [TOP], false), planned(ON, [LOW, TOP]), planned(GOOD)];
    expect(judged(said, red, plan)).toEqual({
      [TOP]: "failed/not reported",
      [LOW]: "not_built/not reported",
      [ON]: "not_built/skipped",
      [GOOD]: "good/success",
    });
  });

  it("of a longer chain it can not be told which: none is green, none is called failed", () => {
    const plan = [
      planned(TOP, [], false),
      planned(MID, [TOP], false),
      planned(LOW, [MID, TOP], false),
      planned(ON, [LOW, MID, TOP]),
      planned(GOOD),
    ];
    const classes = judged(said, red, plan);
    for (const id of [TOP, MID, LOW]) expect(classes[id], id).toBe("not_built/not reported");
    expect(classes[ON]).toBe("not_built/skipped");
  });

  it("what a built child proves good stays so, and a reason that is known leaves the others alone", () => {
    const plan = [planned(TOP, [], false), planned(LOW, [TOP], false), planned(ON, [LOW, TOP]), planned(GOOD, [TOP])];
    expect(judged(said, red, plan)).toMatchObject({ [TOP]: "good/nothing to build", [LOW]: "not_built/not reported" });
    const bad = [version("1.12.6"), start(GOOD), result(GOOD, "error"), skipped("on"), stats()];
    const below = [planned(GOOD), planned(TOP, [], false), planned(LOW, [GOOD], false), planned(ON, [LOW, GOOD, TOP])];
    expect(judged(bad, red, below)).toMatchObject({
      [TOP]: "good/nothing to build",
      [LOW]: "not_built/not reported",
      [ON]: "not_built/skipped",
    });
  });

  it("the cause names what dbt skipped", () => {
    expect(buildEnded(readLines(said), red).cause).toMatchObject({
      kind: "node",
      sentence: expect.stringContaining("main.on"),
    });
  });
});

describe("what two judges once told apart, and what dbt did", () => {
  const whole = planOfGraph(harbour, [...harbour.gates.keys()]);
  const judgedCase = (release: string, name: string) => {
    const { outcomes, log, end } = readRecording(recordedCase(release, name), { plan: whole, withFile: true });
    return { log, end, byId: new Map(outcomes.map((one) => [one.uniqueId, one])) };
  };
  const HOLLOW = "model.harbour.hollow";

  it.each(["1.8.10", "1.9.10", "1.10.23", "1.11.16"])(
    "B10: %s builds on after a failed start hook: a file without SQL is passed over as ever",
    (release) => {
      expect(judgedCase(release, "start_hook_fail").byId.get(HOLLOW)).toMatchObject({
        class: "good",
        status: "nothing to build",
      });
    },
  );

  it.each(["1.12.6", "2.0.0rc196", "2.0.0-beta.2"])(
    "B10: %s builds nothing then, and passes nothing over",
    (release) => {
      const { byId } = judgedCase(release, "start_hook_fail");
      expect(new Set([...byId.values()].map((one) => one.class))).toEqual(new Set(["not_built"]));
    },
  );

  it.each(["1.8.10", "1.9.10", "1.10.23", "1.11.16", "1.12.6"])(
    "B8: %s tells of fail-fast by what it cancels alone: what it never came to is not built, and no wrong selection",
    (release) => {
      for (const name of ["fail_fast_test", "fail_fast_ephemeral", "fail_fast_many"]) {
        const { log, end, byId } = judgedCase(release, name);
        expect(toldEnd(log, end).failFast, name).toBe(true);
        expect(byId.get(HOLLOW)?.class, name).toBe("not_built");
        for (const one of byId.values()) expect(one.message ?? "", one.uniqueId).not.toContain(NOT_SELECTED);
      }
    },
  );

  it.each(["sigint", "sigkill", "sigterm"])("B8: %s is no fail-fast, though dbt cancels its queries", (name) => {
    for (const release of ["1.8.10", "1.11.16", "1.12.6"]) {
      const { log, end } = judgedCase(release, name);
      expect(toldEnd(log, end).failFast, release).toBe(false);
    }
  });

  it("F10: an ephemeral below which a vertex began was compiled, although fail-fast cut the build short", () => {
    for (const release of ["1.9.10", "1.10.23", "1.11.16", "1.12.6"])
      expect(judgedCase(release, "fail_fast_test").byId.get("model.harbour.eph_visits")?.class, release).toBe("good");
  });

  it("F15: a selection that found nothing has looked at no file, not even at one without SQL", () => {
    for (const release of ["1.8.10", "1.11.16", "1.12.6", "2.0.0-beta.2"])
      expect(judgedCase(release, "empty_selection").byId.get(HOLLOW)?.class, release).toBe("not_built");
  });
});
