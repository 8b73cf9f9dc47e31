import { expect, test } from "vitest";
import type { Plan } from "#core/run/planning/plan.ts";
import { planOf, vertex } from "../support/run-builders.ts";
import { benches } from "./bench.ts";
import { closing, concurrency, ended, started, version } from "./dbt-lines.ts";

const ID = "model.shop.m";
const SNAPSHOT = "snapshot.shop.h";

const newBench = benches();

/** A fallback of one vertex after a kill; the first dbt is the one that ends orphans, and says this. */
async function fallback(uniqueId: string, said: string, adapterType = "postgres") {
  const orphan = uniqueId === SNAPSHOT ? ("must_be_gone" as const) : ("harmless" as const);
  const plan: Plan = planOf([vertex(uniqueId, [], { orphan })], { adapterType });
  const build = [version(), concurrency(1), started(uniqueId), ended(uniqueId), closing()];
  const made = await newBench({
    script: { build, compile: said },
    set: [uniqueId],
    policy: { orphanGraceSeconds: 0 },
  });
  made.objects.set("runs/shop/run-1/plan.json", plan);
  made.objects.set("set.json", { uniqueIds: [uniqueId], orphans: { uniqueIds: [uniqueId], openedBeforeMs: 1 } });
  await made.container();
  const commands = made.noted().flatMap((one) => (one.started ? [one.started] : []));
  return { made, commands: commands.filter((command) => command !== "--version"), end: (await made.task()).end! };
}

const GONE = "stepwatch-orphans ended=1 left=0";

test("D12: orphans are ended by dbt's own adapter before the build, with the profile and target of the run, and no hook", async () => {
  const { made, commands, end } = await fallback(ID, GONE);
  expect(commands).toEqual(["compile", "build"]);
  const argv = made.noted().find((one) => one.started === "compile")!.argv!;
  expect(argv).toContain("--no-populate-cache");
  const jinja = argv[argv.indexOf("--inline") + 1]!;
  expect(jinja).toContain(`"node_id": "${ID}"`);
  expect(jinja).toContain("pg_terminate_backend");
  expect(end).toMatchObject({ inOrder: true, exitCode: 0 });
});

test.each([
  ["still there", "stepwatch-orphans ended=1 left=1"],
  ["no answer", "Database Error"],
])(
  "G31: a snapshot is not built while nobody can tell whether its query is gone; anything else waits and is (%s)",
  async (_, said) => {
    const snapshot = await fallback(SNAPSHOT, said);
    expect(snapshot.commands).toEqual(["compile"]);
    expect(snapshot.end).toMatchObject({ inOrder: false, exitCode: null, cause: { kind: "environment" } });
    expect(snapshot.end.cause.sentence).toContain("Outcome unknown");
    expect((await fallback(ID, said)).commands).toEqual(["compile", "build"]);
    expect((await fallback(SNAPSHOT, GONE)).commands).toEqual(["compile", "build"]);
  },
);

test("D12: an adapter whose orphans nobody can find has no dbt started for them", async () => {
  expect((await fallback(ID, GONE, "trino")).commands).toEqual(["build"]);
});
