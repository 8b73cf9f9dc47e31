import fc from "fast-check";
import { expect, test } from "vitest";
import { classOfStatus, isTerminal } from "#core/dbt/status.ts";
import { EXIT } from "../../containers/dbt-runner/exit-codes.ts";
import { bench, refusal } from "./bench.ts";
import { closing, concurrency, ended, manifestOf, type Step, skipped, started, version } from "./dbt-lines.ts";

const RUNS = 20;

type Word = "success" | "error" | "skipped";

/** A chain of models: the first error skips the rest, as dbt does. */
function stepsOf(words: readonly Word[]): { steps: Step[]; ids: string[] } {
  const ids = words.map((_, n) => `model.shop.m${n}`);
  const failed = words.indexOf("error");
  const steps = ids.flatMap((id, n) => {
    if (failed !== -1 && n > failed) return [skipped(id)];
    return [started(id), { sleepMs: 2 }, ended(id, words[n] === "error" ? "error" : "success")];
  });
  return { steps, ids };
}

const killing = fc.record({
  words: fc.array(fc.constantFrom<Word>("success", "success", "success", "error"), { minLength: 1, maxLength: 8 }),
  at: fc.nat({ max: 26 }),
  how: fc.constantFrom("kill", "crash", "terminate"),
  halfLine: fc.boolean(),
  refuseEvery: fc.integer({ min: 2, max: 5 }),
  hold: fc.boolean(),
});

test("E2, D4: wherever a build is cut off, no status is false: good only if dbt said so, open only if nobody is left to say", {
  timeout: 180_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(killing, async ({ words, at, how, halfLine, refuseEvery, hold }) => {
      const { steps, ids } = stepsOf(words);
      const kept = steps.slice(0, at);
      const cut: Step[] = [
        ...(halfLine ? [{ text: '{"info": {"name": "LogModelResult", "lev' }] : []),
        how === "crash" ? { exitCode: 2 } : how === "kill" ? { kill: "SIGKILL" } : { sleepMs: 60_000 },
      ];
      let calls = 0;
      const it = await bench({
        script: {
          manifest: manifestOf(ids.map((id) => ({ id }))),
          build: [version(), { manifest: true }, concurrency(ids.length), ...kept, { sleepMs: 1 }, ...cut, closing()],
          sigint: [{ exitCode: 2 }],
        },
        policy: { backup: hold ? "end" : "eager" },
        onWrite: () => {
          calls += 1;
          if (calls % refuseEvery !== 0) throw refusal();
        },
      });
      try {
        const done = it.container();
        if (how === "terminate") {
          const last = kept.length;
          while (
            it.lines.filter((line) => /LogStartLine|LogModelResult|SkippingDetails/.test(line)).length <
              kept.filter((step) => "line" in step).length &&
            last > 0
          )
            await new Promise((resolve) => setTimeout(resolve, 2));
          it.stop.ask("terminated", "SIGTERM");
        }
        expect(await done).toBe(EXIT.recorded);
        const printed = new Map<string, string>();
        for (const step of kept) {
          const line = step.line as
            | { info: { name: string }; data: { node_info: { unique_id: string; node_status: string } } }
            | undefined;
          if (line) printed.set(line.data.node_info.unique_id, line.data.node_info.node_status);
        }
        const rows = await it.ledger.readVertices({ project: "shop", runId: "run-1" });
        expect(rows.map((row) => row.uniqueId).toSorted()).toEqual([...printed.keys()].toSorted());
        for (const row of rows) {
          const said = printed.get(row.uniqueId) ?? "";
          const cls = classOfStatus(row.status ?? "");
          expect(isTerminal(row.status ?? ""), row.uniqueId).toBe(true);
          if (isTerminal(said)) expect([classOfStatus(said), "interrupted"]).toContain(cls);
          else expect(cls).toBe("interrupted");
          if (cls === "good") expect(said).toBe("success");
        }
        expect((await it.task()).end?.inOrder).toBe(false);
        expect((await it.task()).sequence).toBe(it.writes.length);
      } finally {
        it.remove();
      }
    }),
    { numRuns: RUNS },
  );
});
