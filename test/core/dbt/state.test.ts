import { describe, expect, it } from "vitest";
import { buildOptionsSchema } from "#core/dbt/argv.ts";
import { selectsBySources, withoutState } from "#core/dbt/state-selection.ts";
import { type StateSource, stateProblem, stateSourceOf } from "#core/dbt/state-source.ts";

describe("H10: where a state lies", () => {
  it.each<[string, StateSource]>([
    ["s3://artefacts/prod/dbt", { kind: "s3", bucket: "artefacts", prefix: "prod/dbt/" }],
    ["s3://artefacts/prod/", { kind: "s3", bucket: "artefacts", prefix: "prod/" }],
    ["s3://artefacts", { kind: "s3", bucket: "artefacts", prefix: "" }],
    ["latest-green", { kind: "latest", which: "latest-green" }],
    ["latest", { kind: "latest", which: "latest" }],
    ["commit:0a1b2c3", { kind: "commit", commit: "0a1b2c3" }],
    ["20260131-060000-1a2b3c4d", { kind: "run", runId: "20260131-060000-1a2b3c4d" }],
    ["run:nightly", { kind: "run", runId: "nightly" }],
    ["nightly", { kind: "folder", path: "nightly", run: "nightly" }],
    ["state/prod", { kind: "folder", path: "state/prod", run: null }],
    ["./latest", { kind: "folder", path: "./latest", run: null }],
    ["/artefacts", { kind: "folder", path: "/artefacts", run: null }],
  ])("H10: %s", (text, source) => {
    expect(stateSourceOf(text)).toEqual(source);
    expect(stateProblem(text)).toBeNull();
  });

  it.each([
    ["s3:/artefacts/prod", "is no place in S3"],
    ["s3://A_b/prod", "is no place in S3"],
    ["s3://", "is no place in S3"],
    ["commit:", "names no commit"],
    ["commit:a/b", "names no commit"],
    ["run:a b", "names no run"],
  ])("H10: %s is refused before anything starts", (text, why) => {
    expect(stateProblem(text)).toContain(why);
    for (const option of ["state", "deferState"])
      expect(buildOptionsSchema.safeParse({ [option]: text }).error?.issues[0]?.message).toContain(why);
  });
});

describe("H10: what a run without a state builds, where it may", () => {
  it.each<[string, object, object]>([
    ["a comparison alone is the whole project", { select: ["state:modified+"] }, {}],
    ["with operators", { select: ["2+state:modified+3"] }, {}],
    ["what it is an intersection with stays", { select: ["state:modified+,tag:nightly"] }, { select: ["tag:nightly"] }],
    ["several in one entry", { select: ["result:error+,tag:a tag:b"] }, { select: ["tag:a", "tag:b"] }],
    ["a union with everything is everything", { select: ["state:modified", "tag:a"] }, {}],
    ["what says nothing of a state stays", { select: ["orders+"], threads: 4 }, { select: ["orders+"], threads: 4 }],
    ["nothing is left out by comparison", { exclude: ["state:old", "tag:wip"] }, { exclude: ["tag:wip"] }],
    [
      "nothing is deferred",
      {
        select: ["source_status:fresher+"],
        state: "latest-green",
        defer: true,
        favorState: true,
        deferState: "latest",
      },
      {},
    ],
    ["a path that is called so is none", { select: ["path:state"] }, { select: ["path:state"] }],
  ])("H10: %s", (_, options, expected) => {
    expect(withoutState(options)).toEqual(expected);
  });

  it("H10: sources are looked at where a selection asks for them", () => {
    expect(selectsBySources({ select: ["tag:a,1+source_status:fresher+"] })).toBe(true);
    expect(selectsBySources({ exclude: ["source_status:fresher"] })).toBe(true);
    expect(selectsBySources({ select: ["state:modified+", "source:raw.orders+"] })).toBe(false);
  });
});
