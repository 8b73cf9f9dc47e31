import { describe, expect, it } from "vitest";
import { compareReported, exactSelection, type SelectableVertex } from "#core/dbt/exact-selection.ts";

const vertex = (uniqueId: string, fqn: string[], originalFilePath: string): SelectableVertex => ({
  uniqueId,
  resourceType: uniqueId.split(".")[0]!,
  packageName: uniqueId.split(".")[1]!,
  originalFilePath,
  fqn,
});

const vertices = [
  vertex("model.p.tariff", ["p", "marts", "tariff"], "models/marts/tariff.sql"),
  vertex("model.p.dues.v1", ["p", "marts", "dues", "v1"], "models/marts/dues_v1.sql"),
  vertex("seed.annex.tariff", ["annex", "tariff"], "seeds/tariff.csv"),
  vertex("test.p.not_null_tariff_fee.0a1b", ["p", "marts", "not_null_tariff_fee"], "models/marts/marts.yml"),
];
const select = (dbtVersion: string | null, options = {}) =>
  exactSelection({ dbtVersion, vertices, stateDir: "/state", options });

describe("G1: exact sets", () => {
  it.each(["1.8.10", "1.9.0", "1.10.23", "1.11.16", "1.12.6"])(
    "dbt %s: a synthetic state that lists the ids as errors",
    (version) => {
      const { way, args, files } = select(version);
      expect(way).toBe("state");
      expect(args).toEqual(["--select", "result:error", "--state", "/state", "--indirect-selection", "empty"]);
      expect(files.map((file) => file.path)).toEqual(["/state/run_results.json"]);
      const content = JSON.parse(files[0]!.content) as {
        results: { unique_id: string; status: string }[];
        metadata: { dbt_schema_version: string };
      };
      expect(content.results.map((one) => one.unique_id)).toEqual(vertices.map((one) => one.uniqueId));
      expect(content.results.every((one) => one.status === "error")).toBe(true);
      expect(content.metadata.dbt_schema_version).toContain("run-results/v6");
    },
  );

  it.each(["2.0.0-preview.196", "2.0.9"])("dbt %s: bare ids", (version) => {
    expect(select(version)).toMatchObject({
      way: "bare_ids",
      args: ["--select", ...vertices.map((one) => one.uniqueId), "--indirect-selection", "empty"],
      files: [],
    });
  });

  it("a version that nobody knows: the four-part form", () => {
    expect(select(null)).toMatchObject({
      way: "four_part",
      args: [
        "--select",
        "fqn:p.marts.tariff,package:p,resource_type:model,file:tariff.sql",
        "fqn:p.marts.dues.v1,package:p,resource_type:model,file:dues_v1.sql",
        "fqn:annex.tariff,package:annex,resource_type:seed,file:tariff.csv",
        "fqn:p.marts.not_null_tariff_fee,package:p,resource_type:test",
        "--indirect-selection",
        "empty",
      ],
    });
  });

  it("takes the user's selection out of the options, and keeps the rest", () => {
    const options = {
      select: ["a"],
      exclude: ["b"],
      selector: "s",
      indirectSelection: "eager" as const,
      resourceTypes: ["model"],
      state: "/old",
      threads: 3,
    };
    for (const version of ["2.0.0", null]) expect(select(version, options).options).toEqual({ threads: 3 });
    expect(select("1.11.16", options).options).toEqual({ threads: 3, deferState: "/old" });
  });

  it("G2: with defer the user's state is given as --defer-state in 1.x, since --state is taken", () => {
    expect(select("1.11.16", { defer: true, state: "/prod" }).options).toEqual({ defer: true, deferState: "/prod" });
    expect(select("1.11.16", { defer: true, state: "/prod", deferState: "/ds" }).options).toEqual({
      defer: true,
      deferState: "/ds",
    });
    expect(select("2.0.0", { defer: true, state: "/prod" }).options).toEqual({ defer: true, state: "/prod" });
  });
});

describe("G1: reported ids against claimed ids", () => {
  it("tells what is missing and what nobody claimed; hooks are neither", () => {
    expect(compareReported(["model.p.a", "model.p.b"], ["model.p.b", "model.p.c", "operation.p.h"])).toEqual({
      missing: ["model.p.a"],
      unexpected: ["model.p.c"],
    });
    expect(compareReported(["model.p.a"], ["model.p.a", "model.p.a"])).toEqual({ missing: [], unexpected: [] });
  });
});
