import { describe, expect, it } from "vitest";
import { type Replay, replay } from "../../cli/replay.ts";
import { oracle } from "../support/dbt-oracle.ts";
import { type RecordedCase, recordedCases, recordingFile, versions } from "../support/recorded-cases.ts";
import { stepwatch } from "./fake-context.ts";

const all = recordedCases();
const byVersion = versions().map((version) => [version, all.filter((one) => one.version === version)] as const);

/** Nothing on stdout: dbt refused its arguments, and said so on stderr. */
const isSilent = (recorded: RecordedCase) => recorded.lines().every((line) => !line.startsWith("{"));

const classes = (result: Replay, among: ReadonlyMap<string, unknown>) =>
  new Map(result.nodes.filter((node) => among.has(node.uniqueId)).map((node) => [node.uniqueId, node.class]));

const rest = (result: Replay, among: ReadonlyMap<string, unknown>) =>
  result.nodes.filter((node) => !among.has(node.uniqueId) && node.class !== "not_built");

describe.each(byVersion)(
  "A12: replay of each recording of dbt %s tells what its terminal lines say",
  (_version, cases) => {
    it.each(cases.map((one) => [`${one.name} at ${one.level}`, one] as const))("%s", async (_title, recorded) => {
      const log = recordingFile(recorded, `${recorded.level}.jsonl`)!;
      const runResults = recordingFile(recorded, "run_results.json");
      if (isSilent(recorded)) {
        await expect(replay({ log })).rejects.toThrow("no JSON event of dbt");
        return;
      }
      const expected = oracle(recorded.lines().filter((line) => line !== ""));
      const plain = await replay({ log });
      expect(classes(plain, expected)).toEqual(expected);
      expect(rest(plain, expected)).toEqual([]);
      for (const node of plain.nodes) expect(node.tries, node.uniqueId).toBe(node.class === "not_built" ? 0 : 1);
      if (runResults === null) return;
      const joined = await replay({ log, runResults });
      expect(classes(joined, expected)).toEqual(expected);
      expect(rest(joined, expected)).toEqual([]);
      expect(joined.drift.contradictions.filter((one) => one.knownReason === null)).toEqual([]);
    });
  },
);

/**
 * dbt ends these with 0 and we do not: a selection that finds nothing is red, and of `compile` and `run-operation`
 * nothing at info says that they ended.
 */
const RED_ALTHOUGH_0: ReadonlySet<string> = new Set(["empty_selection", "hollow_only", "exposure_only"]);

describe.each(byVersion)("D1: replay's exit code, dbt %s", (_version, cases) => {
  it("is 0 where dbt ended with 0, 1 where not, 2 where there is nothing to read", async () => {
    for (const recorded of cases.filter((one) => one.level === "info")) {
      const { exitCode } = await stepwatch(["replay", recordingFile(recorded, "info.jsonl")!, "--json"]);
      const red = recorded.end.exitCode !== 0;
      if (exitCode === 1 && !red)
        expect(RED_ALTHOUGH_0, `${recorded.version} ${recorded.name}`).toContain(recorded.name);
      else expect(`${recorded.name} ${exitCode}`).toBe(`${recorded.name} ${isSilent(recorded) ? 2 : red ? 1 : 0}`);
    }
  });
});
