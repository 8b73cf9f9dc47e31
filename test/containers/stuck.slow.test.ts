import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type LocalPostgres, startPostgres } from "#local/postgres.ts";
import { copyFieldCase } from "../support/field-cases.ts";
import { realRun } from "../support/real-runs.ts";
import { dbtBin } from "../support/warehouse.ts";
import { until } from "./bench.ts";

let postgres: LocalPostgres;
let bin: string;
let folder: string;

beforeAll(async () => {
  bin = await dbtBin();
  folder = mkdtempSync(join(tmpdir(), "stepwatch-stuck-"));
  postgres = await startPostgres();
});
afterAll(async () => {
  await postgres?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Locks a table until its standard input ends, and says so. */
const LOCK = `import os, sys, psycopg2
c = psycopg2.connect(host=os.environ["PGHOST"], port=os.environ["PGPORT"], user=os.environ["PGUSER"], password=os.environ["PGPASSWORD"], dbname=os.environ["PGDATABASE"])
q = c.cursor(); q.execute("create schema if not exists fc_stuck"); q.execute("create table if not exists fc_stuck.held (n integer)"); c.commit()
q.execute("lock table fc_stuck.held in access exclusive mode"); print("locked", flush=True); sys.stdin.read()`;

async function lockTable(): Promise<ChildProcess> {
  const locker = spawn(join(bin, "python"), ["-c", LOCK], {
    env: { ...process.env, ...postgres.environment },
    stdio: ["pipe", "pipe", "inherit"],
  });
  await new Promise<void>((resolve, reject) => {
    locker.stdout!.once("data", () => resolve());
    locker.once("exit", (code) => reject(new Error(`the lock could not be taken: exit ${code}`)));
  });
  return locker;
}

test("A25: a model that waits for a lock on Postgres is told while the run goes on; stuck: interrupt ends dbt, its query is gone, and the model is built again: green", async () => {
  const copy = copyFieldCase(folder, "append_after_commit", { as: "fc_stuck", postgres: postgres.environment });
  rmSync(join(copy.projectDir, "models"), { recursive: true });
  rmSync(join(copy.projectDir, "dbt_project.yml"));
  writeFileSync(
    join(copy.projectDir, "dbt_project.yml"),
    "name: held\nversion: '1.0'\nconfig-version: 2\nprofile: field_cases\n",
  );
  mkdirSync(join(copy.projectDir, "models"));
  writeFileSync(join(copy.projectDir, "models/calm.sql"), "{{ config(materialized='table') }} select 1 as n");
  writeFileSync(
    join(copy.projectDir, "models/waits.sql"),
    "{{ config(materialized='table') }} select count(*) as n from fc_stuck.held",
  );
  const locker = await lockTable();
  try {
    // Longer than dbt's own silences in this run: its start, and the parse of two models, on a loaded machine.
    const policy = { stuck: "interrupt", stuckAfterMinutes: 0.5 };
    const run = realRun({ projectDir: copy.projectDir, dbt: join(bin, "dbt"), environment: copy.environment, policy });
    await until(async () => run.said("dbt is silent").length > 0, "the notice", 120_000);
    locker.stdin!.end();
    const summary = await run.end;
    expect(summary.state, JSON.stringify(summary.causes)).toBe("green");
    expect(run.said("dbt is silent")[0]!.sentence).toContain("and runs model.held.waits (for ");
    expect(summary.tasks.map((task) => task.kind)).toEqual(["producer", "fallback"]);
    const waits = summary.nodes.find((node) => node.uniqueId === "model.held.waits");
    expect(waits).toMatchObject({ class: "good", tries: 1, reason: "Rebuilt after a kill." });
    expect(run.said("orphaned queries")[0]).toMatchObject({ answer: { left: 0 } });
    expect(summary.warnings).toEqual([
      expect.stringContaining("was cut short: Task 1 (producer): dbt has said nothing"),
    ]);
  } finally {
    locker.kill();
  }
});
