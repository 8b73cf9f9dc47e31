import { describe, expect, it } from "vitest";
import type { BuildEnd, TaskRow } from "#core/contracts/ledger.ts";
import { adopt } from "#core/run/judging/adoption.ts";
import { roundOf } from "#core/run/judging/rounds.ts";
import { passedOverSteps, selectsByState, stepsOf, stepsOfNextRound } from "#core/run/judging/run-steps.ts";
import {
  decide,
  LONG_AGO,
  live,
  NOW,
  nodeFailed,
  over,
  planOf,
  policyOf,
  row,
  runOf,
  type Situation,
  secondRound,
  verdictAfter,
  vertex,
} from "../../support/run-builders.ts";

interface Around {
  readonly before?: readonly (string | object)[];
  readonly after?: readonly (string | object)[];
}

const stepOf = (step: string | object) => ({
  continueOnFailure: false,
  always: false,
  ...(typeof step === "string" ? { command: step } : step),
});

/** The steps of a run of a job. */
function around({ before = [], after = [] }: Around) {
  const job = { name: "nightly", before: before.map(stepOf), after: after.map(stepOf), lock: "target" as const };
  return stepsOf(runOf({ settings: { ...runOf().settings, job } as never }));
}

const alone = (...command: string[]) => stepsOf(runOf({ input: { project: "shop", command } }));

const WELL: Partial<BuildEnd> = { exitCode: 0, cause: { kind: "none", sentence: "It ended well.", lines: [] } };
const BADLY: Partial<BuildEnd> = {
  exitCode: 1,
  cause: { kind: "unexplained_exit", sentence: "It ended with exit code 1: no such macro.", lines: ["no such macro"] },
};
const KILLED: Partial<BuildEnd> = {
  exitCode: null,
  signal: "SIGKILL",
  cause: { kind: "killed", sentence: "dbt was ended by SIGKILL.", lines: [] },
};

const command = (task: number, step: string, end: Partial<BuildEnd>, changes: Partial<TaskRow> = {}): TaskRow =>
  over(task, end, { kind: "command", step, startedAtMs: LONG_AGO, ...changes });
const build = (task: number, end: Partial<BuildEnd> = {}): TaskRow =>
  over(task, end, { kind: "producer", startedAtMs: LONG_AGO });

const PLAN = planOf([vertex("orders")]);
const GOOD: Situation = { plan: PLAN, rows: [row("orders", "success", { task: 2 })] };

/** What is launched, whether the run is over, and its verdict if it is. */
function seen(situation: Situation) {
  const decision = decide(situation);
  const launched = decision.launches.map(({ kind, step }) => step?.id ?? kind);
  if (!decision.settle) return launched.length === 0 ? "waits" : launched.join();
  return verdictAfter(situation, decision).state;
}

describe("H7: a run of one command", () => {
  const steps = alone("run-operation", "grant");

  it("H7: launches it, and is green by its exit status alone", () => {
    expect(seen({ steps, tasks: [] })).toBe("command");
    expect(seen({ steps, tasks: [live(1, { kind: "command", step: "command" })] })).toBe("waits");
    expect(seen({ steps, tasks: [command(1, "command", WELL)] })).toBe("green");
  });

  it("H7: is red by a command that failed, with dbt's own cause", () => {
    const situation = { steps, tasks: [command(1, "command", BADLY)] };
    expect(seen(situation)).toBe("red");
    const { sentence, causes } = verdictAfter(situation, decide(situation));
    expect(sentence).toBe("It ended with exit code 1: no such macro.");
    expect(causes).toMatchObject([{ lines: ["no such macro"] }]);
  });

  it("H7: one that writes and was cut off is not repeated by itself, one that reads is, within its bound", () => {
    const cutOff = (task: number) => command(task, "command", KILLED);
    expect(seen({ steps, tasks: [cutOff(1)] })).toBe("red");
    const reads = alone("docs", "generate");
    expect(seen({ steps: reads, tasks: [cutOff(1)] })).toBe("command");
    expect(seen({ steps: reads, tasks: [cutOff(1)], policy: { retryDelaySeconds: 3600 } })).toBe("waits");
    expect(seen({ steps: reads, tasks: [cutOff(1), cutOff(2), cutOff(3)] })).toBe("red");
  });

  it("H7: one whose container never came to dbt is launched again, whatever it does", () => {
    const gone = command(1, "command", {}, { end: undefined, startedAtMs: undefined, stop: stopAt(LONG_AGO) });
    expect(seen({ steps, tasks: [gone] })).toBe("command");
  });

  it("H7: a stop ends it, and what was not run is no green", () => {
    expect(seen({ steps, tasks: [], stopReason: "stopped by a person" })).toBe("stopped");
    const begun = { steps, tasks: [live(1, { kind: "command", step: "command" })], stopReason: "stopped" };
    expect(decide(begun)).toMatchObject({ stopTasks: true, settle: false });
    expect(seen({ steps, tasks: [command(1, "command", WELL)], stopReason: "stopped" })).toBe("green");
  });

  it("H7: a further round runs a failed one again", () => {
    expect(seen({ steps, tasks: [command(1, "command", BADLY)], round: secondRound() })).toBe("command");
  });
});

const stopAt = (stoppedAtMs: number) => ({
  stoppedAtMs,
  stopCode: "TaskFailedToStart",
  stoppedReason: "no room",
  exitCode: null,
  outOfMemory: false,
  neverStarted: false,
});

it("A22 H7: values of --vars and --args stay out of reasons and verdicts, which logs, events and messages repeat", () => {
  const secret = ["run-operation", "grant", "--args", "{key: hush}", "--vars={key: hush}", "--threads", "2"];
  const [launch] = decide({ steps: alone(...secret), tasks: [] }).launches;
  expect(launch!.reason).toBe("dbt run-operation grant --args … --vars=… --threads 2");
  expect(launch!.step!.words).toEqual(secret);
});

describe("H13: steps before and after a build", () => {
  const steps = around({ before: ["seed", "run-operation open"], after: ["docs generate"] });

  it("H13: steps before run one after another, and the build begins when they are over", () => {
    expect(seen({ steps, tasks: [] })).toBe("before-1");
    expect(seen({ steps, tasks: [live(1, { kind: "command", step: "before-1" })] })).toBe("waits");
    const first = command(1, "before-1", WELL);
    expect(seen({ steps, tasks: [first] })).toBe("before-2");
    expect(seen({ steps, tasks: [first, command(2, "before-2", WELL)] })).toBe("producer");
  });

  it("H13: a step before that fails ends the run red with its cause, and nothing is built", () => {
    const situation = { steps, tasks: [command(1, "before-1", BADLY)] };
    expect(seen(situation)).toBe("red");
    expect(verdictAfter(situation, decide(situation)).sentence).toBe(
      "dbt seed, a step before the build, failed: It ended with exit code 1: no such macro.",
    );
  });

  it("H13: continueOnFailure goes on to the build, which can be green, with a warning", () => {
    const lenient = around({ before: [{ command: "seed", continueOnFailure: true }] });
    const tasks = [command(1, "before-1", BADLY)];
    expect(seen({ steps: lenient, tasks })).toBe("producer");
    expect(seen({ ...GOOD, steps: lenient, tasks: [...tasks, build(2)] })).toBe("green");
    expect(passedOverSteps(lenient, { tasks, policy: policyOf() })).toMatchObject([/dbt seed.*passed over/]);
  });

  it("H13: steps after run when nothing is left to be built and the run would be green", () => {
    const before = [command(1, "before-1", WELL), command(9, "before-2", WELL)];
    const tasks = [before[0]!, build(2)];
    expect(seen({ ...GOOD, steps, tasks })).toBe("after-1");
    const docs = command(3, "after-1", WELL);
    expect(seen({ ...GOOD, steps, tasks: [...tasks, docs] })).toBe("green");
    const situation = { ...GOOD, steps, tasks: [...tasks, command(3, "after-1", BADLY)] };
    expect(seen(situation)).toBe("red");
    expect(verdictAfter(situation, decide(situation)).sentence).toContain("dbt docs generate, a step after the build");
  });

  it("H13: no step follows a red build, except those that always do", () => {
    const always = around({ after: ["docs generate", { command: "run-operation tell", always: true }] });
    const red: Situation = {
      plan: PLAN,
      rows: [row("orders", "error", { task: 1 })],
      tasks: [build(1, nodeFailed())],
      policy: { retries: { node: 0 } },
    };
    expect(seen({ ...red, steps: around({ after: ["docs generate"] }) })).toBe("red");
    expect(seen({ ...red, steps: always })).toBe("after-2");
    expect(seen({ ...red, steps: always, tasks: [...red.tasks!, command(2, "after-2", WELL)] })).toBe("red");
    // Also where a step before has failed.
    const early = around({ before: ["seed"], after: [{ command: "run-operation tell", always: true }] });
    expect(seen({ steps: early, tasks: [command(1, "before-1", BADLY)] })).toBe("after-1");
  });

  it("H13: a retry runs the failed step alone: what was good is not run again", () => {
    const tasks = [command(1, "before-1", WELL), build(2), command(3, "after-1", BADLY)];
    expect(seen({ ...GOOD, steps, tasks, round: secondRound() })).toBe("after-1");
    const failedBefore = [command(1, "before-1", WELL), command(2, "before-2", BADLY)];
    expect(seen({ steps, tasks: failedBefore, round: secondRound() })).toBe("before-2");
  });

  it("H13 G8: a run that goes on with one that came to no plan does not run again what was good before its build", () => {
    const past = runOf({ state: "red", lastTask: 3 });
    const failed = [command(1, "before-1", WELL), command(2, "before-2", BADLY)];
    const wishes = { run: "run-1", image: "same", downstream: false, force: false, fullRefresh: false } as const;
    const { run, tasks } = adopt({ run: past, tasks: failed, rows: [] }, wishes, NOW);
    expect(run.lastTask).toBe(1);
    const round = roundOf({ round: 1 }, null);
    expect(seen({ steps, tasks: [...tasks], round })).toBe("before-2");
    const ended = command(2, "before-2", WELL);
    expect(seen({ steps, tasks: [...tasks, ended], round })).toBe("producer");
    // The producer of the run before is none of this one's.
    const killed = adopt(
      { run: past, tasks: [failed[0]!, command(2, "before-2", WELL), build(3)], rows: [] },
      wishes,
      NOW,
    );
    expect(seen({ steps, tasks: [...killed.tasks], round })).toBe("producer");
  });

  it("H13: a step after is run again where more was built since", () => {
    const tasks = [build(2), command(3, "after-1", WELL), over(4, {}, { kind: "recovery", round: 2 })];
    expect(seen({ ...GOOD, steps, tasks, round: secondRound() })).toBe("after-1");
  });

  it("H13: a stop between build and step after is a stopped run, not a green one", () => {
    expect(seen({ ...GOOD, steps, tasks: [build(2)], stopReason: "stopped", nowMs: NOW })).toBe("stopped");
  });

  it("H13 G8: a stop ends a step after the build that runs, and waits for its end: no run is settled over it", () => {
    const begun = { ...GOOD, steps, tasks: [build(2), live(3, { kind: "command", step: "after-1" })] };
    expect(decide({ ...begun, stopReason: "stopped" })).toMatchObject({ stopTasks: true, settle: false });
    const ended = { ...begun, tasks: [build(2), command(3, "after-1", KILLED)], stopReason: "stopped" };
    expect(seen(ended)).toBe("stopped");
  });
});

it("C10 H13: a selection that finds nothing is green by what the run selects, not by what its own word has put out", () => {
  const settings = { ...runOf().settings, build: { select: ["state:modified+"] } };
  const of = (input: object) => selectsByState({ settings, input: { project: "shop", ...input } });
  expect([of({}), of({ exclude: ["tag:slow"] })]).toEqual([true, true]);
  expect([of({ select: ["ordres"] }), of({ selector: "nightly" })]).toEqual([false, false]);
  expect(of({ select: ["source_status:fresher+"] })).toBe(true);
});

describe("H13: the steps that a further round runs", () => {
  const steps = around({ before: ["seed", "parse"], after: ["docs generate", "ls"] })!;
  const ids = (tasks: readonly TaskRow[], buildsMore: boolean) =>
    stepsOfNextRound(steps, tasks, buildsMore).map(({ id }) => id);
  const begun = [command(1, "before-1", WELL), command(2, "before-2", WELL), build(3, nodeFailed())];

  it("from the one before the build that failed on", () => {
    expect(ids([command(1, "before-1", WELL), command(2, "before-2", BADLY)], true)).toEqual([
      "before-2",
      "after-1",
      "after-2",
    ]);
  });

  it("after a build that goes on, all that follow it, since they are of what was there then", () => {
    expect(ids([...begun, command(4, "after-1", WELL)], true)).toEqual(["after-1", "after-2"]);
  });

  it("after a good build, those alone that were not good", () => {
    expect(ids([...begun, command(4, "after-1", WELL), command(5, "after-2", BADLY)], false)).toEqual(["after-2"]);
  });
});
