import { join } from "node:path";
import { describe, expect, test } from "vitest";
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
