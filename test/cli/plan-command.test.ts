import { describe, expect, it } from "vitest";
import { parseConfig } from "#core/config.ts";
import type { BuildOptions } from "#core/dbt/argv.ts";
import type { Manifest, ManifestNode } from "#core/dbt/manifest.ts";
import { readManifest } from "#core/dbt/manifest.ts";
import { fakeStack, stepwatch } from "./fake-context.ts";

const node = (name: string, parents: readonly string[], type = "model") => ({
  ...{ unique_id: `${type}.shop.${name}`, resource_type: type, name, package_name: "shop", fqn: ["shop", name] },
  ...{ original_file_path: `models/${name}.sql`, config: { materialized: type === "model" ? "table" : "test" } },
  depends_on: { nodes: parents.map((parent) => `model.shop.${parent}`) },
  language: "sql",
});

/** a → b and c → d, and a test on b. */
const manifest: Manifest = readManifest(
  JSON.stringify({
    metadata: { dbt_version: "1.11.16", project_name: "shop", adapter_type: "postgres" },
    nodes: Object.fromEntries(
      [node("a", []), node("b", ["a"]), node("c", ["a"]), node("d", ["b", "c"]), node("b_is_new", ["b"], "test")].map(
        (one) => [one.unique_id, one],
      ),
    ),
  }),
);

const asked: BuildOptions[] = [];
const listProject = async (_project: unknown, options: BuildOptions) => {
  asked.push(options);
  return { selectedIds: [...manifest.nodes.values()].map(({ uniqueId }: ManifestNode) => uniqueId), manifest };
};

const MINUTE_MS = 60_000;
const at = (minutes: number) => new Date(1_700_000_000_000 + minutes * MINUTE_MS).toISOString();
const span = (uniqueId: string, from: number, to: number) => ({ uniqueId, startedAt: at(from), finishedAt: at(to) });

/** The last green run: 1 minute before, a 2 minutes, b 3, c 5, d 1. */
const summary = {
  nodes: [
    span("model.shop.a", 1, 3),
    span("model.shop.b", 3, 6),
    span("model.shop.c", 3, 8),
    span("model.shop.d", 8, 9),
  ],
  tests: [span("test.shop.b_is_new", 6, 7)],
  timings: { wallMs: 9 * MINUTE_MS },
};

function stackWithRun() {
  const green = { project: "shop", runId: "run-1", executionArn: "arn", startedAtMs: 1, state: "green" as const };
  const stack = fakeStack([], { listRuns: async () => [green] });
  return { ...stack, artefacts: { ...stack.artefacts, getJson: async () => summary } };
}

const config = (project: object = {}) =>
  parseConfig({ projects: { shop: { projectDir: "shop", ...project } } }, "/", (_folder, path) => `/${path}`);

describe("plan", () => {
  it("says what would be built in which order, how long by the last green run, and at what cost; builds nothing", async () => {
    const end = await stepwatch(["plan", "shop", "--select", "a+"], { stack: stackWithRun(), listProject });
    expect(asked.at(-1)).toMatchObject({ select: ["a+"] });
    expect(end.exitCode).toBe(0);
    const [head, time, cost, gap, ...levels] = end.stdout.trimEnd().split("\n");
    expect(head).toBe("shop: 5 vertices (4 models, 1 test) in 4 levels, 2 at most beside each other");
    expect(time).toBe(
      "  time about 9 min 00 s with 2 threads (as it had), by the run run-1; the longest way takes 8 min 00 s",
    );
    expect(cost).toMatch(/^ {2}cost estimated \$0\.00\d\d: Fargate .* \(list prices of us-east-1, 2026-11\)$/);
    expect(gap).toBe("");
    expect(levels).toEqual(["   1      1  a", "   2      2  b c", "   3      1  b_is_new", "   4      1  d"]);
  });

  it("as JSON: each vertex with its level, start and time; threads that are set; bounds that it meets", async () => {
    const small = config({ policy: { runTimeoutMinutes: 5 }, executionQueue: { cpu: 4096, memoryMiB: 8192 } });
    const end = await stepwatch(["plan", "shop", "--threads", "1", "--json"], {
      ...{ stack: stackWithRun(), listProject, config: small },
    });
    const told = JSON.parse(end.stdout);
    expect(told).toMatchObject({ contract: 1, project: "shop", threads: 1, threadsFrom: "options", timesOf: "run-1" });
    expect(told).toMatchObject({ widths: [1, 2, 1, 1], buildMs: 12 * MINUTE_MS, longestMs: 8 * MINUTE_MS, unknown: 0 });
    expect(told.wallMs).toBe(13 * MINUTE_MS);
    expect(told.vertices[0]).toEqual({
      ...{ uniqueId: "model.shop.a", resourceType: "model", level: 1, startsMs: 0 },
      ...{ takesMs: 2 * MINUTE_MS, isKnown: true },
    });
    expect(told.limits.filter(({ fits }: { fits: boolean }) => !fits)).toEqual([
      { name: "vCPUs of Fargate at once, of a new account", needs: 16, has: 6, fits: false },
      { name: "minutes of a run (policy.runTimeoutMinutes)", needs: 13, has: 5, fits: false },
    ]);
  });

  it("H7 H13: by the times of a build of the project itself, before a job's, and never of a command", async () => {
    const green = { project: "shop", executionArn: "arn", startedAtMs: 1, state: "green" as const };
    const timesOf = async (runs: readonly object[]) => {
      const listRuns = async () => runs.map((run, n) => ({ ...green, runId: `run-${n}`, ...run }));
      const { artefacts } = stackWithRun();
      const stack = { ...fakeStack([], { listRuns }), artefacts };
      return JSON.parse((await stepwatch(["plan", "shop", "--json"], { stack, listProject })).stdout).timesOf;
    };
    expect(await timesOf([{ job: "dbt compile" }, { job: "hourly" }, {}])).toBe("run-2");
    expect(await timesOf([{ job: "dbt compile" }, { job: "hourly" }])).toBe("run-1");
    expect(await timesOf([{ job: "dbt compile" }])).toBeNull();
  });

  it("knows the order without a stack or a run, and then no time and no cost", async () => {
    const openStack = () => Promise.reject(new Error("The embedded AWS does not run."));
    const end = await stepwatch(["plan", "shop"], { openStack, listProject });
    expect(end).toMatchObject({ exitCode: 0, stderr: expect.stringContaining("The embedded AWS does not run.") });
    expect(end.stdout).toContain("time not known: no green run of it has left its times\n");
    expect(end.stdout).not.toContain("cost");
  });

  it("refuses a project that is not there, and a state that is not on this machine", async () => {
    const other = await stepwatch(["plan", "nowhere"], { listProject });
    expect(other).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("There is no project nowhere") });
    const state = await stepwatch(["plan", "shop", "--state", "latest-green"], { listProject });
    expect(state).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("--state latest-green") });
    const defer = await stepwatch(["plan", "shop", "--defer", "--defer-state", "latest-green"], { listProject });
    expect(defer).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("--defer-state latest-green") });
  });
});
