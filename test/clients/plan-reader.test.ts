import { expect, test } from "vitest";
import { planReader } from "#clients/plan-reader.ts";
import type { Plan } from "#core/run/planning/plan.ts";
import { vertex } from "../support/run-builders.ts";

const plan: Plan = {
  contract: 1,
  project: "shop",
  runId: "run-1",
  dbtVersion: "1.11.16",
  adapterType: "duckdb",
  dbtProject: "shop",
  source: "manifest",
  endHooks: false,
  endHookCount: 0,
  hookCount: 0,
  vertices: [],
  warnings: [],
};

function bucket(answers: readonly (unknown | Error)[]) {
  const keys: string[] = [];
  return {
    keys,
    getJson: async (key: string) => {
      const answer = answers[keys.push(key) - 1];
      await Promise.resolve();
      if (answer instanceof Error) throw answer;
      return answer;
    },
  };
}

test("calls that come while a plan is being read share that one read", async () => {
  const artefacts = bucket([plan]);
  const read = planReader(artefacts);
  expect(await Promise.all([read("a"), read("a"), read("a")])).toEqual([plan, plan, plan]);
  expect(await read("a")).toEqual(plan);
  expect(artefacts.keys).toEqual(["a"]);
});

test("a plan that is not there yet, or could not be read, is asked for again", async () => {
  const artefacts = bucket([null, new Error("not reached"), plan]);
  const read = planReader(artefacts);
  expect(await read("a")).toBeNull();
  await expect(read("a")).rejects.toThrow("not reached");
  expect(await read("a")).toEqual(plan);
  expect(artefacts.keys).toHaveLength(3);
});

test("only the last few plans are kept", async () => {
  const artefacts = bucket(Array.from({ length: 6 }, () => plan));
  const read = planReader(artefacts);
  for (const key of ["a", "b", "c", "d", "e", "a"]) await read(key);
  expect(artefacts.keys).toEqual(["a", "b", "c", "d", "e", "a"]);
});

test("of plans that are too large together the newest is kept alone", async () => {
  const large = { ...plan, vertices: Array.from({ length: 40_000 }, (_, at) => vertex(`m_${at}`)) };
  const artefacts = bucket([plan, large, large, plan]);
  const read = planReader(artefacts);
  for (const key of ["small", "a", "b", "b", "small"]) await read(key);
  expect(artefacts.keys).toEqual(["small", "a", "b", "small"]);
});
