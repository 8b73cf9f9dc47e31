import { beforeEach, describe, expect, it } from "vitest";
import type { Ledger } from "#clients/ledger.ts";
import type { RunRow, TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import { artefactKeys } from "#core/names.ts";
import type { Plan } from "#core/run/planning/plan.ts";
import { MOST_WAIT_MS, publishArtefacts } from "../../functions/publish-artefacts.ts";
import { FakeArtefacts } from "../support/fake-clients.ts";
import { buildEnd, taskRow } from "../support/ledger-rows.ts";
import { memoryLedger } from "../support/memory-ledger.ts";
import { dataTest, planOf, runOf, vertex } from "../support/run-builders.ts";

const plan = planOf([vertex("a"), vertex("b", ["a"]), dataTest("test.t", ["a"])], { narrowed: false });
const ENDED = 1_700_000_200_000;

let ledger: Ledger;
let artefacts: FakeArtefacts;
let nowMs: number;
let paused: number;

beforeEach(() => {
  ledger = memoryLedger();
  artefacts = new FakeArtefacts();
  nowMs = ENDED;
  paused = 0;
});

const entry = (unique_id: string, status: string, more: object = {}) => ({
  status,
  unique_id,
  execution_time: 1.5,
  compiled_code: "select 1",
  adapter_response: { query_id: `of ${unique_id}` },
  ...more,
});

const done = (task: number, changes: Partial<TaskRow> = {}): TaskRow =>
  taskRow(task, { state: "over", invocationId: `invocation-${task}`, end: buildEnd({ endedAtMs: ENDED }), ...changes });

const row = (uniqueId: string, status: string, task: number, changes: Partial<VertexRow> = {}): VertexRow => ({
  uniqueId,
  status,
  statusTask: task,
  ownerTask: task,
  epoch: 0,
  tryTasks: [task],
  lostTasks: [],
  evidence: true,
  endedAtMs: ENDED - 1_000,
  ...changes,
});

/** What the container of a task has brought. */
async function brings(task: number, results: readonly object[], runId = "run-1"): Promise<void> {
  const key = (name: string) => artefactKeys.task("shop", runId, task, name);
  await artefacts.putJson(key("run_results.json"), {
    metadata: { dbt_version: "1.11.0", invocation_id: `invocation-${task}`, env: { TEAM: "x" } },
    results,
    elapsed_time: 3,
    args: { which: "build", task },
  });
  await artefacts.putJson(key("manifest.json"), { of: runId, task });
  await artefacts.putText(key("dbt.log"), "done");
}

const publish = (changes: Partial<RunRow>, rows: VertexRow[], tasks: TaskRow[], of: Plan = plan) => {
  const run = runOf({ state: "green", endedAtMs: ENDED, ...changes });
  const pause = async (ms: number) => {
    paused += 1;
    nowMs += ms;
  };
  return publishArtefacts({ run, plan: of, rows, tasks, nowMs }, { ledger, artefacts, nowMs: () => nowMs, pause });
};

const read = (key: string) => JSON.parse(artefacts.texts.get(key) ?? "null");
const merged = (runId = "run-1") => read(artefactKeys.run("shop", runId, "run_results.json"));
const good = (task = 1) => [row("a", "success", task), row("b", "success", task), row("test.t", "pass", task)];

describe("H9: one run_results.json of a run", () => {
  it("H9: has each vertex once, as the build left it whose word counts, under the invocation of the manifest beside it", async () => {
    await brings(1, [entry("a", "error"), entry("b", "skipped"), entry("test.t", "skipped")]);
    await brings(2, [entry("a", "success"), entry("test.t", "pass", { failures: 0 })]);
    await brings(3, [entry("b", "success")]);
    const rows = [row("a", "success", 2), row("b", "success", 3), row("test.t", "pass", 2)];
    await publish({}, rows, [done(1), done(2), done(3)]);
    expect(merged().results.map((one: { unique_id: string; status: string }) => [one.unique_id, one.status])).toEqual([
      ["a", "success"],
      ["b", "success"],
      ["test.t", "pass"],
    ]);
    expect(merged().metadata).toMatchObject({
      invocation_id: "invocation-1",
      env: { TEAM: "x", STEPWATCH_RUN_ID: "run-1" },
    });
    expect(merged().args).toEqual({ which: "build", task: 1 });
    expect(read(artefactKeys.run("shop", "run-1", "manifest.json"))).toEqual({ of: "run-1", task: 1 });
  });

  it("H9: keeps what dbt says of a result beside its word, without compiled SQL, which would be most of it", async () => {
    await brings(1, [entry("a", "success"), entry("b", "success"), entry("test.t", "pass")]);
    await publish({}, good(), [done(1)]);
    expect(merged().results[0]).toMatchObject({ adapter_response: { query_id: "of a" }, compiled_code: null });
  });

  it("H9: what no file tells of is told from the ledger: a build that was killed, a word that its file contradicts", async () => {
    await brings(1, [entry("a", "error")]);
    const killed = done(2, { end: undefined, stop: undefined });
    const rows = [
      row("a", "success", 1, { executionSeconds: 2, rowsAffected: 7 }),
      row("b", "started", 2),
      row("test.t", "skipped", 1),
    ];
    await publish({ state: "red" }, rows, [done(1), killed]);
    expect(merged().results).toMatchObject([
      { unique_id: "a", status: "success", execution_time: 2, adapter_response: { rows_affected: 7 } },
      { unique_id: "b", status: "error", message: "Its build was cut off while it ran." },
      { unique_id: "test.t", status: "skipped" },
    ]);
  });

  it("H9: waits for what the last container brings after its end, and no longer than it may", async () => {
    const publishing = publish({}, good(), [done(1)]);
    await publishing;
    expect(paused * 250).toBe(MOST_WAIT_MS);
    expect(merged().results).toHaveLength(3);
    paused = 0;
    await brings(1, []);
    await publish({}, good(), [done(1)]);
    expect(paused).toBe(0);
  });

  it("H9 H10: sources are as the build saw them: what a step after it saw would hide rows that came between", async () => {
    const of = (task: number) => artefactKeys.task("shop", "run-1", task, "sources.json");
    await brings(1, [entry("a", "success")]);
    await brings(2, []);
    await artefacts.putJson(of(1), { seen: "by the build" });
    await artefacts.putJson(of(2), { seen: "by the step" });
    await publish({}, good(), [done(1), done(2, { kind: "command", step: "after-1" })]);
    expect(read(artefactKeys.run("shop", "run-1", "sources.json"))).toEqual({ seen: "by the build" });
  });

  it("H9: of a run that goes on with another, what that one has built is told from its results", async () => {
    await brings(1, [entry("a", "success"), entry("b", "error")]);
    await publish({ state: "red" }, [row("a", "success", 1), row("b", "error", 1)], [done(1)]);
    await brings(2, [entry("b", "success")], "run-2");
    const rows = [row("a", "success", 1), row("b", "success", 2)];
    const tasks = [done(1, { round: 0 }), done(2)];
    await publish({ runId: "run-2", resumed: "run-1", startedAtMs: 1_700_000_100_000 }, rows, tasks);
    expect(merged("run-2").results).toMatchObject([
      { unique_id: "a", adapter_response: { query_id: "of a" } },
      { unique_id: "b", status: "success", adapter_response: { query_id: "of b" } },
      { unique_id: "test.t" },
    ]);
  });
});

/** Settings of a run of a job: its options are merged into the project's. */
const ofJob = (build: object) => ({
  ...runOf().settings,
  defaultTarget: "prod",
  build: { ...build },
  job: { name: "nightly", before: [], after: [], lock: "target" as const },
});

describe("H9: latest/ and latest-green/", () => {
  const latest = (kind: "latest" | "latest-green", file = "run.json") => read(artefactKeys.latest(kind, "shop", file));

  beforeEach(() => brings(1, [entry("a", "success")]));

  it("H9: hold manifest and results of a run of the whole project, and say whose they are", async () => {
    await publish({ input: { project: "shop", commit: "0a1b2c" } }, good(), [done(1)]);
    for (const kind of ["latest", "latest-green"] as const) {
      expect(latest(kind)).toMatchObject({
        runId: "run-1",
        state: "green",
        commit: "0a1b2c",
        files: ["run_results.json", "manifest.json"],
      });
      expect(latest(kind, "run_results.json")).toEqual(merged());
      expect(latest(kind, "manifest.json")).toEqual({ of: "run-1", task: 1 });
    }
    expect(read(artefactKeys.commit("shop", "0a1b2c"))).toEqual({ of: "run-1", task: 1 });
  });

  it("H9: a job of the whole project on its own target counts as the project", async () => {
    await publish({ settings: ofJob({ threads: 8 }), lockKey: "prod" }, good(), [done(1)]);
    expect(latest("latest-green")).toMatchObject({ runId: "run-1" });
  });

  it("H9: a red run is the latest, and not the latest green one", async () => {
    await publish({ state: "red" }, [row("a", "error", 1)], [done(1)]);
    expect(latest("latest")).toMatchObject({ runId: "run-1", state: "red" });
    expect(latest("latest-green")).toBeNull();
  });

  it("H9: a run that began earlier and ends later does not take the place of a newer one", async () => {
    await publish({}, good(), [done(1)]);
    await brings(1, [entry("a", "success")], "older");
    await publish({ runId: "older", startedAtMs: 1_600_000_000_000 }, good(), [done(1)]);
    expect(latest("latest")).toMatchObject({ runId: "run-1" });
    expect(latest("latest-green", "manifest.json")).toEqual({ of: "run-1", task: 1 });
    expect(merged("older").results).toHaveLength(3);
  });

  it("H9: of two that end at once the files are the newer one's, whoever copies last", async () => {
    await brings(1, [entry("a", "success")], "newer");
    const copy = artefacts.copy.bind(artefacts);
    let overtaken = false;
    artefacts.copy = async (from, to) => {
      if (!overtaken && to.startsWith("latest/")) {
        overtaken = true;
        await publish({ runId: "newer", startedAtMs: 1_700_000_100_000 }, good(), [done(1)]);
      }
      return copy(from, to);
    };
    await publish({}, good(), [done(1)]);
    for (const kind of ["latest", "latest-green"] as const) {
      expect(latest(kind)).toMatchObject({ runId: "newer" });
      expect(latest(kind, "manifest.json")).toEqual({ of: "newer", task: 1 });
    }
  });

  it.each([
    ["that something narrows", {}, planOf(plan.vertices, { narrowed: true })],
    ["of which nobody knows whether something narrows it", {}, planOf(plan.vertices)],
    ["of another target", { input: { project: "shop", target: "ci" }, lockKey: "ci" }, plan],
    ["of another target, where the own one is not known", { input: { project: "shop", target: "ci" } }, plan],
    ["of another profile", { input: { project: "shop", profile: "ci" } }, plan],
    ["with a lock of its own", { lockKey: "pr-12" }, plan],
    ["of a job with a target of its own", { settings: ofJob({ target: "ci" }), lockKey: "ci" }, plan],
    ["of a job with a profile of its own", { settings: ofJob({ profile: "ci" }) }, plan],
    ["without rows", { input: { project: "shop", empty: true } }, plan],
    ["that goes on with another one under a new image", { mixedImages: true }, plan],
    ["of a sample", { input: { project: "shop", sample: "3 days" } }, plan],
  ] as const)("H9: no run %s", async (_, changes, of) => {
    await publish(changes, good(), [done(1)], of);
    expect(merged().results).toHaveLength(3);
    expect([...artefacts.texts.keys()].filter((key) => key.startsWith("latest"))).toEqual([]);
  });

  it.each(["good", "skip"] as const)(
    "H9: what a person has marked %s keeps a run from being the latest green one",
    async (as) => {
      const mark = { as, by: "ada", atMs: 1, reason: "looked at it" };
      const rows = good().map((one) => (one.uniqueId === "b" ? { ...one, status: "error", mark } : one));
      await publish({}, rows, [done(1)]);
      expect(latest("latest")).toMatchObject({ runId: "run-1" });
      expect(latest("latest-green")).toBeNull();
    },
  );

  it("H9: what left something out is not the latest green one: a model left out would never be seen as modified again", async () => {
    const [a, b, t] = plan.vertices;
    const of = planOf([a!, { ...b!, leftOut: "its source is stale" }, t!], { narrowed: false });
    await publish({}, [row("a", "success", 1), row("test.t", "pass", 1)], [done(1)], of);
    expect(latest("latest")).toMatchObject({ runId: "run-1" });
    expect(latest("latest-green")).toBeNull();
    expect(merged().results.map((one: { unique_id: string }) => one.unique_id)).toEqual(["a", "test.t"]);
  });
});
