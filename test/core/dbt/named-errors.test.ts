import { describe, expect, it } from "vitest";
import { buildEnded } from "#core/dbt/build-end.ts";
import { line, result, start, version } from "../../support/dbt-lines.ts";
import { withNamedErrors } from "../../support/named-errors.ts";
import { readLines, readRecording } from "../../support/read-recording.ts";
import { type RecordedCase, recordedCase, recordedCases } from "../../support/recorded-cases.ts";

const A = "model.p.a";
const rc = recordedCases().filter((one) => one.version === "2.0.0rc196");

const read = (recorded: RecordedCase) => {
  const { end, outcomes, log } = readRecording(recorded, { withFile: true });
  return { end, outcomes, hooks: log.hookFailures };
};

/** A coded error as dbt 2 has printed it since preview 201. */
const coded = (name: string, code: number, text: string, more: { id?: string; level?: string; at?: number } = {}) =>
  line({
    name,
    level: more.level ?? "error",
    msg: `[${more.level ?? "error"}] [${name} (dbt${code})]: ${text}`,
    at: more.at ?? 9,
    data: more.id === undefined ? {} : { node_info: { unique_id: more.id } },
  }).replace('"code":""', `"code":"${code}"`);

const CLOSING = line({ name: "CommandCompleted", msg: "Finished", at: 99, data: { success: false } });

const endOf = (lines: string[], exitCode = 1) =>
  buildEnded(readLines([version("2.0.0-beta.2"), ...lines, CLOSING]), { exitCode, signal: null, signalledByUs: false });

describe("A21: dbt 2 calls an error by the name of its code", () => {
  it.each(rc.map((one) => [`${one.name} at ${one.level}`, one] as const))(
    "%s, as previews 201 and 202 print it, reads as it did",
    (_title, recorded) => {
      const named = { ...recorded, lines: () => withNamedErrors(recorded.lines()) };
      expect(read(named)).toEqual(read(recorded));
    },
  );

  it("the transform changes what it should: errors of vertices, of the build and of empty selections", () => {
    const names = (name: string) =>
      withNamedErrors(recordedCase("2.0.0rc196", name).lines())
        .filter((text) => /"code":"\d+"/.test(text))
        .map((text) => (JSON.parse(text) as { info: { name: string } }).info.name);
    expect(names("sigint")).toEqual(["TaskCancelled", "TaskCancelled", "OperationCanceled"]);
    expect(names("model_error")).toEqual(["DbDriverFailed"]);
    expect(names("empty_selection")).toEqual(["NoNodesForSelectionCriteria", "NoNodesSelected"]);
  });

  it.each(rc.map((one) => [`${one.name} at ${one.level}`, one] as const))(
    "%s, by names that nobody knows, has the same vertices",
    (_title, recorded) => {
      const rename = (name: string) => (/Cancel|NoNodes/.test(name) ? name : `${name}OfTomorrow`);
      const classes = (one: RecordedCase) => read(one).outcomes.map(({ uniqueId, class: is }) => [uniqueId, is]);
      const named = { ...recorded, lines: () => withNamedErrors(recorded.lines(), rename) };
      expect(classes(named)).toEqual(classes(recorded));
    },
  );

  it("an unknown coded error about a vertex is its failure, with the text as its message", () => {
    const log = readLines([
      version("2.0.0"),
      start(A),
      coded("QuotaOfTomorrow", 7123, "too much", { id: A }),
      result(A, "success"),
    ]);
    expect(log.vertices.get(A)).toMatchObject({
      class: "failed",
      status: "error",
      message: "[error] [QuotaOfTomorrow (dbt7123)]: too much",
    });
  });

  it("a code without its text's prefix is one all the same; an adapter's complaint of dbt 1 is none", () => {
    const bare = line({ name: "QuotaOfTomorrow", level: "error", msg: "too much", id: A }).replace(
      '"code":""',
      '"code":"7123"',
    );
    const plain = line({ name: "SomethingOfTomorrow", level: "error", msg: "no", id: A });
    const complaint = line({ name: "AdapterEventError", level: "error", msg: "tried once more", id: A });
    const classOf = (lines: string[]) => readLines([...lines, result(A, "success")]).vertices.get(A)?.class;
    expect(classOf([version("2.0.0"), bare])).toBe("failed");
    expect(classOf([version("2.0.0"), plain])).toBe("failed");
    expect(classOf([version("1.11.16"), complaint])).toBe("good");
  });

  it("a coded warning is no failure, with or without a vertex", () => {
    const warned = [
      coded("JinjaWarn", 1071, "hm", { level: "warn", id: A }),
      coded("JinjaWarn", 1071, "hm", { level: "warn" }),
    ];
    const log = readLines([version("2.0.0"), ...warned, result(A, "success")]);
    expect(log.vertices.get(A)?.class).toBe("good");
    expect(log.fatal).toBeNull();
  });

  it.each([
    ["connection", "DbConnectionFailed", 1300, "server went away", true],
    ["connection", "DbUnavailable", 1304, "warehouse is suspended", true],
    ["connection", "DbAuthFailed", 1301, "password", true],
    ["connection", "NetworkError", 1200, "dns", true],
    ["connection", "DbDriverFailed", 1308, "IO Error: Could not set lock on file", true],
    ["unexplained_exit", "DbDriverFailed", 1308, "Binder Error: no such column", false],
    ["parse", "CyclicDependency", 1022, "a to b to a", false],
    ["parse", "MacroVarNotFound", 1503, "x", false],
    ["parse", "InvalidConfig", 1005, "Found duplicate model", false],
    ["profile", "InvalidConfig", 1005, "target 'x' not found in profile 'y'", false],
    ["profile", "MissingProfile", 1102, "none", false],
    ["flags", "InvalidFlag", 1100, "--such", false],
    ["flags", "SelectorError", 1600, "no such method", false],
    ["environment", "EnvVarMissing", 1104, "DBT_HOST", false],
    ["unexplained_exit", "QuotaOfTomorrow", 7123, "too much", false],
    ["unexplained_exit", "Unexpected", 9002, "a bug", false],
  ])("the cause is %s where dbt gave up with %s (%i)", (kind, name, code, text, retryable) => {
    const end = endOf([coded(name, code, text)]);
    expect(end).toMatchObject({ inOrder: false, retryableLaunch: retryable, cause: { kind } });
    expect(end.cause.sentence).toContain(text);
  });

  it("what dbt says of a hook belongs to the hook, before its end or behind it, however often hooks fail", () => {
    const hook = (n: number, at: number) =>
      line({
        name: "LogHookEndLine",
        id: `operation.p.p-on-run-end-${n}`,
        nodeStatus: "error",
        at,
        node: { node_name: `p-on-run-end-${n}` },
      });
    const why = (text: string, at: number) =>
      coded("DbDriverFailed", 1308, `${text}\n(in <RUN_OPERATION>:1:9)`, { at });
    const lines = [result(A, "success"), why("first", 10), hook(0, 11), why("second", 12), hook(1, 13)];
    for (const order of [lines, lines.toReversed()]) {
      const end = endOf(order);
      expect(end).toMatchObject({ inOrder: true, cause: { kind: "hook" } });
      const log = readLines([version("2.0.0"), ...order]);
      const told = [...log.hookFailures].sort((a, b) => a.name.localeCompare(b.name)).map((one) => one.message);
      expect(told).toEqual([expect.stringContaining("first"), expect.stringContaining("second")]);
    }
    expect(endOf([result(A, "success"), hook(0, 11), why("late", 12)]).cause.sentence).toContain("late");
    expect(endOf([result(A, "success"), why("alone", 12)])).toMatchObject({ cause: { kind: "hook" } });
  });
});

describe("A21: dbt 2, cut short since preview 203", () => {
  const failFast = line({ name: "MainReportArgs", data: { args: { invocation_command: "dbt build --fail-fast" } } });
  const B = "model.p.b";
  const cancelled = coded("OperationCanceled", 8995, "Operation cancelled", { at: 90 });
  const executing = (id: string) => line({ name: "NodeExecuting", level: "debug", id, nodeStatus: "executing" });
  const failed = [executing(A), coded("DbDriverFailed", 1308, "boom", { id: A }), result(A, "error")];
  const victim = [executing(B), result(B, "error")];
  const of = (lines: string[]) => readLines([version("2.0.0-beta.2"), ...lines]);

  it("under fail-fast an error without a line of its own is a victim, in any order of the lines", () => {
    for (const lines of [
      [failFast, ...failed, ...victim, cancelled],
      [failFast, ...victim, ...failed, cancelled],
      [...victim, cancelled, ...failed, failFast],
    ]) {
      const { vertices } = of(lines);
      expect([vertices.get(A)?.class, vertices.get(B)?.class]).toEqual(["failed", "interrupted"]);
      expect(endOf(lines).cause).toMatchObject({ kind: "node", sentence: `1 node failed, ${A} first.` });
    }
  });

  it("where no failure has a line of its own, what failed under fail-fast stays a failure", () => {
    expect(of([failFast, ...victim, cancelled]).vertices.get(B)?.class).toBe("failed");
  });

  it("a test that found rows is no victim, and starts the fail-fast", () => {
    const T = "test.p.t.1";
    const { vertices } = of([failFast, executing(T), result(T, "fail"), ...victim, cancelled]);
    expect([vertices.get(T)?.class, vertices.get(B)?.class]).toEqual(["failed", "interrupted"]);
  });

  it.each([
    ["TaskCancelled", 1404, "Error executing materialization macro: Cancelled: x"],
    ["JinjaError", 1501, "Error materializing test: Cancelled: SQL statement execution was cancelled"],
    ["OperationCanceled", 8995, "Adapter operation was cancelled"],
  ])("%s says that the vertex was cancelled, before its end or behind it", (name, code, text) => {
    const said = coded(name, code, text, { id: B });
    for (const lines of [
      [...victim, said],
      [said, ...victim],
    ]) {
      expect(of([...lines, cancelled]).vertices.get(B)).toMatchObject({ class: "interrupted", status: "cancelled" });
    }
  });

  it("what a database cancels by itself, or a model says in dbt's words, is a failure: dbt was not cut short", () => {
    const timeout = coded("TaskCancelled", 1404, "Cancelled: statement timeout", { id: B });
    const words = coded("JinjaError", 1501, "Cancelled: SQL statement execution was cancelled, says a model", {
      id: B,
    });
    for (const said of [timeout, words]) {
      const lines = [executing(A), result(A, "success"), said, ...victim];
      expect(of([...lines, CLOSING]).vertices.get(B)).toMatchObject({ class: "failed", status: "error" });
      expect(endOf(lines)).toMatchObject({
        inOrder: true,
        cause: { kind: "node", sentence: `1 node failed, ${B} first.` },
      });
    }
  });

  it("a cancel without fail-fast is an interruption and no ordered end, though dbt prints its last line", () => {
    const end = endOf([...victim, cancelled]);
    expect(end).toMatchObject({ inOrder: false, cause: { kind: "killed" } });
    expect(of([...victim, cancelled]).vertices.get(B)?.class).toBe("interrupted");
    const underFlag = endOf([failFast, coded("TaskCancelled", 1404, "x", { id: B }), ...victim, cancelled]);
    expect(underFlag).toMatchObject({ inOrder: false, cause: { kind: "killed" } });
  });

  it("a build of dbt 1, and one that was not cut short, prints errors of failures alone", () => {
    expect(of(victim).vertices.get(B)?.class).toBe("failed");
    expect(readLines([version("1.11.16"), failFast, ...failed, ...victim]).vertices.get(B)?.class).toBe("failed");
  });
});
