import { describe, expect, it } from "vitest";
import type { BuildEnd, TaskKind, TaskRow } from "#core/contracts/ledger.ts";
import { hooksStanding } from "#core/run/deciding/hooks.ts";
import {
  claimed,
  decide,
  ephemeral,
  killed,
  LONG_AGO,
  over,
  planOf,
  policyOf,
  row,
  type Situation,
  secondRound,
  verdictAfter,
  vertex,
} from "../../support/run-builders.ts";

const hooked = planOf([vertex("a"), vertex("b", ["a"])], { endHooks: true, endHookCount: 2 });
const good = [row("a", "success"), row("b", "success")];
const DONE = ["shop-on-run-end-0", "shop-on-run-end-1"];

const hookFailed = (phase: "start" | "end" = "end", message = "could not connect"): Partial<BuildEnd> => ({
  exitCode: 1,
  hookFailures: [{ name: `shop-on-run-${phase}-1`, message, phase }],
  endHooksDone: phase === "end" ? [DONE[0]!] : [],
  cause: { kind: "hook", sentence: "A hook failed.", lines: [] },
});

const task = (number: number, kind: TaskKind, end: Partial<BuildEnd> = {}, changes: Partial<TaskRow> = {}) =>
  over(number, end, { kind, startedAtMs: LONG_AGO, ...changes });

const CUT: Partial<BuildEnd> = { inOrder: false, exitCode: null, signal: "SIGKILL" };
const KILLED = { kind: "killed" as const, sentence: "dbt was killed.", lines: [] };

const step = (situation: Situation) => decide({ plan: hooked, rows: good, ...situation });

const hooksOf = (situation: Situation) => {
  const { launches } = step(situation);
  return launches.length === 1 && launches[0]!.kind === "hooks" ? launches[0]!.hooks! : null;
};

const verdictOf = (situation: Situation) => {
  const full = { plan: hooked, rows: good, ...situation };
  return verdictAfter(full, decide(full));
};

describe("hooks: each", () => {
  const healed = [task(1, "producer"), task(2, "fallback", hookFailed()), task(3, "recovery", { endHooksDone: DONE })];

  it("G30: a hook that fails in a fallback is repeated alone before the run is red, but for those done before it", () => {
    const tasks = [task(1, "producer"), task(2, "fallback", hookFailed())];
    const decision = step({ tasks });
    expect(decision).toMatchObject({ settle: false, launches: [{ kind: "hooks", uniqueIds: [], claims: [] }] });
    expect(hooksOf({ tasks })).toMatchObject({ start: false, done: [DONE[0]] });
    expect(verdictOf({ tasks }).state).toBe("red");
  });

  it("G30: a later process in which that hook ran well heals it: a build, or the hooks alone", () => {
    expect(step({ tasks: healed })).toMatchObject({ settle: true, launches: [] });
    expect(verdictOf({ tasks: healed }).state).toBe("green");
    const alone = [...healed.slice(0, 2), task(3, "hooks", { endHooksDone: DONE })];
    expect([step({ tasks: alone }).settle, verdictOf({ tasks: alone }).state]).toEqual([true, "green"]);
  });

  it("G30: a start hook that failed in a fallback is repeated alone too; one of the producer never is", () => {
    const rows = [row("a", "success", { task: 2 }), row("b", "success")];
    const inFallback = [task(1, "producer", { exitCode: 1 }), task(2, "fallback", hookFailed("start"))];
    expect(hooksOf({ tasks: inFallback, rows })).toMatchObject({ start: true });
    expect(verdictOf({ tasks: [...inFallback, task(3, "hooks")], rows }).state).toBe("green");
    const inProducer = { tasks: [task(1, "producer", hookFailed("start"))] };
    expect([step(inProducer).settle, verdictOf(inProducer).state]).toEqual([true, "red"]);
  });

  it("G30: no task is spent on it where the run is red anyway, or where a hook's failure is a warning", () => {
    const dead = { rows: [row("a", "success"), row("b", "error", { final: "dead", finalReason: "no" })] };
    const tasks = [task(1, "producer", hookFailed())];
    expect(step({ ...dead, tasks }).settle).toBe(true);
    expect(step({ tasks, policy: { hookFailure: "warn" } }).settle).toBe(true);
  });

  it("B11: hooks that no process came to, each cut off before them, are run alone: green", () => {
    const tasks = [task(1, "producer", { ...CUT, cause: KILLED })];
    expect(hooksOf({ tasks })).toMatchObject({ done: [] });
    expect(verdictOf({ tasks: [...tasks, task(2, "hooks")] }).state).toBe("green");
  });

  it("G30: what dbt 2 can not be told is not tried", () => {
    const plan = { ...hooked, dbtVersion: "2.0.9" };
    expect(step({ plan, tasks: [task(1, "producer"), task(2, "fallback", hookFailed())] }).settle).toBe(true);
  });
});

describe("hooks: once", () => {
  const policy = { hooks: "once" };

  it("G30: end hooks run when nothing is left to be built, with how each vertex ended in its last build", () => {
    const rows = [row("a", "success", { task: 2 }), claimed(row("b", "skipped"), 3)];
    const running = [task(1, "producer", { exitCode: 1 }), task(2, "fallback"), task(3, "recovery")];
    expect(step({ tasks: running.slice(0, 2), rows, policy }).launches.map((one) => one.kind)).not.toContain("hooks");
    const built = [row("a", "success", { task: 2 }), row("b", "success", { task: 3, rowsAffected: 7 })];
    expect(hooksOf({ tasks: running, rows: built, policy })!.results).toEqual([
      { uniqueId: "a", status: "success", task: 2, endedAtMs: LONG_AGO },
      { uniqueId: "b", status: "success", task: 3, endedAtMs: LONG_AGO, rowsAffected: 7 },
    ]);
  });

  it("G30: they run in a red run too, and are told what failed and what was not built because of it", () => {
    const rows = [
      row("a", "error", { message: "no", final: "dead", finalReason: "Its tries are used up.", rootCause: "a" }),
      row("b", "skipped"),
    ];
    const tasks = [task(1, "producer", { exitCode: 1 }), task(2, "fallback", { exitCode: 1 })];
    const words = hooksOf({ tasks, rows, policy })!.results.map((one) => [one.uniqueId, one.status, one.message]);
    expect(words).toEqual([
      ["a", "error", "no"],
      ["b", "skipped", undefined],
    ]);
    const ended = [...tasks, task(3, "hooks", { endHooksDone: DONE })];
    expect(step({ tasks: ended, rows, policy }).settle).toBe(true);
    expect(verdictOf({ tasks: ended, rows, policy }).causes.map((cause) => cause.uniqueId)).toEqual(["a"]);
  });

  it("G30: a producer that built everything and ran them was the last process", () => {
    const tasks = [task(1, "producer", { endHooksDone: DONE })];
    expect([step({ tasks, policy }).settle, verdictOf({ tasks, policy }).state]).toEqual([true, "green"]);
    expect(hooksOf({ tasks: [task(1, "producer")], policy })).not.toBeNull();
  });

  it("G30: what is built after them in a further round makes them due again; hooks that failed are due there by themselves", () => {
    const first = [task(1, "producer", { exitCode: 1 }), task(2, "hooks", { endHooksDone: DONE })];
    const later = task(3, "recovery", {}, { round: 2 });
    const round = secondRound();
    expect(hooksOf({ tasks: [...first, later], policy, round })).toMatchObject({ done: [] });
    const failed = [task(1, "producer", { exitCode: 1 }), task(2, "hooks", hookFailed("end", "permission denied"))];
    expect(step({ tasks: failed, policy }).settle).toBe(true);
    expect(hooksOf({ tasks: failed, policy, round })).toMatchObject({ done: [DONE[0]] });
    const mended = [...failed, task(3, "hooks", { endHooksDone: [DONE[1]!] }, { round: 2 })];
    expect(step({ tasks: mended, policy, round }).settle).toBe(true);
  });

  it("G30: where the first build's start hook failed, a further round runs it: in its builds, or alone where all is built", () => {
    const round = secondRound();
    const failed = task(1, "producer", { ...hookFailed("start"), endHooksDone: DONE });
    const skipped = [row("a", "skipped", { message: "no" }), row("b", "skipped")];
    const unbuilt = { tasks: [failed], rows: skipped, policy };
    expect(step(unbuilt).launches).toMatchObject([]);
    expect(step({ ...unbuilt, round }).launches).toMatchObject([{ kind: "recovery", startHooks: true }]);
    const built = [
      failed,
      task(2, "recovery", {}, { round: 2 }),
      task(3, "hooks", { endHooksDone: DONE }, { round: 2 }),
    ];
    expect(hooksOf({ tasks: built.slice(0, 2), policy, round })).toMatchObject({ start: false });
    expect(hooksStanding(hooked, built, policyOf(policy)).failures).toEqual([]);
    // dbt 1.8 to 1.11 builds on: nothing is left to be built, and the hook is run alone.
    expect(hooksOf({ tasks: [failed], policy, round })).toMatchObject({ start: true });
    const alone = task(2, "hooks", { endHooksDone: DONE }, { round: 2 });
    expect(hooksStanding(hooked, [failed, alone], policyOf(policy)).failures).toEqual([]);
    expect(hooksOf({ tasks: [failed], round })).toMatchObject({ start: true });
  });

  it("G30: tries have the bound of a node's, with its delay; a process that was killed has that of losses", () => {
    const attempt = (number: number, end: Partial<BuildEnd> = hookFailed()) => task(number, "hooks", end);
    const first = task(1, "producer", { exitCode: 1 });
    expect(hooksOf({ tasks: [first, attempt(2)], policy })).toMatchObject({ done: [DONE[0]] });
    expect(step({ tasks: [first, attempt(2), attempt(3)], policy })).toMatchObject({ settle: true });
    const soon = step({ tasks: [first, attempt(2, hookFailed("end"))], policy, nowMs: LONG_AGO + 1 });
    expect(soon).toMatchObject({ settle: false, launches: [] });
    const lost = (number: number) => killed(number, {}, { kind: "hooks", startedAtMs: LONG_AGO });
    expect(hooksOf({ tasks: [first, lost(2), lost(3)], policy })).not.toBeNull();
    const thrice = { tasks: [first, lost(2), lost(3), lost(4)], policy };
    expect(step(thrice).settle).toBe(true);
    expect(verdictOf(thrice)).toMatchObject({ state: "red", causes: [{ kind: "run" }] });
    expect(verdictOf(thrice).sentence).toContain("Task 4, which was to run hooks alone, did not");
  });

  it("G30: a process that selected nothing, hence ran no hook, is no proof that they ran", () => {
    const empty = { cause: { kind: "empty_selection" as const, sentence: "Nothing to do.", lines: [] } };
    const tasks = [task(1, "producer", { exitCode: 1 }), task(2, "hooks", empty), task(3, "hooks", empty)];
    expect(verdictOf({ tasks, policy })).toMatchObject({ state: "red" });
    expect(verdictOf({ tasks, policy }).sentence).toContain("did not: Nothing to do.");
  });

  it("G30: nor is a recovery build of exposures alone, which dbt before 1.10 and dbt 2 take for nothing", () => {
    const empty = { cause: { kind: "empty_selection" as const, sentence: "Nothing to do.", lines: [] } };
    const cut = task(1, "producer", CUT);
    const each = policyOf();
    expect(hooksStanding(hooked, [cut, task(2, "recovery")], each)).toMatchObject({ ended: true });
    expect(hooksStanding(hooked, [cut, task(2, "recovery", empty)], each)).toMatchObject({ ended: false });
  });

  it("G30: where dbt finds nothing to build it runs no hook either, and none is missed", () => {
    const plan = planOf([ephemeral("ephemeral.e")], { endHooks: true, endHookCount: 2 });
    expect(verdictOf({ plan, rows: [], tasks: [task(1, "producer")], policy })).toMatchObject({ state: "green" });
  });

  it("G30: nothing is launched where the run is being stopped, or where dbt has begun nothing", () => {
    expect(step({ tasks: [task(1, "producer")], policy, stopReason: "enough" }).launches).toEqual([]);
    const broken = { exitCode: 2, cause: { kind: "parse" as const, sentence: "It does not parse.", lines: [] } };
    expect(step({ tasks: [task(1, "producer", broken)], rows: [], policy }).launches).toEqual([]);
  });
});

it("G30: an end hook of a build that was cut off changes nothing of what an earlier process has run", () => {
  const tasks = [task(1, "producer", { endHooksDone: DONE }), task(2, "recovery", CUT)];
  expect(hooksStanding(hooked, tasks, policyOf())).toMatchObject({ ended: true, failures: [] });
});
