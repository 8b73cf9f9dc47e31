import { expect, test } from "vitest";
import { buildEnd } from "../support/ledger-rows.ts";
import { type Bench, benches, KEY } from "./bench.ts";
import {
  closing,
  concurrency,
  ended,
  failureText,
  INVOCATION,
  manifestOf,
  type Step,
  skipped,
  started,
  version,
} from "./dbt-lines.ts";

/** A build from which something is recovered while it goes on (`recovery: early`). */
const [A, B, C] = ["model.shop.a", "model.shop.b", "model.shop.c"] as const;
const manifest = manifestOf([{ id: A }, { id: B, parents: [A] }, { id: C }]);
const newBench = benches();
const early = { recovery: "early" } as const;

const DEADLOCK = "Database Error in model a (models/a.sql)\n  deadlock detected";
const because = (uniqueId: string, exc: string): Step => ({
  logFile: {
    data: { exc, node_info: { unique_id: uniqueId, resource_type: "model", node_status: "started" } },
    info: { name: "CatchableExceptionOnRun", level: "debug", msg: exc, invocation_id: INVOCATION, thread: "Thread-1" },
  },
});
const noise: Step = {
  logFile: { data: {}, info: { name: "SQLQuery", level: "debug", msg: "select", invocation_id: INVOCATION } },
};
const before = [version(), concurrency(3), { manifest: true }, started(A), started(C)];
const after = [ended(C), failureText(A, DEADLOCK), closing(), { exitCode: 1 }];

async function until<T>(ask: () => Promise<T | undefined | false>): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const messageOf = (it: Bench, id: string) => until(async () => (await it.vertex(id))?.message);

test("G19: why a vertex failed is in the ledger while dbt 1 goes on, out of its log file", async () => {
  const build = [...before, noise, because(A, DEADLOCK), ended(A, "error"), skipped(B), { waitFor: "seen" }, ...after];
  const it = await newBench({ script: { build, manifest }, policy: early });
  const over = it.container();
  expect(await messageOf(it, A)).toBe(DEADLOCK);
  expect((await it.task()).end).toBeUndefined();
  it.letGo("seen");
  await over;
  expect(it.lines.join("\n")).not.toContain("CatchableExceptionOnRun");
  expect((await it.task()).end).toMatchObject({ inOrder: true, exitCode: 1, cause: { kind: "node" } });
});

test("G19: also where dbt has begun a new log file meanwhile", async () => {
  const first = [{ logFile: { info: {} } }, { waitFor: "read" }, because(A, DEADLOCK), { rotateLogFile: true }];
  const rest = [ended(A, "error"), because(C, "Database Error in model c\n  deadlock detected"), ended(C, "error")];
  const build = [...before, ...first, ...rest, { waitFor: "seen" }, skipped(B), closing(), { exitCode: 1 }];
  const it = await newBench({ script: { build, manifest }, policy: early });
  const over = it.container();
  it.letGo("read");
  expect(await messageOf(it, A)).toBe(DEADLOCK);
  expect(await messageOf(it, C)).toContain("model c");
  it.letGo("seen");
  await over;
});

test("G19: what was taken from a build that goes on is no longer its own: it ends in order and nothing that it says of it counts", async () => {
  const build = [...before, because(A, DEADLOCK), ended(A, "error"), skipped(B), { waitFor: "taken" }, ...after];
  const it = await newBench({ script: { build, manifest }, policy: early });
  const over = it.container();
  await messageOf(it, A);
  await until(async () => (await it.vertex(B))?.status === "skipped");
  for (const uniqueId of [A, B]) await it.ledger.claimVertex(KEY, 2, { uniqueId, from: 1 });
  await it.ledger.writeVertex(KEY, 2, { uniqueId: A, status: "success", evidence: true, endedAtMs: Date.now() });
  it.letGo("taken");
  await over;
  expect(await it.vertex(A)).toMatchObject({ ownerTask: 2, statusTask: 2, status: "success", tryTasks: [1, 2] });
  expect((await it.vertex(A))?.message).toBeUndefined();
  expect(await it.vertex(C)).toMatchObject({ ownerTask: 1, status: "success" });
  const { state, end } = await it.task();
  expect(state).toBe("over");
  expect(end).toMatchObject({
    ...buildEnd({}),
    inOrder: true,
    exitCode: 1,
    cause: { kind: "node" },
    endedAtMs: expect.any(Number),
    dbtMs: expect.any(Number),
    dbtVersion: "1.11.16",
  });
});

test("G19: fail-fast is off, whatever environment and project say, and the log file tells more; under after nothing changes", async () => {
  const build = [...before, ended(A), ended(B), ended(C), closing()];
  const argvOf = async (policy: object) => {
    const it = await newBench({ script: { build, manifest }, policy });
    await it.container();
    return it
      .noted()
      .findLast((note) => note.started === "build")!
      .argv!.join(" ");
  };
  expect(await argvOf(early)).toMatch(/--no-fail-fast .*--log-level-file debug/);
  expect(await argvOf({})).not.toMatch(/fail-fast|--log-level-file/);
});
