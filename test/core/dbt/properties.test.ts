import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { buildEnded } from "#core/dbt/build-end.ts";
import { applyEvent, LAST_LINES, newBuildLog } from "#core/dbt/build-log.ts";
import { closeBuildLog } from "#core/dbt/close-log.ts";
import { readLine } from "#core/dbt/log-line.ts";
import {
  batchEnd,
  batchStart,
  finished,
  generic,
  lateError,
  line,
  result,
  skip,
  start,
  stats,
  version,
} from "../../support/dbt-lines.ts";
import { endOf, outcomesOf, readLines } from "../../support/read-recording.ts";
import { recordedCases } from "../../support/recorded-cases.ts";
import { ephemeral, planOf, vertex } from "../../support/run-builders.ts";

const GOOD = ["success", "pass", "warn", "no-op", "reused"];
const WORDS = [...GOOD, "error", "fail", "runtime error", "partial success", "skipped", "cancelled", "a new word"];

const id = fc.integer({ min: 0, max: 7 }).map((n) => `model.p.m${n}`);
const at = fc.integer({ min: 0, max: 200 });

/** Any line that dbt may print about a vertex, in any order and combination. */
const anyLine = fc.oneof(
  fc.tuple(id, at).map(([one, time]) => start(one, time)),
  fc.tuple(id, fc.constantFrom(...WORDS), at).map(([one, word, time]) => result(one, word, time)),
  fc.tuple(id, fc.constantFrom(...WORDS), at).map(([one, word, time]) => finished(one, word, time)),
  fc.tuple(id, at).map(([one, time]) => skip(one, time)),
  fc.tuple(id, at).map(([one, time]) => lateError(one, "boom", time)),
  fc.tuple(id, at).map(([one, time]) => generic(one, "[error] boom", time)),
  fc
    .tuple(id, fc.constantFrom("TaskCancelled (dbt1404)", "DbDriverFailed (dbt1308)"), at)
    .map(([one, code, time]) => generic(one, `[error] [${code}]: boom`, time)),
  fc.tuple(id, at).map(([one, time]) => line({ name: "Unheard", level: "error", msg: "boom", id: one, at: time })),
  fc.tuple(id, at).map(([one, time]) => line({ name: "NodeExecuting", id: one, nodeStatus: "executing", at: time })),
  fc.constantFrom(
    version("2.0.0-beta.2"),
    line({ name: "MainReportArgs", data: { args: { invocation_command: "dbt build --fail-fast" } } }),
    generic(null, "[error] [OperationCanceled (dbt8995)]: cancelled"),
  ),
  fc.tuple(id, fc.integer({ min: 1, max: 4 }), at).map(([one, n, time]) => batchStart(one, `2024-03-0${n}`, n, time)),
  fc
    .tuple(id, fc.integer({ min: 1, max: 4 }), fc.constantFrom("success", "error", "skipped"), at)
    .map(([one, n, word, time]) => batchEnd(one, `2024-03-0${n}`, n, word, time)),
);

const garbage = fc.oneof(
  fc.string(),
  fc.json(),
  fc.constantFrom("", "null", "[]", '{"info":', "Traceback", "\u0000"),
  fc.jsonValue().map((value) => JSON.stringify({ info: value, data: value })),
);

const plan = planOf(
  Array.from({ length: 8 }, (_, n) =>
    (n === 5 ? ephemeral : vertex)(`model.p.m${n}`, n === 0 ? [] : [`model.p.m${n - 1}`]),
  ),
);

const CLASSES = ["good", "failed", "interrupted", "not_built"];
const end = fc.record({
  exitCode: fc.constantFrom(0, 1, 2, null),
  signal: fc.constantFrom(null, "SIGKILL"),
  signalledByUs: fc.boolean(),
});

describe("any stream of lines", () => {
  it("A8: the sum does not depend on order or duplicates", () => {
    fc.assert(
      fc.property(fc.array(anyLine, { maxLength: 30 }), fc.func(fc.integer()), (lines, key) => {
        const shuffled = [...lines, ...lines]
          .map((text, n) => [key(n, text), text] as const)
          .sort(([a], [b]) => a - b)
          .map(([, text]) => text);
        const sorted = (input: string[]) =>
          [...readLines(input).vertices.values()].sort((a, b) => a.uniqueId.localeCompare(b.uniqueId));
        expect(sorted(shuffled)).toEqual(sorted(lines));
      }),
      { numRuns: 400 },
    );
  });

  it("never throws, every planned vertex ends in one class, and none is good unless dbt said so of it", () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(anyLine, garbage), { maxLength: 40 }),
        end,
        fc.boolean(),
        (lines, processEnd, whole) => {
          const all = whole ? [...lines, stats()] : lines;
          const log = readLines(all);
          const ended = buildEnded(log, processEnd);
          const found = outcomesOf(log, ended, { plan });
          expect(found.filter((one) => one.planned).map((one) => one.uniqueId)).toEqual(
            plan.vertices.map((one) => one.uniqueId),
          );
          for (const one of found) {
            expect(CLASSES).toContain(one.class);
            if (one.class === "good" && one.status !== "nothing to build") {
              const said = all.some((text) =>
                GOOD.some(
                  (word) => text.includes(`"unique_id":"${one.uniqueId}"`) && text.includes(`"node_status":"${word}"`),
                ),
              );
              expect(said, one.uniqueId).toBe(true);
            }
            // dbt begins nothing before what is above it is compiled.
            const began = found.some((child) => child.uniqueId === "model.p.m6" && child.evidence);
            if (one.status === "nothing to build") expect(ended.inOrder || began).toBe(true);
          }
        },
      ),
      { numRuns: 600 },
    );
  });

  it("a vertex of which dbt printed an error is never good", () => {
    fc.assert(
      fc.property(fc.array(anyLine, { maxLength: 30 }), id, (lines, one) => {
        for (const error of [result(one, "error"), lateError(one, "boom"), generic(one, "[error] boom")]) {
          const log = readLines([...lines, error]);
          closeBuildLog(log, buildEnded(log, { exitCode: 1, signal: null, signalledByUs: false }));
          expect(log.vertices.get(one)?.class).not.toBe("good");
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe("recorded streams, damaged", () => {
  const info = recordedCases().filter(
    (one) =>
      one.level === "info" &&
      /^(all_pass|micro_partial|fail_fast\w*|deep_skip|unit_fail|eph_compile_error|sigint\w*)$/.test(one.name),
  );

  it("A6: cut at any byte: what is good in the part is good in the whole, or red there", () => {
    fc.assert(
      fc.property(fc.constantFrom(...info), fc.double({ min: 0, max: 1, noNaN: true }), (recorded, share) => {
        const text = recorded.lines().join("\n");
        const part = readLines(
          Buffer.from(text)
            .subarray(0, Math.floor(share * text.length))
            .toString("utf8")
            .split("\n"),
        );
        const whole = readLines(recorded.lines());
        for (const vertex of part.vertices.values()) {
          const later = whole.vertices.get(vertex.uniqueId)?.class;
          // dbt 2 may tell only after a vertex's last line that the build was cut short, or why the vertex failed.
          const isLate = recorded.version.startsWith("2.") && vertex.class !== null && later !== "good";
          if (vertex.class !== null && !isLate) expect(vertex.class, vertex.uniqueId).toBe(later);
          if (later === "good") expect(vertex.class === null || vertex.class === "good", vertex.uniqueId).toBe(true);
        }
        const ended = buildEnded(part, { exitCode: null, signal: "SIGKILL", signalledByUs: false });
        closeBuildLog(part, ended);
        for (const vertex of part.vertices.values()) expect(vertex.class).not.toBeNull();
      }),
      { numRuns: 150 },
    );
  });

  const ofDbt2 = recordedCases().filter((one) => one.version.startsWith("2.") && one.lines().length > 2);

  it("A8: why a build of dbt 2 ended, and what of it failed, does not depend on the order of its lines", () => {
    const told = (lines: string[], recorded: (typeof ofDbt2)[number]) => {
      const log = readLines(lines);
      const { inOrder, cause, retryableLaunch } = buildEnded(log, endOf(recorded));
      const classes = [...log.vertices].map(([one, vertex]) => `${one} ${vertex.class} ${vertex.message}`).sort();
      return { inOrder, cause: { kind: cause.kind, sentence: cause.sentence }, retryableLaunch, classes };
    };
    fc.assert(
      fc.property(fc.constantFrom(...ofDbt2), fc.func(fc.integer()), (recorded, key) => {
        const lines = recorded.lines().filter((text) => text !== "");
        const shuffled = lines
          .map((text, n) => [key(n, text), text] as const)
          .sort(([a], [b]) => a - b)
          .map(([, text]) => text);
        expect(told(shuffled, recorded)).toEqual(told(lines, recorded));
      }),
      { numRuns: 120 },
    );
  });

  it("A6: garbage between the lines and another interleaving of threads change nothing", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...info),
        fc.array(garbage, { minLength: 1, maxLength: 20 }),
        fc.func(fc.integer({ min: 0, max: 1000 })),
        (recorded, noise, key) => {
          const lines = recorded.lines().filter((text) => text !== "");
          const mixed = [...lines, ...noise]
            .map((text, n) => [key(n, text), text] as const)
            .sort(([a], [b]) => a - b)
            .map(([, text]) => text);
          const classes = (input: string[]) =>
            Object.fromEntries(
              [...readLines(input).vertices].map(([one, vertex]) => [one, `${vertex.class} ${vertex.status}`]).sort(),
            );
          expect(classes(mixed)).toEqual(classes(lines));
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("memory", () => {
  it("grows with the vertices, not with the lines", () => {
    const log = newBuildLog();
    const texts = Array.from({ length: 10 }, (_, n) => [
      start(`model.p.m${n}`),
      result(`model.p.m${n}`, "error"),
      lateError(`model.p.m${n}`, "x".repeat(100_000)),
    ]).flat();
    const events = texts.map((text) => readLine(text)!);
    for (let round = 0; round < 5_000; round++) {
      const noise = readLine(lateError(`model.p.m${round % 10}`, `${round} ${"y".repeat(5_000)}`))!;
      for (const event of round % 10 === 0 ? [...events, noise] : [noise]) applyEvent(log, event);
    }
    expect(log.vertices.size).toBe(10);
    expect(log.lastLines.length).toBe(LAST_LINES);
    expect(JSON.stringify([...log.vertices.values(), ...log.lastLines]).length).toBeLessThan(100_000);
  });
});
