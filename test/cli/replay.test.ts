import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { replay } from "../../cli/replay.ts";
import { stepwatch } from "./fake-context.ts";

const recording = (version: string, name: string, file: string) =>
  join(import.meta.dirname, "..", "fixtures", "dbt-logs", version, name, `${file}.gz`);

describe("replay", () => {
  test.each(["1.8.10", "1.11.16", "1.12.6", "2.0.0rc196"])(
    "B1: a failed head of a chain, dbt %s: it failed, the chain is not built, nothing is green",
    async (version) => {
      const result = await replay({
        log: recording(version, "deep_skip", "info.jsonl"),
        runResults: recording(version, "deep_skip", "run_results.json"),
      });
      const classOf = new Map(result.nodes.map((node) => [node.uniqueId, node.class]));
      expect(classOf.get("model.harbour.link_1")).toBe("failed");
      for (const link of [2, 3, 4, 5, 6])
        expect(classOf.get(`model.harbour.link_${link}`), `link_${link}`).toBe("not_built");
      expect(result.cause.kind).toBe("node");
    },
  );

  test("a debug log gives each vertex of the info log the same class (it also names ephemeral models)", async () => {
    const classes = async (level: string) => {
      const { nodes } = await replay({ log: recording("1.11.16", "test_fail", `${level}.jsonl`) });
      return Object.fromEntries(nodes.map((node) => [node.uniqueId, node.class]));
    };
    expect(await classes("debug")).toMatchObject(await classes("info"));
  });

  test("--json: tests are entries of their own, and the exit code is that of a live build", async () => {
    const good = await stepwatch(["replay", recording("1.11.16", "all_pass", "info.jsonl"), "--json"]);
    const bad = await stepwatch(["replay", recording("1.11.16", "test_fail", "info.jsonl"), "--json"]);
    expect([good.exitCode, bad.exitCode]).toEqual([0, 1]);
    const { nodes } = JSON.parse(bad.stdout) as { nodes: Record<string, unknown>[] };
    const failed = nodes.find((node) => node.resourceType === "test" && node.class === "failed");
    expect(failed).toMatchObject({
      uniqueId: expect.stringMatching(/^test\./),
      status: "fail",
      outcome: null,
      tries: 1,
      tests: [],
    });
    expect(Object.keys(failed ?? {})).toEqual(
      expect.arrayContaining([
        "uniqueId",
        "resourceType",
        "status",
        "class",
        "outcome",
        "tries",
        "startedAt",
        "finishedAt",
        "message",
        "tests",
      ]),
    );
  });
});

describe("replay with a manifest", () => {
  const filesOf = (name: string) => ({
    log: recording("1.11.16", name, "info.jsonl"),
    runResults: recording("1.11.16", name, "run_results.json"),
    manifest: recording("1.11.16", name, "manifest.json"),
  });

  test("B4: children of failed ephemerals, which dbt 1 names by relation alone, are not built", async () => {
    const { runResults: _, ...files } = filesOf("eph_two_compile");
    const bare = await replay({ log: files.log });
    const { nodes } = await replay(files);
    const added = nodes.filter((node) => !bare.nodes.some((one) => one.uniqueId === node.uniqueId));
    expect(added.map((node) => `${node.uniqueId} ${node.class}`)).toEqual([
      "model.harbour.eph_over not_built",
      "model.harbour.over not_built",
      "test.harbour.not_null_eph_two_call_id.373f9e6f98 not_built",
    ]);
    const byId = new Map(nodes.map((node) => [node.uniqueId, node]));
    expect(byId.get("test.harbour.not_null_eph_two_call_id.373f9e6f98")).toMatchObject({
      resourceType: "test",
      status: "skipped",
      message: "Its gate parent model.harbour.eph_two is not good.",
    });
    expect(byId.get("model.harbour.eph_two")?.tests).toHaveLength(1);
  });

  test("F10: a build of the whole project: ephemerals and files without SQL are there, and each node has its tests", async () => {
    const { nodes } = await replay(filesOf("many_failures"));
    const byId = new Map(nodes.map((node) => [node.uniqueId, node]));
    for (const name of ["eph_visits", "hollow"])
      expect(byId.get(`model.harbour.${name}`), name).toMatchObject({
        class: "good",
        status: "nothing to build",
        tries: 0,
      });
    expect(byId.get("model.harbour.link_3")?.tests).toHaveLength(2);
    expect(byId.get("exposure.harbour.harbour_board")?.class).toBe("not_built");
    expect(nodes.filter((node) => node.class === "failed")).toHaveLength(4);
  });

  test.each(["1.8.10", "1.12.6"])(
    "B4: the top of three ephemerals can not be compiled, dbt %s: none of them is green, what they carry is not built",
    async (version) => {
      const { runResults, ...files } = Object.fromEntries(
        ["log", "runResults", "manifest"].map((option, at) => [
          option,
          recording(version, "eph_deep_compile", ["info.jsonl", "run_results.json", "manifest.json"][at]!),
        ]),
      ) as { log: string; runResults: string; manifest: string };
      for (const given of [files, { ...files, runResults }]) {
        const { nodes, cause } = await replay(given);
        const by = (word: string) => nodes.filter((node) => node.class === word).map((node) => node.uniqueId.slice(10));
        expect(by("failed")).toEqual([]);
        expect(by("not_built").sort()).toEqual(["eb1", "eb2", "eb3", "on_both", "on_eb3", "under"]);
        expect(by("good").sort()).toEqual(["a", "b", "c", "e_ok", "on_ok"]);
        expect(cause).toMatchObject({ kind: "node", sentence: expect.stringContaining("main.on_eb3") });
      }
    },
  );

  test("A14: what run_results.json alone names is not built, with a manifest as without", async () => {
    const { log, ...files } = filesOf("eph_two_compile");
    const without = gunzipSync(readFileSync(log))
      .toString("utf8")
      .replaceAll(/^.*"seed\.harbour\.calls".*\n/gm, "");
    const folder = mkdtempSync(join(tmpdir(), "stepwatch-replay-"));
    writeFileSync(join(folder, "log.jsonl"), without);
    const { nodes } = await replay({ log: join(folder, "log.jsonl"), ...files });
    rmSync(folder, { recursive: true });
    expect(nodes.find((node) => node.uniqueId === "seed.harbour.calls")).toMatchObject({
      class: "not_built",
      status: "not reported",
    });
  });

  test("more files never tell of fewer vertices", async () => {
    const { log, runResults, manifest } = filesOf("eph_two_compile");
    const ids = async (files: Parameters<typeof replay>[0]) => (await replay(files)).nodes.map((node) => node.uniqueId);
    const all = await ids({ log, runResults, manifest });
    for (const fewer of [await ids({ log }), await ids({ log, runResults }), await ids({ log, manifest })])
      expect(all).toEqual(expect.arrayContaining(fewer));
  });
});

describe("what Python models print", () => {
  test.each(["1.8.10", "1.9.10", "1.10.23", "1.11.16", "1.12.6"])(
    "A6: dbt %s: text before an event hides none, and events that dbt never sent change nothing",
    async (version) => {
      const { nodes, cause } = await replay({ log: recording(version, "python_prints", "info.jsonl") });
      expect(Object.fromEntries(nodes.map((node) => [node.uniqueId, node.status]))).toEqual({
        "model.zoo.a": "success",
        "model.zoo.b": "success",
        "model.zoo.c": "success",
        "model.zoo.p": "success",
        "model.zoo.p2": "success",
        "model.zoo.p3": "success",
        "model.zoo.bad1": "error",
        "model.zoo.under_bad": "skipped",
      });
      expect(cause.sentence).toContain("model.zoo.bad1");
    },
  );
});

describe("what dbt 2 prints beside the point", () => {
  test("B8: fail-fast ends the log without a last line: the failed node is the cause", async () => {
    const { cause } = await replay({ log: recording("2.0.0rc196", "fail_fast_ephemeral", "info.jsonl") });
    expect(cause).toMatchObject({ kind: "node", sentence: expect.stringContaining("model.harbour.eph_visits") });
  });

  test("A3: a model compiled for its unit test's sake, in dbt test, is no vertex of the build", async () => {
    const { nodes } = await replay({ log: recording("2.0.0rc196", "test_cmd", "debug.jsonl") });
    expect(nodes.filter((node) => node.resourceType === "model")).toEqual([]);
  });

  test("C11: a test has a relation only where dbt keeps its failures", async () => {
    const relationsOf = async (name: string) => {
      const files = ["info.jsonl", "run_results.json"].map((file) => recording("2.0.0rc196", name, file));
      const { nodes } = await replay({ log: files[0]!, runResults: files[1] });
      return nodes.filter((node) => node.class === "failed").map((node) => node.relation);
    };
    expect(await relationsOf("test_fail")).toEqual([null]);
    expect(await relationsOf("store_failures")).toEqual([expect.stringContaining("name_is_painted")]);
  });
});

describe("files that are not what they should be", () => {
  const folder = mkdtempSync(join(tmpdir(), "stepwatch-replay-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const file = (name: string, content: string | Buffer) => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  const zipped = readFileSync(recording("1.11.16", "deep_skip", "info.jsonl"));
  const green = readFileSync(recording("1.11.16", "all_pass", "info.jsonl"));

  test.each([
    ["no such file", () => join(folder, "none.jsonl"), /There is no file/],
    ["a folder", () => folder, /is a folder/],
    ["nothing in it", () => file("empty.jsonl", ""), /no JSON event of dbt/],
    ["plain text", () => file("text.log", "12:00:00  Running with dbt=1.11.16\n"), /no JSON event of dbt/],
    ["JSON of another program", () => file("other.jsonl", '{"level":"info"}\n[1]\nnull\n'), /no JSON event of dbt/],
    ["bytes", () => file("bytes.bin", Buffer.from([0, 159, 146, 150, 255, 10, 123])), /no JSON event of dbt/],
    ["a gzip that was cut off", () => file("cut.gz", zipped.subarray(0, 900)), /can not be read/],
  ])("%s: one sentence and exit code 2", async (_title, path, sentence) => {
    const { exitCode, stdout, stderr } = await stepwatch(["replay", path()]);
    expect([exitCode, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(sentence);
  });

  test.each(["--run-results", "--manifest"])("%s that is none: one sentence and exit code 2", async (option) => {
    const log = recording("1.11.16", "all_pass", "info.jsonl");
    for (const content of ["", "[]", '{"results": 3}', "{"]) {
      const { exitCode, stderr } = await stepwatch(["replay", log, option, file("wrong.json", content)]);
      expect([exitCode, stderr]).toEqual([
        2,
        expect.stringMatching(/is no (whole )?(run_results|manifest)\.json of dbt/),
      ]);
    }
  });

  test("a gzip is known by its bytes, not by its name, and a byte order mark is no obstacle", async () => {
    expect((await replay({ log: file("renamed.jsonl", zipped) })).cause.kind).toBe("node");
    expect((await replay({ log: file("plain.gz", gunzipSync(zipped)) })).cause.kind).toBe("node");
    expect((await replay({ log: file("bom.jsonl", `\ufeff${gunzipSync(zipped)}`) })).dbtVersion).toBe("1.11.16");
  });

  test("A10: the macro of dbt run-operation, which dbt 2 writes into run_results.json by its bare name, is no vertex", async () => {
    const line = (name: string, data: object) =>
      JSON.stringify({ info: { name, level: "info", msg: name, invocation_id: "one" }, data });
    const log = file(
      "operation.jsonl",
      [line("MainReportVersion", {}), line("CommandCompleted", { success: true })].join("\n"),
    );
    const results = ["fine", "macro.zoo.fine", "operation.zoo.fine", "constructor"].map((unique_id) => ({
      unique_id,
      status: "success",
    }));
    const runResults = file("operation.json", JSON.stringify({ metadata: { invocation_id: "one" }, results }));
    expect(await replay({ log, runResults })).toMatchObject({ nodes: [], cause: { kind: "none" } });
  });

  test("A17: of several builds in one log, the one of run_results.json is told, else the first", async () => {
    const log = file("two.jsonl", Buffer.concat([gunzipSync(green), gunzipSync(zipped)]));
    expect((await replay({ log })).cause.kind).toBe("none");
    const second = { log, runResults: recording("1.11.16", "deep_skip", "run_results.json") };
    expect(await replay(second)).toMatchObject({ cause: { kind: "node" }, drift: { contradictions: [] } });
  });

  test("A6: a green log that was cut at any line is never green", async () => {
    const lines = gunzipSync(green).toString("utf8").trimEnd().split("\n");
    for (let end = 1; end < lines.length; end += 7) {
      const { exitCode } = await stepwatch(["replay", file("cut.jsonl", lines.slice(0, end).join("\n")), "--json"]);
      expect(exitCode, `${end} lines`).toBe(1);
    }
  });
});
