import { expect, test } from "vitest";
import type { Moment } from "#core/contracts/moments.ts";
import { planOf, vertex } from "../support/run-builders.ts";
import { benches, until } from "./bench.ts";
import { closing, concurrency, ended, manifestOf, started, version } from "./dbt-lines.ts";

const A = "model.shop.a";
const B = "model.shop.b";
const manifest = manifestOf([{ id: A }, { id: B, parents: [A] }]);
const build = [
  version(),
  { manifest: true },
  concurrency(2),
  ...[started(A), ended(A), { waitFor: "seen" }, started(B), ended(B)],
  closing(),
];

const newBench = benches();

const IN_ORDER: readonly Moment[] = [
  ...(["fencedAtMs", "briefedAtMs", "dbtStartedAtMs", "dbtSpokeAtMs", "dbtReadyAtMs", "firstVertexAtMs"] as const),
  ...(["firstDurableAtMs", "lastVertexAtMs", "dbtEndedAtMs", "durableAtMs"] as const),
];

test("an end tells when its container came to what, in the order of time", async () => {
  const it = await newBench({ script: { build, manifest } });
  const ends = it.container();
  await until(async () => (await it.statuses())[A] === "success", "the first status");
  it.letGo("seen");
  await ends;
  const { end } = await it.task();
  const times = IN_ORDER.map((moment) => end?.moments?.[moment] ?? Number.NaN);
  expect(times.filter(Number.isNaN)).toEqual([]);
  expect(times.toSorted((a, b) => a - b)).toEqual(times);
  expect(end?.moments?.plannedAtMs).toBeGreaterThanOrEqual(end?.moments?.dbtReadyAtMs ?? Number.NaN);
  expect(end?.runner?.startCpuMs).toBeGreaterThan(0);
  expect(end?.runner?.cpuMs).toBeGreaterThanOrEqual(end?.runner?.startCpuMs ?? Number.NaN);
  expect(end?.runner?.peakRssBytes).toBeGreaterThan(2 ** 20);
  expect(end?.endedAtMs).toBeGreaterThanOrEqual(times.at(-1)!);
});

test("what never came has no moment: a build that ends before any vertex, and one that makes no plan", async () => {
  const none = await newBench({ script: { build: [version(), { exitCode: 2 }], manifest } });
  await none.container();
  expect((await none.task()).end?.moments).not.toHaveProperty("firstVertexAtMs");
  expect((await none.task()).end?.moments).toHaveProperty("dbtSpokeAtMs");
  const set = await newBench({
    script: { build: [version(), concurrency(1), started(A), ended(A), closing()] },
    set: [A],
  });
  set.objects.set("runs/shop/run-1/plan.json", planOf([vertex(A)]));
  await set.container();
  expect((await set.task()).end?.moments).not.toHaveProperty("plannedAtMs");
});
