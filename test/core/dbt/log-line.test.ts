import { describe, expect, it } from "vitest";
import { readLine } from "#core/dbt/log-line.ts";
import { cutMessage, MAX_MESSAGE_CHARACTERS } from "#core/dbt/message-text.ts";
import { classOfStatus, isTerminal } from "#core/dbt/status.ts";
import { batchEnd, finished, line, result, start } from "../../support/dbt-lines.ts";
import { readLines } from "../../support/read-recording.ts";

const A = "model.p.a";

describe("status words", () => {
  it.each([
    ["success", "good"],
    ["pass", "good"],
    ["warn", "good"],
    ["no-op", "good"],
    ["reused", "good"],
    ["error", "failed"],
    ["fail", "failed"],
    ["runtime error", "failed"],
    ["partial success", "failed"],
    ["cancelled", "interrupted"],
    ["skipped", "not_built"],
    ["Success", "good"],
  ])("A4: %s is %s", (word, expected) => {
    expect(classOfStatus(word)).toBe(expected);
    expect(isTerminal(word)).toBe(true);
  });

  it.each(["perhaps", "successful-ish", "constructor", "__proto__", "toString"])(
    "A4: the unknown word %s is red",
    (word) => {
      expect(classOfStatus(word)).toBe("failed");
      const vertex = readLines([start(A), result(A, word)]).vertices.get(A);
      expect(vertex).toMatchObject({ status: word, class: "failed" });
    },
  );

  it.each(["model.p.a", "seed.p.s", "test.p.t.1", "snapshot.p.s"])(
    "A4: no-op of what dbt builds (dbt 2's fail-fast) is no success: %s was cancelled",
    (id) => {
      const vertex = readLines([start(id), result(id, "no-op"), finished(id, "no-op")]).vertices.get(id);
      expect(vertex).toMatchObject({
        status: "cancelled",
        class: "interrupted",
        message: expect.stringContaining("cancelled"),
      });
    },
  );

  it("A4: no-op of what dbt never builds is good", () => {
    const noOp = (id: string, materialized: string) =>
      line({ name: "LogNodeNoOpResult", id, nodeStatus: "no-op", node: { materialized } });
    const { vertices } = readLines([noOp(A, "ephemeral"), noOp("exposure.p.e", ""), noOp("saved_query.p.q", "")]);
    expect([...vertices.values()].map((vertex) => vertex.class)).toEqual(["good", "good", "good"]);
  });

  it.each(["started", "compiling", "executing", "None", "none", ""])("A3: '%s' is never terminal", (word) => {
    expect(isTerminal(word)).toBe(false);
    expect(readLines([start(A), result(A, word, 10, { status: word })]).vertices.get(A)?.class).toBeNull();
  });
});

describe("one line", () => {
  it("A1: a result line with success ends the vertex as good", () => {
    expect(readLine(result(A, "success"))).toMatchObject({ kind: "ended", status: "success", vertex: { uniqueId: A } });
    expect(readLines([start(A), result(A, "success")]).vertices.get(A)).toMatchObject({
      class: "good",
      evidence: true,
    });
  });

  it.each(["error", "fail", "runtime error", "partial success"])("A2: %s ends it as failed, with timing", (word) => {
    const read = readLines([start(A, 0), result(A, word, 1500, { data: { execution_time: 1.5, num_failures: 3 } })]);
    expect(read.vertices.get(A)).toMatchObject({ class: "failed", status: word, executionSeconds: 1.5, failures: 3 });
    expect(read.vertices.get(A)!.endedAtMs! - read.vertices.get(A)!.startedAtMs!).toBe(1500);
  });

  it.each([
    ["", null],
    ["   ", null],
    ["not json", null],
    ['{"info": {"name": "LogMod', null],
    ["{", null],
    ["\u0000\ufffd\ufffd", null],
    ["Traceback (most recent call last):", null],
  ])("A6: %j is no event and no crash", (text, expected) => {
    expect(readLine(text)).toBe(expected);
  });

  it("A6: a megabyte in one line is read, and its text is cut with a count", () => {
    const read = readLine(
      line({ name: "RunResultError", level: "error", id: A, data: { msg: "x".repeat(1_000_000) } }),
    );
    expect(read).toMatchObject({ kind: "message" });
    const { message } = read as { message: string };
    expect(message.length).toBeLessThanOrEqual(MAX_MESSAGE_CHARACTERS);
    expect(message).toMatch(/^x{2000,} … \(9960\d\d more characters in dbt's log\) … x{1000,}$/);
  });

  it.each([
    ["text", "raw text of a model"],
    ["a brace", "{"],
    ["the beginning of an event", '{"data": {"x": 1'],
    ["a whole event", result(A, "error")],
    ["more text than any event has", "x".repeat(300_000)],
  ])("A6: an event that a Python model's print without a line's end stands before is read: %s", (_what, printed) => {
    expect(readLine(printed + result(A, "success"))).toMatchObject({ kind: "ended", status: "success" });
    const dbt2 = JSON.stringify({ info: { name: "CommandCompleted" }, data: { success: true } });
    expect(readLine(printed + dbt2)).toMatchObject({ kind: "summary", success: true });
  });

  it("A6: an event with text behind it is none, and an event within an event's text is not read", () => {
    expect(readLine(`${result(A, "success")}text`)).toBeNull();
    const quoting = line({ name: "JinjaLogInfo", msg: `x${result(A, "success")}` });
    expect(readLine(quoting)).toMatchObject({ kind: "text", name: "JinjaLogInfo" });
  });

  it("A6: a cut never leaves half a character", () => {
    expect(cutMessage("a😀", 2)).not.toMatch(/[\ud800-\udbff]/);
  });

  it.each([
    "null",
    "123",
    '"s"',
    "[]",
    '{"data":null}',
    '{"info":null}',
    '{"info":{}}',
    '{"info":[]}',
    '{"info":{"name":7}}',
    "{}",
  ])("A7: %s is ignored", (text) => expect(readLine(text)).toBeNull());

  it.each([
    ["data is null", { info: { name: "LogModelResult", level: "info", msg: "m" }, data: null }],
    ["node_info is a text", { info: { name: "LogModelResult" }, data: { node_info: "x" } }],
    ["unique_id is a number", { info: { name: "LogModelResult" }, data: { node_info: { unique_id: 7 } } }],
    ["msg is an object", { info: { name: "RunResultError", msg: {} }, data: { msg: [] } }],
  ])("A7: an event whose %s is a text and no vertex", (_why, value) => {
    expect(readLine(JSON.stringify(value))).toMatchObject({ kind: "text" });
  });

  it("A15: where node_status says None the word is data.status; elsewhere data.status is the database's own", () => {
    expect(readLine(result("unit_test.p.a.t", "None", 1, { status: "fail" }))).toMatchObject({ status: "fail" });
    expect(readLine(result(A, "success", 1, { status: "SELECT 5" }))).toMatchObject({ status: "success" });
    expect(readLine(result(A, "partial success", 1, { status: "PARTIAL SUCCESS (3/4)" }))).toMatchObject({
      status: "partial success",
    });
    expect(readLine(line({ name: "SkippingDetails", id: A, nodeStatus: "None" }))).toMatchObject({
      kind: "ended",
      status: "skipped",
    });
    expect(
      readLine(line({ name: "LogNodeNoOpResult", id: "exposure.p.e", nodeStatus: "None", status: "" })),
    ).toMatchObject({ status: "no-op" });
  });

  it("A15: a result line that still claims to be started is believed only a word that dbt has", () => {
    expect(readLine(result(A, "started", 1, { status: "error" }))).toMatchObject({ kind: "ended", status: "error" });
    expect(readLine(result(A, "started", 1, { status: "SELECT 5" }))).toMatchObject({ kind: "started" });
  });

  it("A10: a hook is never a vertex", () => {
    const hook = "operation.p.p-on-run-start-0";
    const log = readLines([
      line({ name: "LogHookStartLine", id: hook, nodeStatus: "started", data: { statement: "p.on-run-start.0" } }),
      line({ name: "LogHookEndLine", id: hook, nodeStatus: "success", status: "OK" }),
      line({ name: "NodeStart", id: hook, nodeStatus: "started", level: "debug" }),
      line({ name: "NodeFinished", id: hook, nodeStatus: "success", level: "debug" }),
      line({ name: "SQLCompiledPath", id: hook, data: { path: "x.sql" } }),
    ]);
    expect(log.vertices.size).toBe(0);
    expect(log.hookFailures).toEqual([]);
  });

  it("A18: colour codes are stripped from every text", () => {
    const msg = "\u001b[31mCompleted\u001b[0m \u001b[0;1m@@\u001b[0m";
    expect(readLine(line({ name: "RunResultError", level: "error", id: A, msg, data: { msg } }))).toMatchObject({
      text: "Completed @@",
      message: "Completed @@",
    });
  });

  it("times are UTC though 1.x leaves the Z away", () => {
    const read = readLine(
      line({
        name: "LogStartLine",
        id: A,
        nodeStatus: "started",
        node: { node_started_at: "2026-01-01T00:00:01.500000" },
      }),
    );
    expect(read).toMatchObject({ vertex: { startedAtMs: Date.parse("2026-01-01T00:00:01.5Z") } });
  });

  it("G14: a batch's line is a batch, never an end", () => {
    expect(readLine(batchEnd(A, "2024-03-01", 1, "success"))).toMatchObject({
      kind: "batch",
      batch: { name: "2024-03-01", index: 1, total: 4, status: "success" },
    });
  });

  it("an id with dots and other letters stays whole", () => {
    expect(readLine(result("model.p.with.dot", "success"))).toMatchObject({
      vertex: { uniqueId: "model.p.with.dot", resourceType: "model" },
    });
    expect(readLine(result("model.p.brücke", "success"))).toMatchObject({ vertex: { uniqueId: "model.p.brücke" } });
  });
});
