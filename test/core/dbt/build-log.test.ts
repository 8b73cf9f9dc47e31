import { describe, expect, it } from "vitest";
import { buildEnded } from "#core/dbt/build-end.ts";
import { applyEvent, LAST_LINES, markSignalled, newBuildLog } from "#core/dbt/build-log.ts";
import { closeBuildLog } from "#core/dbt/close-log.ts";
import { readLine } from "#core/dbt/log-line.ts";
import {
  batchEnd,
  batchStart,
  finished,
  generic,
  INVOCATION,
  lateError,
  line,
  result,
  START_MS,
  skip,
  start,
  stats,
  version,
} from "../../support/dbt-lines.ts";
import { readLines } from "../../support/read-recording.ts";
import { recordedCase } from "../../support/recorded-cases.ts";

const A = "model.p.a";

/** The changes that each line makes. */
const changesOf = (lines: string[]) => {
  const log = newBuildLog();
  return lines.flatMap((text) => applyEvent(log, readLine(text)!).map((change) => change.what));
};

describe("changes", () => {
  it("a start and an end are one change each; what says nothing new is none", () => {
    expect(changesOf([start(A), result(A, "success"), finished(A, "success"), result(A, "success")])).toEqual([
      "started",
      "ended",
    ]);
  });

  it("A3: 1.x's NodeStart (debug) marks nothing; dbt prints it also for what it skips", () => {
    const nodeStart = line({ name: "NodeStart", level: "debug", id: A, nodeStatus: "started" });
    expect(changesOf([nodeStart])).toEqual([]);
    expect(changesOf([nodeStart, start(A)])).toEqual(["started"]);
    expect(changesOf([nodeStart, skip(A)])).toEqual(["ended"]);
  });

  it("A9: the message that comes at the end of the run completes a vertex that has long ended", () => {
    const log = readLines([start(A), result(A, "error")]);
    expect(log.vertices.get(A)?.message).toBeNull();
    const changes = applyEvent(log, readLine(lateError(A, "Runtime Error in model a"))!);
    expect(changes).toMatchObject([
      { uniqueId: A, what: "message", vertex: { message: "Runtime Error in model a", status: "error" } },
    ]);
    const compiled = applyEvent(
      log,
      readLine(line({ name: "SQLCompiledPath", id: A, data: { path: "target/compiled/p/models/a.sql" } }))!,
    );
    expect(compiled[0]?.vertex.compiledPath).toBe("target/compiled/p/models/a.sql");
  });

  it("A17: a line of no invocation, as a Python model may print it, is not of this build", () => {
    const forged = (id: string, word: string) => {
      const { info, data } = JSON.parse(result(id, word));
      return JSON.stringify({ data, info: { ...info, invocation_id: undefined } });
    };
    const log = readLines([version("1.8.10"), forged("model.p.phantom", "success"), forged(A, "error")]);
    expect(log.vertices.size).toBe(0);
    expect(
      readLines([version("1.8.10"), start(A), forged(A, "error"), result(A, "success")]).vertices.get(A)?.class,
    ).toBe("good");
  });

  it.each([
    "Skipping due to fail_fast, says the model",
    "Compilation Error in model a\n  Skipping due to fail_fast",
    "Compilation Error in model a\n  caused by compilation error in referenced ephemeral model model.p.b",
  ])("A2: dbt's words for a skip within a model's own message are a failure's message: %j", (message) => {
    expect(readLines([lateError(A, message)]).vertices.get(A)?.class).toBe("failed");
    expect(readLines([lateError(A, message)]).failFast).toBe(false);
  });

  it.each([
    "Skipping due to fail_fast",
    "Compilation Error in model.p.a, caused by compilation error in referenced ephemeral model model.p.b",
  ])("B1: %j alone is a skip", (message) =>
    expect(readLines([lateError(A, message)]).vertices.get(A)?.class).toBe("not_built"),
  );

  it("A16: dbt 2's codes count at the beginning of a line, not in what a database or a macro says", () => {
    const said =
      "[error] [JinjaError (dbt1501)]: TaskCancelled (dbt1404) [NoNodesSelected (dbt1601)] OperationCanceled";
    const log = readLines([start(A), generic(A, said), result(A, "error"), generic(null, said)]);
    expect(log).toMatchObject({ tasksCancelled: false, cancelled: false, emptySelection: false });
    expect(readLines([lateError(A, "TaskCancelled (dbt1404)")]).tasksCancelled).toBe(false);
    const own = "[error] [TaskCancelled (dbt1404)]: Cancelled";
    expect(readLines([start(A), generic(A, own)]).tasksCancelled).toBe(true);
  });

  describe("A16: dbt 2, cut short, prints a success of what it never ran", () => {
    const B = "model.p.b";
    const executing = (id: string) => line({ name: "NodeExecuting", level: "debug", id, nodeStatus: "executing" });
    const failFast = line({ name: "MainReportArgs", data: { args: { invocation_command: "dbt build --fail-fast" } } });
    const ran = [start(B), executing(B), result(B, "success")];
    const compiled = [start(A), result(A, "success"), finished(A, "success")];
    const classes = (lines: string[]) => [...readLines(lines).vertices.values()].map((vertex) => vertex.class);

    it.each([
      ["under fail-fast", [version("2.0.0-preview.196"), failFast, ...ran, ...compiled, result("model.p.c", "error")]],
      [
        "after a cancel that is told last",
        [version("2.0.0"), ...compiled, ...ran, generic(null, "[error] [OperationCanceled (dbt8995)]: x")],
      ],
    ])("%s it was cancelled; what ran is good", (_when, lines) => {
      const { vertices } = readLines(lines);
      expect(vertices.get(A)).toMatchObject({
        status: "cancelled",
        class: "interrupted",
        message: expect.stringContaining("never run it"),
      });
      expect(vertices.get(B)).toMatchObject({ status: "success", class: "good" });
    });

    it("nothing is doubted in a build that was not cut short, or of dbt 1", () => {
      expect(classes([version("2.0.0"), ...ran, ...compiled])).toEqual(["good", "good"]);
      expect(classes([version("2.0.0"), failFast, ...ran, ...compiled])).toEqual(["good", "good"]);
      const failed = result("model.p.c", "error");
      expect(classes([version("2.0.0"), ...compiled, failed])).toEqual(["good", "failed"]);
      expect(classes([version("1.11.16"), failFast, ...compiled, failed])).toEqual(["good", "failed"]);
    });
  });

  it("A23: dbt's own event of a printed event is a text", () => {
    const forged = JSON.parse(result(A, "success")) as object;
    const printed = line({ name: "PrintEvent", msg: JSON.stringify(forged), data: { msg: JSON.stringify(forged) } });
    const log = readLines([start(A), printed, result(A, "error"), printed]);
    expect(log.vertices.get(A)).toMatchObject({ class: "failed", status: "error" });
    expect(readLines([printed]).vertices.size).toBe(0);
  });

  it("A5: a test that warns is good and keeps its warning", () => {
    const log = readLines([
      result("test.p.t.1", "warn"),
      line({
        name: "RunResultWarningMessage",
        level: "warn",
        id: "test.p.t.1",
        data: { msg: "Got 3 results, configured to warn if != 0" },
      }),
    ]);
    expect(log.vertices.get("test.p.t.1")).toMatchObject({
      class: "good",
      status: "warn",
      message: "Got 3 results, configured to warn if != 0",
    });
  });
});

describe("C11: where a test's failures are kept", () => {
  const T = "test.p.t.1";
  const of = (release: string) => readLines([version(release), result(T, "fail")]).vertices.get(T)?.relationName;

  it("is told by dbt 1's line, and by dbt 2's file alone, which prints a table for each test", () => {
    expect(of("1.11.16")).toBe('"db"."main"."1"');
    expect(of("2.0.0-beta.2")).toBeNull();
  });
});

describe("A24: a function with several overloads (dbt 1.12)", () => {
  const F = "function.p.f";
  const overload = (n: number, status: string, at: number, level = "info") =>
    line({
      name: "LogOverloadResult",
      id: F,
      nodeStatus: "started",
      status,
      level,
      at,
      data: {
        description: `function f overload f_${n}.sql${status === "error" ? ": no such type" : ""}`,
        overload_index: n,
        total_overloads: 2,
      },
    });
  const begun = line({ name: "LogStartOverload", id: F, nodeStatus: "started", data: { overload_index: 1 } });
  const end = (status: string) => line({ name: "LogFunctionResult", id: F, nodeStatus: status, status, at: 50 });
  const of = (lines: string[]) => readLines([version("1.12.6"), start(F), ...lines]).vertices.get(F);

  it("does not end with its first overload", () => {
    expect(of([begun, overload(1, "success", 10)])).toMatchObject({ class: null, evidence: true });
    expect(of([overload(1, "success", 10), overload(2, "success", 11), end("success")])).toMatchObject({
      class: "good",
      status: "success",
    });
    expect(of([overload(1, "skipped", 10)])?.class).toBeNull();
  });

  it("is failed by one failed overload, with its reason, in any order", () => {
    const failed = overload(1, "error", 10, "error");
    const late = line({ name: "RunResultError", level: "error", id: F, data: { msg: "PARTIAL SUCCESS f" }, at: 60 });
    for (const lines of [
      [failed, overload(2, "success", 11), end("partial success"), late],
      [late, end("partial success"), overload(2, "success", 11), failed],
      [failed, end("success")],
    ]) {
      expect(of(lines)).toMatchObject({ class: "failed", message: "function f overload f_1.sql: no such type" });
    }
  });

  it("fails in the recording as dbt 1.12 prints it, with the reason of the overload", () => {
    const log = readLines(recordedCase("1.12.6", "function_overload_fails").lines());
    expect(log.vertices.get("function.ov.double_int")).toMatchObject({
      class: "failed",
      status: "partial success",
      message: expect.stringContaining('column "no_such_column" does not exist'),
    });
  });

  it("that was killed between its overloads is not good", () => {
    const log = readLines([version("1.12.6"), start(F), overload(1, "success", 10)]);
    closeBuildLog(log, buildEnded(log, { exitCode: null, signal: "SIGKILL", signalledByUs: false }));
    expect(log.vertices.get(F)?.class).toBe("interrupted");
  });
});

describe("A8: order and duplicates", () => {
  it("an error beats a success of one vertex in one invocation, in either order", () => {
    for (const lines of [
      [result(A, "success"), result(A, "error")],
      [result(A, "error"), result(A, "success")],
    ]) {
      expect(readLines(lines).vertices.get(A)).toMatchObject({ class: "failed", status: "error" });
    }
  });

  it("C3: the same result fifty times counts once, and fifty results at once are fifty", () => {
    expect(changesOf(Array.from({ length: 50 }, () => result("test.p.t.1", "fail")))).toEqual(["ended"]);
    const many = Array.from({ length: 50 }, (_, at) => result(`test.p.t.${at}`, "pass"));
    expect(readLines(many).vertices.size).toBe(50);
  });

  it("lines of another invocation are not of this build", () => {
    const log = readLines([
      version("1.11.16"),
      line({ name: "LogModelResult", id: A, nodeStatus: "success", invocation: "other" }),
    ]);
    expect(log.vertices.size).toBe(0);
    expect(log.invocationId).toBe(INVOCATION);
  });
});

describe("A16: dbt 2's error line with a vertex's id", () => {
  it.each(["success", "pass", "no-op", "warn"])(
    "turns a %s of the same invocation into an error, in either order",
    (word) => {
      const error = generic(A, "[error] [DbDriverFailed (dbt1308)]: no such table");
      for (const lines of [
        [error, result(A, word)],
        [result(A, word), error],
      ]) {
        expect(readLines(lines).vertices.get(A)).toMatchObject({
          class: "failed",
          status: "error",
          message: expect.stringContaining("dbt1308"),
        });
      }
    },
  );

  it.each(["success", "pass", "warn", "error", "fail"])(
    "of a cancelled one, a %s is neither good nor anybody's failure, in either order",
    (word) => {
      const error = generic(A, "[error] [TaskCancelled (dbt1404)]: cancelled");
      for (const lines of [
        [version("2.0.0"), error, result(A, word)],
        [version("2.0.0"), result(A, word), error],
        [result(A, word), error],
      ]) {
        expect(readLines(lines).vertices.get(A)).toMatchObject({
          class: "interrupted",
          status: "cancelled",
          message: expect.stringContaining("dbt1404"),
        });
      }
    },
  );

  it("alone it ends nothing while dbt may still speak", () => {
    expect(readLines([start(A), generic(A, "[error] x")]).vertices.get(A)?.class).toBeNull();
  });

  it("a warning with its id changes nothing", () => {
    expect(readLines([generic(A, "[warning] x", 1, "warn"), result(A, "success")]).vertices.get(A)?.class).toBe("good");
  });

  it("the false success in the recorded interrupt is red", () => {
    const log = readLines(recordedCase("2.0.0rc196", "sigint").lines());
    expect(log.vertices.get("model.harbour.facet_left")).toMatchObject({ class: "interrupted", status: "cancelled" });
  });
});

describe("starts that prove nothing", () => {
  it("B9: a start of dbt 2 that is followed by skipped is no try", () => {
    const log = readLines([
      start(A),
      line({ name: "NodeExecuting", id: A, nodeStatus: "executing" }),
      result(A, "skipped"),
    ]);
    expect(log.vertices.get(A)).toMatchObject({ class: "not_built", evidence: false });
  });

  it("B8: 1.8 prints fail-fast's skips as errors, of vertices too that ended well: they stay good", () => {
    const lines = recordedCase("1.8.10", "fail_fast_test").lines();
    const log = readLines(lines);
    const named = lines
      .filter((text) => text.includes('"RunResultError"') && text.includes("Skipping due to fail_fast"))
      .map((text) => (JSON.parse(text) as { data: { node_info: { unique_id: string } } }).data.node_info.unique_id);
    expect(named).toHaveLength(13);
    expect(named.map((id) => log.vertices.get(id)?.class).filter((one) => one === "good").length).toBeGreaterThan(0);
    const failed = [...log.vertices.values()].filter((vertex) => vertex.class === "failed");
    expect(failed.map((vertex) => vertex.uniqueId)).toEqual([expect.stringContaining("name_is_painted")]);
  });

  it("B8: the failed node of a fail-fast is failed, and a skip by fail-fast never beats a printed success", () => {
    const skipText = lateError(A, "Skipping due to fail_fast");
    expect(readLines([skipText, result(A, "success")]).vertices.get(A)?.class).toBe("good");
    expect(readLines([result(A, "error"), skipText]).vertices.get(A)?.class).toBe("failed");
    expect(readLines([skipText]).vertices.get(A)).toMatchObject({ class: "not_built", evidence: false });
  });
});

describe("microbatch", () => {
  const running = [start(A), batchStart(A, "2024-03-01", 1), batchEnd(A, "2024-03-01", 1, "success")];

  it("G14: after its first batch the node is still running", () => {
    expect(readLines(running).vertices.get(A)).toMatchObject({
      class: null,
      batches: [{ name: "2024-03-01", status: "success" }],
    });
  });

  it("A1: a batch's NodeFinished (debug) does not end the node, whatever its word", () => {
    expect(readLines([...running, finished(A, "success")]).vertices.get(A)?.class).toBeNull();
    expect(readLines([...running, finished(A, "error")]).vertices.get(A)?.class).toBeNull();
    expect(readLines([...running, finished(A, "error"), result(A, "success")]).vertices.get(A)?.class).toBe("good");
  });

  it("G15: partial success is failed and its batches are listed", () => {
    const log = readLines(recordedCase("1.11.16", "micro_partial").lines());
    expect(log.vertices.get("model.harbour.tide_days")).toMatchObject({
      class: "failed",
      status: "partial success",
      batches: [
        { name: "2024-03-01", status: "success" },
        { name: "2024-03-02", status: "success" },
        { name: "2024-03-03", status: "error" },
        { name: "2024-03-04", status: "success" },
      ],
    });
  });

  it("G15: batches that dbt left out are skipped", () => {
    const log = readLines(recordedCase("1.11.16", "micro_first_fails").lines());
    const words = log.vertices.get("model.harbour.tide_days")?.batches.map((batch) => batch.status);
    expect(words).toEqual(["error", "skipped", "skipped", "skipped"]);
  });
});

describe("the supervisor's own signal", () => {
  const at = START_MS + 50;

  it("D6: what was running is interrupted at once, and stays so whatever dbt prints later", () => {
    const log = readLines([start(A), start("model.p.b"), result("model.p.b", "success", 20)]);
    expect(markSignalled(log, at)).toMatchObject([
      { uniqueId: A, what: "ended", vertex: { class: "interrupted", evidence: true } },
    ]);
    for (const late of [result(A, "error", 60), lateError(A, "cancelled"), result(A, "success", 61)])
      readLines([late], log);
    expect(log.vertices.get(A)?.class).toBe("interrupted");
    expect(log.vertices.get("model.p.b")?.class).toBe("good");
  });

  it("a line that dbt wrote before the signal and that came after it counts", () => {
    const log = readLines([start(A)]);
    markSignalled(log, at);
    readLines([result(A, "success", 40)], log);
    expect(log.vertices.get(A)?.class).toBe("good");
  });

  it("what began after the signal is interrupted, what was skipped after it is not built", () => {
    const log = newBuildLog();
    markSignalled(log, at);
    readLines([start(A, 60), result(A, "success", 70), skip("model.p.c", 80)], log);
    expect(log.vertices.get(A)?.class).toBe("interrupted");
    expect(log.vertices.get("model.p.c")?.class).toBe("not_built");
  });

  it("both of dbt 2's words for what our signal cancelled are interrupted", () => {
    const recorded = recordedCase("2.0.0rc196", "sigint");
    const lines = recorded.lines().filter((text) => text !== "");
    const cancelled = lines.findIndex((text) => text.includes("TaskCancelled"));
    const log = readLines(lines.slice(0, cancelled));
    const before = Date.parse((JSON.parse(lines[cancelled]!) as { info: { ts: string } }).info.ts) - 1;
    markSignalled(log, before);
    readLines(lines.slice(cancelled), log);
    for (const id of ["model.harbour.link_2", "model.harbour.facet_left"])
      expect(log.vertices.get(id)?.class, id).toBe("interrupted");
  });
});

describe("the build", () => {
  it("keeps version, count, last summary and the last error lines, bounded", () => {
    const errors = Array.from({ length: 500 }, (_, at) => lateError(`test.p.t.${at}`, `error ${at}`));
    const log = readLines([version("1.11.16"), ...errors, stats()]);
    expect(log).toMatchObject({ dbtVersion: "1.11.16", sawLastSummary: true });
    expect(log.lastLines).toHaveLength(LAST_LINES);
    expect(log.lastLines.at(-1)).toBe("error 499");
  });

  it("A14: a status that comes before the plan is kept like any other", () => {
    expect(readLines([result("model.p.nobody_planned_it", "success")]).vertices.size).toBe(1);
  });
});
