import { expect, test } from "vitest";
import { executionArn } from "#core/names.ts";
import { readDeployment } from "../../cli/deployment-record.ts";
import { runCli, runProject, startProject } from "../support/cli.ts";
import { endedExecution } from "../support/consumers.ts";
import { ownStack } from "../support/own-stack.ts";
import { statusOnce } from "../support/run-status.ts";
import { askPostgres } from "../support/warehouse.ts";

const deployed = ownStack();

interface Backfill {
  readonly backfill: string;
  readonly state: string;
  readonly windows: readonly { readonly window: string; readonly state: string; readonly runId: string | null }[];
}

/** `stepwatch backfill … --json`: the exit code and the backfill. */
async function backfill(...args: string[]): Promise<{ code: number | null; stderr: string; of: Backfill }> {
  const end = await runCli(deployed, ["backfill", ...args, "--config", deployed.configPath, "--json"]);
  if (!end.stdout.startsWith("{")) throw new Error(`backfill ${args.join(" ")} ended with ${end.code}:\n${end.stderr}`);
  return { ...end, of: JSON.parse(end.stdout) };
}

/** Builds that the warehouse saw since then, as `<model>` by the day with which a run's id begins. */
async function built(since: string): Promise<Record<string, string[]>> {
  const sql = `select left(run_id, 8), name from orchard.builds where noted_at >= '${since}' order by name`;
  const days: Record<string, string[]> = {};
  for (const [day, name] of await askPostgres(deployed, sql))
    days[String(day)] = [...(days[String(day)] ?? []), String(name)];
  return days;
}

const states = ({ windows }: Backfill) => Object.fromEntries(windows.map(({ window, state }) => [window, state]));
const SELECTED = ["--select", "plum+", "quince", "--policy", "retries.node=0"];

test("H12: three days, of which the middle one fails: it is repaired alone, and of it what was good is not built again", async () => {
  const since = new Date().toISOString();
  const range = ["--from", "2026-01-01", "--to", "2026-01-04", "--by", "day"];
  const first = await backfill("orchard", ...range, ...SELECTED, "--vars", '{"fail_on": {"plum": "2026-01-02"}}');
  expect(states(first.of), first.stderr).toEqual({ "2026-01-01": "green", "2026-01-02": "red", "2026-01-03": "green" });
  expect({ code: first.code, state: first.of.state }).toEqual({ code: 1, state: "red" });
  expect(await built(since)).toEqual({
    "20260101": ["plum", "plum_cake", "quince", "quince_jelly"],
    "20260102": ["quince"],
    "20260103": ["plum", "plum_cake", "quince", "quince_jelly"],
  });

  await askPostgres(
    deployed,
    "insert into orchard.tries values ('mended 2026-01-02', '', '', now()); commit; select 1",
  );
  const { code, of, stderr } = await backfill("retry", first.of.backfill);
  expect(states(of), stderr).toEqual({ "2026-01-01": "green", "2026-01-02": "green", "2026-01-03": "green" });
  expect({ code, id: of.backfill }).toEqual({ code: 0, id: first.of.backfill });
  expect((await built(since))["20260102"]).toEqual(["plum", "plum_cake", "quince", "quince_jelly"]);
  expect(Object.values(await built(since)).flat()).toHaveLength(12);
  expect((await backfill("status", first.of.backfill)).code).toBe(0);
}, 400_000);

test("H12: stopped in the middle of its first day, it builds nothing more and begins no other", async () => {
  const since = new Date().toISOString();
  const range = ["--from", "2026-02-01", "--to", "2026-02-04"];
  const slow = ["--vars", '{"slow": {"plum": 120}}', "--no-follow"];
  const { of } = await backfill("orchard", ...range, ...SELECTED, ...slow);
  await expect
    .poll(async () => (await backfill("status", of.backfill)).of.windows[0]!.runId, { timeout: 60_000 })
    .toMatch(/^20260201-/);
  const [first] = (await backfill("status", of.backfill)).of.windows;
  await statusOnce(deployed, first!.runId!, ({ nodes }) => nodes.some((node) => node.class === "running"));
  const stopped = await backfill("stop", of.backfill, "--reason", "the wrong month");
  expect(stopped.code, stopped.stderr).toBe(0);
  expect(stopped.of.state).toBe("stopped");
  expect(states(stopped.of)).toEqual({ "2026-02-01": "stopped", "2026-02-02": "not built", "2026-02-03": "not built" });
  const machine = readDeployment(deployed.stateDir)!.outputs.BackfillMachineArn!;
  expect(await endedExecution(deployed, executionArn(machine, of.backfill))).toBe("ABORTED");
  expect(Object.keys(await built(since)).filter((day) => day > "20260201")).toEqual([]);
  const { stdout } = await runCli(deployed, ["why", first!.runId!, "--config", deployed.configPath]);
  expect(stdout).toContain("the wrong month");
}, 300_000);

test("H11: a fallback works on the day for which its run was scheduled, as the first build does", async () => {
  const day = "2025-12-31";
  const vars = JSON.stringify({ only_on: day, fail: { plum: 1 } });
  const { code, summary } = await runProject(deployed, "orchard", [
    "--select",
    "plum",
    "--scheduled-time",
    day,
    "--vars",
    vars,
  ]);
  expect(code).toBe(0);
  expect(summary.nodes).toMatchObject([{ outcome: "green", tries: 2 }]);
  const other = ["--select", "quince", "--scheduled-time", "2026-01-01", "--vars", vars, "--policy", "retries.node=0"];
  expect((await runProject(deployed, "orchard", other)).code).toBe(1);
}, 200_000);

test("H13 G22: a schedule's start that is delivered twice builds once, on its scheduled time", async () => {
  const since = new Date().toISOString();
  const delivered = [
    "--select",
    "quince",
    "--scheduled-time",
    "2025-11-30T03:00:00Z",
    "--dedupe-key",
    `nightly ${since}`,
  ];
  const runs = await Promise.all([1, 2].map(() => startProject(deployed, "orchard", delivered)));
  const machine = readDeployment(deployed.stateDir)!.outputs.RunMachineArn!;
  const ends = await Promise.all(runs.map((runId) => endedExecution(deployed, executionArn(machine, runId), 120_000)));
  expect(ends).toEqual(["SUCCEEDED", "SUCCEEDED"]);
  expect(Object.values(await built(since)).flat()).toEqual(["quince"]);
}, 200_000);
