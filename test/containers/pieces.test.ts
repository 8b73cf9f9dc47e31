import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, expect, onTestFinished, test, vi } from "vitest";
import type { VertexWrite } from "#core/contracts/vertex-write.ts";
import { newBuildLog } from "#core/dbt/build-log.ts";
import { readingOf } from "#core/dbt/read-record.ts";
import { readRunResults } from "#core/dbt/run-results.ts";
import type { VertexReading } from "#core/dbt/vertex-reading.ts";
import { newVertexRecord } from "#core/dbt/vertex-record.ts";
import { LedgerUnavailable } from "#core/errors.ts";
import { findDbtVersion, versionInText } from "../../containers/dbt-runner/dbt-version.ts";
import { EXIT } from "../../containers/dbt-runner/exit-codes.ts";
import { LineSplitter } from "../../containers/dbt-runner/line-splitter.ts";
import { LogOutput } from "../../containers/dbt-runner/log-output.ts";
import { countMemoryKills, wasMemoryKill } from "../../containers/dbt-runner/memory-kills.ts";
import { readOwnTask } from "../../containers/dbt-runner/own-task.ts";
import { StatusWriter } from "../../containers/dbt-runner/status-writer.ts";
import { collectCompiled, uploadCompiled } from "../../containers/dbt-runner/task-artefacts.ts";
import { makeTaskFolders } from "../../containers/dbt-runner/task-folders.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { manifestOf, runResultsOf } from "./dbt-lines.ts";

afterEach(() => {
  vi.useRealTimers();
});

/** What a build has said of a model that failed. */
const failedReading = (uniqueId: string): VertexReading => ({
  ...readingOf(newVertexRecord(uniqueId), {
    signalledAtMs: null,
    isDbt2: false,
    cutShort: false,
    doubtsErrors: false,
  }),
  resourceType: "model",
  materialized: "table",
  status: "error",
  class: "failed",
  evidence: true,
});

const folder = () => temporaryFolder("pieces");

test("A6: lines are the same however the stream is cut into chunks", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.string({ unit: "binary", maxLength: 30 }).map((text) => text.replaceAll("\n", " ")),
        {
          maxLength: 20,
        },
      ),
      fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 10 }),
      (lines, cuts) => {
        const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(""));
        const seen: string[] = [];
        const splitter = new LineSplitter((line) => seen.push(line));
        let at = 0;
        for (let n = 0; at < bytes.length; n += 1) {
          const size = cuts[n % Math.max(1, cuts.length)] ?? 5;
          splitter.push(bytes.subarray(at, at + size));
          at += size;
        }
        splitter.end();
        expect(seen).toEqual(lines.map((line) => Buffer.from(line).toString("utf8")));
      },
    ),
  );
});

test("A6: a line without an end is held up to the limit and no further; the next one is whole", () => {
  const seen: [number, number][] = [];
  const splitter = new LineSplitter((line, dropped) => seen.push([line.length, dropped]), 1_000);
  for (let n = 0; n < 500; n += 1) splitter.push(Buffer.alloc(100, "x"));
  splitter.push(Buffer.from("\nshort\nhalf"));
  splitter.end();
  expect(seen).toEqual([
    [1_000, 49_000],
    [5, 0],
    [4, 0],
  ]);
});

test("a reader of our stdout that is slow loses lines, is told how many, and holds up nobody", async () => {
  const written: string[] = [];
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const output = new LogOutput(
    1,
    (_fd, bytes, done) =>
      void gate.then(() => {
        written.push(bytes.toString());
        done(null, bytes.length);
      }),
  );
  for (let n = 0; n < 400; n += 1) {
    output.line("x".repeat(100_000));
    if (n === 0) await Promise.resolve().then(() => undefined);
  }
  release();
  await output.flush();
  expect(written.join("")).toMatch(/"event":"log lines dropped","lines":2\d\d/);
});

test("lines that come close together are one write, and a flush waits for none of them", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const written: string[] = [];
  const output = new LogOutput(1, (_fd, bytes, done) => {
    written.push(bytes.toString());
    done(null, bytes.length);
  });
  for (const line of ["a", "b", "c"]) {
    output.line(line);
    await vi.advanceTimersByTimeAsync(10);
  }
  expect(written).toEqual([]);
  await vi.advanceTimersByTimeAsync(50);
  expect(written).toEqual(["a\nb\nc\n"]);
  output.line("d");
  await output.flush();
  expect(written).toEqual(["a\nb\nc\n", "d\n"]);
});

test("our stdout copes with a full pipe, half writes and a reader that is gone", async () => {
  const written: Buffer[] = [];
  let calls = 0;
  const output = new LogOutput(1, (_fd, bytes, done) => {
    calls += 1;
    if (calls % 3 === 0) return done(Object.assign(new Error("full"), { code: "EAGAIN" }), 0);
    const half = bytes.subarray(0, Math.max(1, bytes.length >> 1));
    written.push(Buffer.from(half));
    done(null, half.length);
  });
  output.line("brücke über ünï");
  await output.flush();
  expect(Buffer.concat(written).toString()).toBe("brücke über ünï\n");
  const broken = new LogOutput(1, (_fd, _bytes, done) => done(Object.assign(new Error("gone"), { code: "EPIPE" }), 0));
  broken.line("a");
  await broken.flush();
  broken.line("b");
  await broken.flush();
});

test("E1, D5: whatever the ledger refuses, each vertex ends with its newest word and its writes never overtake", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 2 })), { maxLength: 40 }),
      fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }),
      async (words, refusals) => {
        const ledger = new Map<string, string>();
        const open = new Set<string>();
        let call = 0;
        const written = async (writes: readonly VertexWrite[], isRefused: (at: number) => boolean) => {
          for (const { uniqueId } of writes) expect(open.has(uniqueId)).toBe(false);
          for (const { uniqueId } of writes) open.add(uniqueId);
          await new Promise((resolve) => setTimeout(resolve, call % 3));
          for (const { uniqueId } of writes) open.delete(uniqueId);
          const left = writes.filter((_, at) => isRefused(at));
          for (const write of writes) if (!left.includes(write)) ledger.set(write.uniqueId, write.message ?? "");
          return left.map(({ uniqueId }) => uniqueId);
        };
        const writer = new StatusWriter({
          hold: false,
          onLost: () => expect.unreachable(),
          write: async (write) => {
            const refused = refusals[call++ % 5] && call < 12;
            if ((await written([write], () => refused === true)).length > 0) throw new LedgerUnavailable("refused");
          },
          writeEnds: async (writes) => {
            const refused = refusals[call++ % 5] && call < 12;
            if (refused && call % 2 === 0) throw new LedgerUnavailable("refused");
            return written(writes, (at) => refused === true && at % 2 === 0);
          },
        });
        const newest = new Map<string, string>();
        for (const [n, [id, wait]] of words.entries()) {
          const status = n % 3 === 0 ? "started" : "success";
          writer.put({ uniqueId: `v${id}`, status, evidence: true, message: `word ${n}` }, wait * 2);
          newest.set(`v${id}`, `word ${n}`);
          if (wait === 1) await new Promise((resolve) => setImmediate(resolve));
        }
        // Eleven refusals in a row wait some 25 s; more than a minute would be a writer that has stopped writing.
        const untilMs = Date.now() + 60_000;
        const flushing = writer.flush(() => untilMs);
        await vi.advanceTimersByTimeAsync(61_000);
        expect(await flushing).toBe(true);
        expect(ledger).toEqual(newest);
      },
    ),
  );
});

test("E1: ends of one moment are few calls of 25 at most, starts go alone, and dbt's lines are read to the end before", async () => {
  const calls: number[] = [];
  const alone: string[] = [];
  const writer = new StatusWriter({
    hold: false,
    onLost: () => expect.unreachable(),
    write: async ({ uniqueId }) => void alone.push(uniqueId),
    writeEnds: async (writes) => {
      calls.push(writes.length);
      return [];
    },
  });
  for (let n = 0; n < 9_000; n += 1) writer.put({ uniqueId: `v${n}`, status: "skipped", evidence: false });
  writer.put({ uniqueId: "other", status: "started", evidence: true });
  expect(calls).toEqual([]);
  expect(await writer.flush(() => Date.now() + 5_000)).toBe(true);
  expect(calls).toEqual(Array(360).fill(25));
  expect(alone).toEqual(["other"]);
  expect(writer.counts).toEqual({ written: 9_001, repeated: 0, lost: 0 });
});

test("of ends that are refused together for good each is tried alone, and only the one at fault is lost", async () => {
  const lost: string[] = [];
  const taken: string[] = [];
  const refuseBad = (writes: readonly VertexWrite[]) => {
    if (writes.some(({ uniqueId }) => uniqueId === "bad")) throw new TypeError("ValidationException");
    taken.push(...writes.map(({ uniqueId }) => uniqueId));
  };
  const writer = new StatusWriter({
    hold: false,
    onLost: (write) => lost.push(write.uniqueId),
    write: async (write) => refuseBad([write]),
    writeEnds: async (writes) => {
      refuseBad(writes);
      return [];
    },
  });
  for (const uniqueId of ["a", "bad", "b"]) writer.put({ uniqueId, status: "success", evidence: true });
  expect(await writer.flush(() => Date.now() + 5_000)).toBe(true);
  expect([lost, taken.sort()]).toEqual([["bad"], ["a", "b"]]);
});

test("a write that can never succeed is told, counted and dropped", async () => {
  const lost: string[] = [];
  const writer = new StatusWriter({
    hold: false,
    onLost: (write) => lost.push(write.uniqueId),
    write: async (write) => {
      if (write.uniqueId === "bad") throw new TypeError("defect");
    },
  });
  for (const uniqueId of ["bad", "good"]) writer.put({ uniqueId, status: "success", evidence: true });
  expect(await writer.flush(() => Date.now() + 5_000)).toBe(true);
  expect(lost).toEqual(["bad"]);
  expect(writer.counts).toEqual({ written: 1, repeated: 0, lost: 1 });
});

test("a start and an end that come close together are one write with the fields of both", async () => {
  const writes: object[] = [];
  const writer = new StatusWriter({
    hold: false,
    onLost: () => undefined,
    write: async (write) => void writes.push(write),
  });
  writer.put({ uniqueId: "t", status: "started", evidence: true, startedAtMs: 5 }, 700);
  writer.put({ uniqueId: "t", status: "pass", evidence: true, endedAtMs: 9, startedAtMs: undefined });
  await writer.flush(() => Date.now() + 5_000);
  expect(writes).toEqual([{ uniqueId: "t", status: "pass", evidence: true, startedAtMs: 5, endedAtMs: 9 }]);
});

test("E1: while the ledger is behind, an end goes before starts, and a test is one write with its start", async () => {
  vi.useFakeTimers();
  const writes: string[] = [];
  const writer = new StatusWriter({
    hold: false,
    onLost: () => expect.unreachable(),
    write: async ({ uniqueId, status }) => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      writes.push(`${uniqueId} ${status}`);
    },
  });
  const say = (uniqueId: string, status: string, delayMs: number) =>
    writer.put({ uniqueId, status, evidence: true }, delayMs);
  for (let n = 0; n < 20; n += 1) say(`test ${n}`, "started", 1);
  say("long", "started", 1);
  for (let n = 0; n < 40; n += 1) say(`end ${n}`, "pass", 0);
  await vi.advanceTimersByTimeAsync(150);
  for (let n = 0; n < 20; n += 1) say(`test ${n}`, "pass", 0);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(writes).toHaveLength(61);
  expect(writes.filter((write) => write.endsWith("started"))).toEqual(["long started"]);
  expect(writes.at(-1)).toBe("long started");
});

test("what gives way to ends is written after some seconds even if they never cease", async () => {
  vi.useFakeTimers();
  let startedAtMs = 0;
  const writer = new StatusWriter({
    hold: false,
    onLost: () => expect.unreachable(),
    write: async ({ uniqueId }) => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      if (uniqueId === "long") startedAtMs = Date.now();
    },
  });
  const beganAtMs = Date.now();
  for (let n = 0; n < 100; n += 1) writer.put({ uniqueId: `before ${n}`, status: "pass", evidence: true });
  writer.put({ uniqueId: "long", status: "started", evidence: true }, 200);
  for (let second = 0; second < 15; second += 1) {
    for (let n = 0; n < 80; n += 1) writer.put({ uniqueId: `${second} ${n}`, status: "pass", evidence: true });
    await vi.advanceTimersByTimeAsync(1_000);
  }
  expect(startedAtMs - beganAtMs).toBeGreaterThan(5_000);
  expect(startedAtMs - beganAtMs).toBeLessThan(8_000);
});

test("the container learns its ARN and log stream from ECS, after a late answer too; without it one sentence says so", async () => {
  let calls = 0;
  const answer = (body: unknown) => ({ ok: true, status: 200, json: async () => body });
  const own = await readOwnTask("http://ecs/v4/x", async (url) => {
    calls += 1;
    if (calls === 1) throw new Error("refused");
    return answer(url.endsWith("/task") ? { TaskARN: "arn:task" } : { LogOptions: { "awslogs-stream": "dbt/1" } });
  });
  expect(own).toEqual({ taskArn: "arn:task", logStream: "dbt/1" });
  await expect(readOwnTask("http://ecs", async () => answer({}))).rejects.toThrow(
    /ECS_CONTAINER_METADATA_URI_V4.*no TaskARN/,
  );
}, 30_000);

test.each([
  ["Core:\n  - installed: 1.11.16\n  - latest:    1.12.0 - Update available!\n", "1.11.16"],
  ["dbt 2.0.0-preview.196\n", "2.0.0-preview.196"],
  ["dbt-fusion 2.0.1", "2.0.1"],
  ["command not found", null],
])("the version in %j is %s", (text, expected) => {
  expect(versionInText(text)).toBe(expected);
});

test("A13: dbt's version is found beside its executable without starting it, through links too", async () => {
  const venv = folder();
  mkdirSync(join(venv, "bin"));
  mkdirSync(join(venv, "lib/python3.12/site-packages/dbt_core-1.7.4.dist-info"), { recursive: true });
  mkdirSync(join(venv, "lib/python3.12/site-packages/dbt_common-1.39.0.dist-info"));
  writeFileSync(join(venv, "bin/dbt"), "#!/bin/sh\nexit 9\n");
  chmodSync(join(venv, "bin/dbt"), 0o755);
  const elsewhere = folder();
  symlinkSync(join(venv, "bin/dbt"), join(elsewhere, "dbt"));
  expect(await findDbtVersion(join(venv, "bin/dbt"), {})).toBe("1.7.4");
  expect(await findDbtVersion("dbt", { PATH: `/nowhere:${elsewhere}` })).toBe("1.7.4");
  expect(await findDbtVersion("dbt", { PATH: "/nowhere" })).toBeNull();
});

test("D4: only a SIGKILL that was not ours, with a counter that moved, is a kill for memory", async () => {
  const dir = folder();
  writeFileSync(join(dir, "memory.events"), "low 0\nhigh 0\nmax 12\noom 2\noom_kill 1\noom_group_kill 0\n");
  expect(await countMemoryKills([join(dir, "none"), join(dir, "memory.events")])).toBe(1);
  expect(await countMemoryKills([join(dir, "none")])).toBeNull();
  const killed = { signal: "SIGKILL", exitCode: null, killedByUs: false };
  expect(wasMemoryKill(1, 2, killed)).toBe(true);
  expect(wasMemoryKill(1, 2, { ...killed, signal: null, exitCode: 137 })).toBe(true);
  expect(wasMemoryKill(1, 1, killed)).toBe(false);
  expect(wasMemoryKill(null, 2, killed)).toBe(false);
  expect(wasMemoryKill(1, 2, { ...killed, killedByUs: true })).toBe(false);
  expect(wasMemoryKill(1, 2, { signal: null, exitCode: 2, killedByUs: false })).toBe(false);
});

test("D8: compiled SQL is kept for any model path, for failures too, and never from outside the project", async () => {
  const dir = folder();
  const projectDir = join(dir, "project");
  mkdirSync(projectDir);
  writeFileSync(join(dir, "secret.sql"), "select password");
  const folders = await makeTaskFolders({
    workDir: join(dir, "work"),
    projectDir,
    profilesDir: projectDir,
    runId: "r",
    task: 1,
  });
  const target = folders.build.targetDir;
  const nodes = ["usual", "odd", "outside", "linked", "from_results", "never_ran"].map((name) => `model.shop.${name}`);
  const pathOf = (id: string) =>
    ({ "model.shop.odd": "transform/deep/odd.sql", "model.shop.outside": "../../../../../../secret.sql" })[id];
  writeFileSync(
    join(target, "manifest.json"),
    JSON.stringify(manifestOf(nodes.map((id) => ({ id, ...(pathOf(id) ? { path: pathOf(id)! } : {}) })))),
  );
  for (const path of ["models/usual.sql", "transform/deep/odd.sql"]) {
    mkdirSync(join(target, "compiled/shop", path, ".."), { recursive: true });
    writeFileSync(join(target, "compiled/shop", path), `-- ${path}`);
  }
  symlinkSync(join(dir, "secret.sql"), join(target, "compiled/shop/models/linked.sql"));
  const log = newBuildLog();
  for (const id of nodes) {
    log.vertices.set(id, {
      ...failedReading(id),
      evidence: id !== "model.shop.never_ran",
      compiledPath: id.endsWith("outside") ? join(dir, "secret.sql") : null,
    });
  }
  const results = readRunResults(
    JSON.stringify(runResultsOf([{ id: "model.shop.from_results", status: "error", sql: "select 7" }])),
  );
  const compiled = await collectCompiled(folders, log, results);
  expect(Object.keys(compiled).toSorted()).toEqual(["model.shop.from_results", "model.shop.odd", "model.shop.usual"]);
  expect(compiled["model.shop.odd"]).toEqual({
    path: "compiled/shop/transform/deep/odd.sql",
    sql: "-- transform/deep/odd.sql",
  });
  expect(JSON.stringify(compiled)).not.toContain("password");
});

test("D8: a file that can not be read costs the compiled SQL, never the end of the build", async () => {
  const dir = folder();
  const folders = await makeTaskFolders({
    workDir: join(dir, "work"),
    projectDir: dir,
    profilesDir: dir,
    runId: "r",
    task: 1,
  });
  mkdirSync(join(folders.build.targetDir, "a.sql"));
  const log = newBuildLog();
  log.vertices.set("model.shop.a", {
    ...failedReading("model.shop.a"),
    compiledPath: join(folders.build.targetDir, "a.sql"),
  });
  const said: string[] = [];
  const deps = {
    artefacts: { putJson: async () => undefined, putFile: async () => undefined },
    key: { project: "shop", runId: "r" },
    task: 1,
    folders,
    output: new LogOutput(1, (_fd, bytes, done) => {
      said.push(bytes.toString());
      done(null, bytes.length);
    }),
  };
  await uploadCompiled(deps, log, null);
  await deps.output.flush();
  expect(said.join("")).toContain("EISDIR");
});

test("without its environment the container says which variables are missing and ends with its code", () => {
  const main = join(import.meta.dirname, "../../containers/dbt-runner/main.ts");
  const { status, stdout } = spawnSync(process.execPath, [main], { env: { PATH: process.env.PATH }, encoding: "utf8" });
  expect(status).toBe(EXIT.environment);
  expect(stdout).toMatch(/"event":"environment refused".*STEPWATCH_TABLE = \(not set\).*STEPWATCH_RUN_ID/);
}, 60_000);
