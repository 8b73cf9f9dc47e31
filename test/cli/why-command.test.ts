import { describe, expect, test } from "vitest";
import { parseConfig } from "#core/config.ts";
import { artefactKeys } from "#core/names.ts";
import { wrapped, wrappedCommand } from "../../cli/view/wrapped.ts";
import { memoryLedger } from "../support/memory-ledger.ts";
import { dataTest, live, nodeFailed, over, planOf, row, runOf, vertex } from "../support/run-builders.ts";
import { fakeStack, known, type Look, stepwatch } from "./fake-context.ts";
import { begun, green, red } from "./looks.ts";

const NOW = 1_700_000_200_000;

async function why(look: Look, ...more: string[]) {
  const stack = fakeStack([look]);
  known(stack, "run-1");
  return stepwatch(["why", "run-1", ...more], { stack });
}

describe("why <run> [node]", () => {
  test("the exit code is that of status: 1 of a red run, 0 of one that is green or goes on", async () => {
    const codes = [];
    for (const look of [red, green, begun]) codes.push((await why(look)).exitCode);
    expect(codes).toEqual([1, 0, 0]);
  });

  test("of a red run: dbt's message, what was tried, what is not built, the command that does it again, what can be done", async () => {
    const { stdout } = await why(red);
    expect(stdout).toContain("✘ red  run run-1 of shop\n  1 root cause, 2 vertices not built because of it.\n");
    expect(stdout).toContain("✘ orders  model  error\n    Database Error in model orders\n      no such column\n");
    expect(stdout).toMatch(/tried {6}task 1 producer .* error/);
    expect(stdout).toMatch(/not built {2}2 \(customers, unique_orders_id\) because of it/);
    // Where it wraps depends on the folder that this checkout lies in.
    expect(stdout.replace(/ \\\n +/g, " ")).toMatch(/do it again:\n {4}cd \/shop && \S*dbt build/);
    const next = stdout.slice(stdout.indexOf("Next:"));
    expect(next.match(/^ {2}npx .*$/gm)).toEqual([
      "  npx stepwatch logs run-1 orders",
      "  npx stepwatch retry run-1",
      "  npx stepwatch retry run-1 --node orders",
      "  npx stepwatch mark run-1 good --node orders --reason '…'",
    ]);
  });

  test("says what a retry builds; of what could double its rows it is forced alone, after a look at the table", async () => {
    expect((await why(red)).stdout).toContain("npx stepwatch retry run-1\n      builds 3 vertices\n");
    const risky = planOf([vertex("model.shop.orders", [], { afterFailure: "unknown" })]);
    const { stdout } = await why({ ...red, plan: risky, vertices: red.vertices!.slice(0, 1) });
    expect(stdout).toContain("npx stepwatch retry run-1\n      finds nothing that it may build by itself\n");
    expect(stdout).toContain(
      "npx stepwatch retry run-1 --node orders --force\n      once you have looked at its table",
    );
  });

  test("every command to run next names the stack and the configuration, quoted for a shell", async () => {
    const { stdout } = await why(red, "--stack", "prod", "--config", "my files/stepwatch.yaml");
    for (const line of stdout.match(/^ {2}npx .*$/gm) ?? []) expect(line).toContain("run-1");
    expect(stdout).toContain("npx stepwatch retry run-1 --config 'my files/stepwatch.yaml' --stack prod");
  });

  test("of a green run says so and nothing else", async () => {
    expect((await why(green)).stdout).toBe("✔ green  run run-1 of shop\n  Every one of 3 vertices is good.\n");
  });

  test("of one node: how it stands, and what it is not built because of", async () => {
    const { stdout } = await why(red, "customers");
    expect(stdout).toContain("model.shop.customers: not built: model.shop.orders is the cause.");
    expect(stdout).toContain("✘ orders  model  error");
    expect(await why(red, "nope")).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("has no node nope") });
  });

  test("--json: one value with commands that can be copied as they are", async () => {
    const told = JSON.parse((await why(red, "--json")).stdout);
    expect(told).toMatchObject({ contract: 1, project: "shop", runId: "run-1", state: "red", live: null, node: null });
    expect(told.roots[0]).toMatchObject({
      uniqueId: "model.shop.orders",
      notBuilt: { count: 2 },
      reproduce: expect.stringMatching(/^cd \/shop && \S*dbt build .*--indirect-selection empty$/),
      show: null,
    });
    expect(told.roots[0]).not.toHaveProperty("reproduceArgs");
    expect(told.next).toContainEqual({ command: "npx stepwatch retry run-1", does: expect.any(String) });
  });

  test("names the variables that dbt needs, never their values, and another profiles folder", async () => {
    const shop = { projectDir: "shop", profilesDir: "conf", environment: { SCHEMA: "raw" }, secrets: { PW: "db:pw" } };
    const config = parseConfig({ projects: { shop } }, "/", (_folder, path) => `/${path}`);
    const stack = fakeStack([red]);
    known(stack, "run-1");
    const { stdout } = await stepwatch(["why", "run-1"], { stack, config });
    expect(stdout).toContain("do it again (with SCHEMA, PW in the environment):");
    expect(stdout).toContain("--profiles-dir /conf");
    expect(stdout).not.toMatch(/\braw\b|db:pw/);
  });

  test("without a stepwatch.yaml at hand the command is told without its folder", async () => {
    const stack = fakeStack([red]);
    known(stack, "run-1");
    const loadConfig = () => {
      throw new Error("no stepwatch.yaml here");
    };
    const { stdout } = await stepwatch(["why", "run-1", "--stack", "prod"], { stack, loadConfig });
    expect(stdout).toMatch(/do it again:\n {4}dbt build/);
  });

  test("an older try is told by dbt's own file of that task", async () => {
    const vertices = (red.vertices ?? []).map((one) =>
      one.uniqueId === "model.shop.orders" ? { ...one, tryTasks: [1, 2], statusTask: 2, ownerTask: 2 } : one,
    );
    const stack = fakeStack([
      { ...red, vertices, tasks: [over(1, nodeFailed()), over(2, nodeFailed(), { kind: "fallback" })] },
    ]);
    known(stack, "run-1");
    const results = [
      { unique_id: "model.shop.orders", status: "error", message: "the words of the first", timing: [] },
    ];
    const asked: string[] = [];
    const getText = async (key: string) => {
      asked.push(key);
      return JSON.stringify({ metadata: {}, results });
    };
    const { stdout } = await stepwatch(["why", "run-1"], {
      stack: { ...stack, artefacts: { ...stack.artefacts, getText } },
    });
    expect(asked).toEqual([artefactKeys.task("shop", "run-1", 1, "run_results.json")]);
    expect(stdout).toMatch(/task 1 producer {2}.*error\n +the words of the first\n +task 2 fallback/);
  });

  test("what an earlier run has tried is told by its own files, by the round in which it did", async () => {
    const resumed = { ...red.run!, resumed: "run-0" };
    const tasks = [over(1, nodeFailed(), { round: 0 }), over(2, nodeFailed(), { kind: "recovery" })];
    const vertices = [
      row("model.shop.orders", "error", { task: 2, tryTasks: [1, 2], final: "dead", finalReason: "x" }),
    ];
    const stack = fakeStack([{ ...red, run: resumed, tasks, vertices }]);
    known(stack, "run-1");
    const asked: string[] = [];
    const getText = async (key: string) => {
      asked.push(key);
      return null;
    };
    const { stdout } = await stepwatch(["why", "run-1"], {
      stack: { ...stack, artefacts: { ...stack.artefacts, getText } },
    });
    expect(asked).toEqual([artefactKeys.task("shop", "run-0", 1, "run_results.json")]);
    expect(stdout).toContain("task 1 producer, round 0");
  });

  test("C11: rows that a failed test has stored are shown, cut to the terminal, with the command that shows more", async () => {
    const id = "test.shop.unique_orders_id.abc123";
    const found = {
      failures: 7,
      relation: '"shop"."audit"."t"',
      final: "dead" as const,
      finalReason: "x",
      rootCause: id,
    };
    const vertices = [row("model.shop.orders", "success"), row(id, "fail", found)];
    const stack = fakeStack([{ ...red, vertices }]);
    known(stack, "run-1");
    const sample = {
      columns: ["order_id", "note"],
      rows: [
        ["7", `long ${"y".repeat(150)}`],
        ["8", null],
      ],
    };
    const getJson = async (key: string) => (key.endsWith("tasks/1/failing_rows.json") ? { [id]: sample } : null);
    const artefacts = { ...stack.artefacts, getJson };
    const { stdout } = await stepwatch(["why", "run-1"], { stack: { ...stack, artefacts } });
    expect(stdout).toContain('found      7 rows, kept in "shop"."audit"."t"');
    expect(stdout).toContain(
      "    order_id  note\n    7         long yyyyyyyyyyyyyyyyyyyyyyyy…\n    8         null\n  see more:",
    );
    expect(stdout).toContain("npx stepwatch retry run-1 --ignore-test unique_orders_id");
    const json = await stepwatch(["why", "run-1", "--json"], { stack: { ...stack, artefacts } });
    expect(JSON.parse(json.stdout).roots[0].rows).toEqual(sample);
  });

  test("sixty nodes that fail of one thing are one block; sixty things are four blocks, some lines and a number", async () => {
    const ids = Array.from({ length: 60 }, (_, n) => `model.shop.m${n}`);
    const dead = { final: "dead" as const, finalReason: "Not tried again." };
    const look = (message: (id: string) => string): Look => ({
      run: red.run,
      plan: planOf(ids.map((id) => vertex(id))),
      tasks: [over(1, nodeFailed())],
      vertices: ids.map((id) => row(id, "error", { message: message(id), ...dead, rootCause: id })),
    });
    const same = (await why(look((id) => `Database Error in model ${id} (models/${id}.sql)\n  no such table`))).stdout;
    expect(same.match(/^✘ m/gm)).toHaveLength(1);
    expect(same).toContain("the same   m1, m2, m3, 56 more");
    const other = (await why(look((id) => `no such column ${id}`))).stdout;
    expect(other.match(/^✘ m/gm)).toHaveLength(12);
    expect(other).toContain("… and 48 more causes: use --json for all of them");
  });
});

describe("why of a run that goes on", () => {
  const run = runOf({ startedAtMs: NOW - 90_000, deadlineAtMs: NOW + 3_600_000 });
  const building: Look = {
    ...begun,
    run,
    tasks: [live(1, { startedAtMs: NOW - 80_000 })],
    vertices: [row("model.shop.orders", "started", { startedAtMs: NOW - 70_000 })],
  };

  test("what runs and since when, who waits for it, the next decision and the deadline", async () => {
    const { stdout } = await why(building);
    expect(stdout).toContain("▸ running  run run-1 of shop\n  Nothing has failed so far.\n");
    expect(stdout).toContain("Running:\n  orders, in task 1, for 1 min 10 s\n");
    expect(stdout).toContain("Waiting:\n  unique_orders_id, customers: dbt builds orders first\n");
    expect(stdout).toContain("Next decision: when task 1 has ended. Deadline: 23:16:40 UTC.");
    expect(stdout).not.toContain("retry run-1");
  });

  test("its usual time is that of the last green run; without one nothing is claimed", async () => {
    const runs = [
      { project: "shop", runId: "run-0", executionArn: "a", startedAtMs: 1, state: "green" as const },
      { project: "shop", runId: "run-1", executionArn: "a", startedAtMs: 2, state: "running" as const },
    ];
    const stack = fakeStack([building], { listRuns: async () => runs });
    known(stack, "run-1");
    const nodes = [
      { uniqueId: "model.shop.orders", startedAt: "2026-01-31T06:00:00Z", finishedAt: "2026-01-31T06:00:12Z" },
    ];
    const asked: string[] = [];
    const getJson = async (key: string) => {
      asked.push(key);
      return { nodes: [...nodes, { uniqueId: "model.shop.customers", startedAt: null }], tests: [] };
    };
    const artefacts = { ...stack.artefacts, getJson };
    const { stdout } = await stepwatch(["why", "run-1"], { stack: { ...stack, artefacts } });
    expect(asked).toEqual([artefactKeys.summary("shop", "run-0", 1)]);
    expect(stdout).toContain("orders, in task 1, for 1 min 10 s, usually 12 s");
  });

  test("a run whose machine has ended without a verdict: 3, and nothing that it would still do", async () => {
    const stack = fakeStack([building]);
    known(stack, "run-1", { status: "ABORTED", cause: "by anna" });
    const { exitCode, stdout } = await stepwatch(["why", "run-1"], { stack });
    expect(exitCode).toBe(3);
    expect(stdout).toContain("✘ no verdict");
    expect(stdout).not.toContain("Next decision");
  });

  test("a run that waits for its lock: its place, since when, and who holds it", async () => {
    const ledger = memoryLedger();
    await ledger.takeLock({
      project: "shop",
      lockKey: "prod",
      runId: "run-0",
      executionArn: "a",
      takenAtMs: NOW - 600_000,
    });
    for (const [at, runId] of ["run-x", "run-1"].entries())
      await ledger.joinQueue("shop", "prod", { runId, atMs: NOW - 120_000 + at, executionArn: "a" });
    const { listLocks, readQueue } = ledger;
    const stack = fakeStack([{ run: null }], { listLocks, readQueue });
    known(stack, "run-1", { status: "RUNNING" });
    const text = await stepwatch(["why", "run-1"], { stack });
    expect(text).toMatchObject({ exitCode: 0 });
    expect(text.stdout).toContain("It waits for the lock prod, at place 2 of 2, for 2 min 00 s.");
    expect(text.stdout).toContain("run-0 of shop has held it for 10 min 00 s.");
    expect(text.stdout).toContain("Before it: run-x.");
    const json = await stepwatch(["why", "run-1", "--json"], { stack });
    expect(JSON.parse(json.stdout)).toMatchObject({
      state: "waiting",
      queue: { place: 2, holder: { runId: "run-0" } },
    });
  });

  test("at 80 columns no line is wider, but for a word that can not be cut", async () => {
    const long = "relationships_orders_customer_id__customer_id__ref_customers_";
    const plan = planOf([vertex("model.shop.orders"), dataTest(`test.shop.${long}.c6ec7f58f2`, ["model.shop.orders"])]);
    const message = `Got 3 results, ${"configured to fail if it is not zero ".repeat(9)}`;
    const rows = [
      row("model.shop.orders", "success"),
      row(`test.shop.${long}.c6ec7f58f2`, "fail", {
        message,
        failures: 3,
        relation: '"shop"."audit"."orders"',
        final: "dead",
        finalReason: message,
      }),
    ];
    const { stdout } = await why({ run: red.run, plan, tasks: [over(1, nodeFailed())], vertices: rows });
    for (const line of stdout.split("\n")) {
      const words = line.trim().split(" ");
      if (words.length > 2) expect(line.length, line).toBeLessThanOrEqual(80);
    }
    expect(stdout).toContain("found      3 rows, kept in");
  });
});

describe("texts for a narrow terminal", () => {
  test("keep the indent of a line, and cut no word", () => {
    expect(wrapped("head\n  a long line of words", 20, "  ")).toEqual(["  head", "    a long line of", "    words"]);
    expect(wrapped("x".repeat(40), 20, "")).toEqual(["x".repeat(40)]);
  });

  test("a command goes on behind a backslash, never within a word, an option and its value together", () => {
    const words = ["dbt", "build", "--target", "prod", "--vars", `'{"a": "b c d e f g h i j"}'`];
    expect(wrappedCommand(words, 44, "  ")).toEqual([
      "  dbt build --target prod \\",
      `    --vars '{"a": "b c d e f g h i j"}'`,
    ]);
    expect(wrappedCommand(["dbt", "ls"], 40, "")).toEqual(["dbt ls"]);
  });
});
