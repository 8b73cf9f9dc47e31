import { expect, test } from "vitest";
import { artefactKeys } from "#core/names.ts";
import { planOf, vertex } from "../support/run-builders.ts";
import { benches, KEY, until } from "./bench.ts";
import { closing, concurrency, ended, started, version } from "./dbt-lines.ts";

const A = "model.shop.a";
const B = "model.shop.b";
const manifest = { metadata: { project_name: "shop" }, nodes: {} };
const HISTORY = artefactKeys.silence(KEY.project);

/** dbt's silences in these tests are steps that wait until the test lets them go. */
const SHORT = { stuckAfterMinutes: 0.3 / 60 };

/** Longer than any start of the scripted dbt, which would count as a silence of its own. */
const LONGER = { stuckAfterMinutes: 4 / 60 };

const newBench = benches();

test("A25: a dbt that says nothing is told once, with what it runs; when it speaks again the build goes on and is good", async () => {
  const build = [
    version(),
    concurrency(2),
    started(A),
    { waitFor: "first" },
    ended(A),
    started(B),
    { waitFor: "second" },
    ended(B),
    closing(),
  ];
  const made = await newBench({ script: { build, manifest, ls: { ids: [A, B] } }, policy: SHORT });
  const over = made.container();
  const names = async (id: string) =>
    ((await made.task()).quiet ?? []).some((notice) => notice.running.some((one) => one.uniqueId === id));
  await until(() => names(A), "the first notice");
  made.letGo("first");
  await until(() => names(B), "a notice of what was not named before");
  made.letGo("second");
  await over;
  const { quiet, end } = await made.task();
  const ofVertices = quiet!.filter((notice) => notice.count > 0);
  expect(ofVertices.map((notice) => [notice.running.map((one) => one.uniqueId), notice.interrupted])).toEqual([
    [[A], false],
    [[B], false],
  ]);
  for (const notice of quiet!) expect(notice.noticedAtMs - notice.sinceMs).toBeGreaterThanOrEqual(300);
  expect(end).toMatchObject({ inOrder: true, exitCode: 0 });
  expect(await made.statuses()).toMatchObject({ [A]: "success", [B]: "success" });
  // The second silence had to be twice as long as the first: so has one of the next build.
  expect(end!.longestQuietMs).toBeGreaterThanOrEqual(600);
});

test("A25: long is long against the project's history: what earlier builds have broken is no news", async () => {
  const build = [version(), concurrency(1), started(A), { sleepMs: 900 }, ended(A), closing()];
  const made = await newBench({ script: { build, manifest, ls: { ids: [A] } }, policy: SHORT });
  made.objects.set(HISTORY, { longestMs: 60_000 });
  await made.container();
  expect((await made.task()).quiet).toBeUndefined();
  expect((await made.task()).end!.longestQuietMs).toBeGreaterThanOrEqual(600);
  // The next run's is kept by a function, when this run ends: a container may not write it (D22).
  expect(made.objects.get(HISTORY)).toEqual({ longestMs: 60_000 });
});

test("A25: a dbt that is silent before anything runs (parse, connection, catalogue) is told too, as running no node", async () => {
  const build = [version(), { waitFor: "go" }, concurrency(1), started(A), ended(A), closing()];
  const made = await newBench({ script: { build, manifest, ls: { ids: [A] } }, policy: SHORT });
  const over = made.container();
  await until(async () => ((await made.task()).quiet ?? []).length > 0, "the notice");
  made.letGo("go");
  await over;
  expect((await made.task()).quiet![0]).toMatchObject({ running: [], count: 0 });
});

test("A25: stuck: interrupt sends SIGINT once; what ran is interrupted, what was good stays, and the end says why", async () => {
  const build = [version(), concurrency(2), started(A), ended(A), started(B), { waitFor: "never" }];
  const sigint = [{ exitCode: 1 }];
  const made = await newBench({
    script: { build, sigint, manifest },
    set: [A, B],
    policy: { ...LONGER, stuck: "interrupt" },
    stopTimeoutSeconds: 20,
  });
  made.objects.set("runs/shop/run-1/plan.json", planOf([vertex(A), vertex(B)]));
  expect(await made.container()).toBe(0);
  expect(made.noted().filter((one) => one.signal === "SIGINT")).toHaveLength(1);
  expect(await made.statuses()).toEqual({ [A]: "success", [B]: "cancelled" });
  const { end } = await made.task();
  expect(end).toMatchObject({ inOrder: false, cause: { kind: "killed" }, retryableLaunch: false });
  expect(end!.cause.sentence).toContain(`and runs ${B} (for `);
  expect(end).not.toHaveProperty("longestQuietMs");
});

test("A25: interrupted before anything began, a build may be launched again", async () => {
  const build = [version(), { waitFor: "never" }];
  const made = await newBench({
    script: { build, sigint: [{ exitCode: 1 }], manifest, ls: { ids: [A] } },
    policy: { ...SHORT, stuck: "interrupt" },
  });
  await made.container();
  expect((await made.task()).end).toMatchObject({ cause: { kind: "killed" }, retryableLaunch: true });
});

test("A25: with its default a minute of silence is nothing", async () => {
  const build = [version(), concurrency(1), started(A), { sleepMs: 1_200 }, ended(A), closing()];
  const made = await newBench({ script: { build, manifest, ls: { ids: [A] } } });
  await made.container();
  expect((await made.task()).quiet).toBeUndefined();
});
