import { expect, test } from "vitest";
import type { BatchSize } from "#core/run/planning/plan.ts";
import { planOf, vertex } from "../support/run-builders.ts";
import { benches } from "./bench.ts";
import { closing, concurrency, ended, started, version } from "./dbt-lines.ts";

const ID = "model.shop.tides";

const newBench = benches();

/** A recovery build of a microbatch model by a dbt that is no Python. */
async function recovery(batchSize: BatchSize, asOfMs: number) {
  const build = [version(), concurrency(1), started(ID), ended(ID), closing()];
  const made = await newBench({ script: { build }, set: [ID] });
  made.objects.set("runs/shop/run-1/plan.json", planOf([vertex(ID, [], { batchSize })]));
  made.objects.set("set.json", { uniqueIds: [ID], asOfMs });
  await made.container();
  return { build: made.noted().find((one) => one.started === "build"), end: (await made.task()).end! };
}

test("G27: where dbt can not be made to choose the batches of the run's start, nothing is built, and the end says what to do", async () => {
  const { build, end } = await recovery("hour", Date.now() - 3 * 3_600_000);
  expect(build).toBeUndefined();
  expect(end).toMatchObject({ inOrder: false, exitCode: null, cause: { kind: "environment" } });
  expect(end.cause.sentence).toContain("--event-time-start");
});

test("G27: where dbt chooses the same batches by now, it is started as ever", async () => {
  // The end of a year that lies further ahead than any start of dbt.
  const { build, end } = await recovery("year", Date.UTC(new Date().getUTCFullYear() + 1, 0));
  expect(build!.env).not.toHaveProperty("STEPWATCH_MICROBATCH");
  expect(end).toMatchObject({ inOrder: true, exitCode: 0 });
});
