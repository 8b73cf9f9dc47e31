import { describe, expect, it, test } from "vitest";
import { parseConfig } from "../../core/config.ts";
import { deployedJobSchema, jobStepSchema } from "../../core/contracts/job-steps.ts";
import { effectiveOptions } from "../../core/contracts/run-input.ts";
import { longestRunMinutes, settingsOfJob } from "../../core/contracts/run-job.ts";
import { CommandUnreadable, commandWords } from "../../core/dbt/command-words.ts";
import { optionsOver } from "../../core/dbt/options-over.ts";
import { InputError } from "../../core/errors.ts";
import { exampleSettings } from "../support/projects.ts";

const configOf = (jobs: unknown, project: Record<string, unknown> = {}) =>
  parseConfig({ projects: { shop: { projectDir: "dbt", ...project, jobs } } }, "/repo", (_folder, path) => path)
    .projects.shop!;

function problemsOf(jobs: unknown, project: Record<string, unknown> = {}): readonly string[] {
  try {
    configOf(jobs, project);
  } catch (error) {
    if (error instanceof InputError) return error.problems;
    throw error;
  }
  return [];
}

describe("H13: a job of stepwatch.yaml", () => {
  test("H13: a name with nothing in it is a job: everything is the project's", () => {
    expect(configOf({ nightly: {} }).jobs).toEqual({
      nightly: { before: [], after: [], build: {}, policy: {}, lock: "target" },
    });
    expect(configOf(undefined).jobs).toEqual({});
  });

  test("H13: steps are texts as on dbt's command line, or say what follows from their failure", () => {
    const { nightly } = configOf({
      nightly: { before: ["seed --select countries"], after: [{ command: "docs generate", continueOnFailure: true }] },
    }).jobs;
    expect(nightly!.before).toEqual([{ command: "seed --select countries", continueOnFailure: false, always: false }]);
    expect(nightly!.after).toEqual([{ command: "docs generate", continueOnFailure: true, always: false }]);
    // What is deployed is read once more.
    expect(deployedJobSchema.parse(nightly).before).toEqual(nightly!.before);
    expect(jobStepSchema.parse(nightly!.after[0])).toEqual(nightly!.after[0]);
  });

  it.each([
    [{ nightly: { schedule: "0 3 * * *" } }, "projects.shop.jobs.nightly.schedule"],
    [
      { nightly: { scheduleTimeZone: "Europe/Berlin" } },
      'scheduleTimeZone = "Europe/Berlin": has no meaning without schedule.',
    ],
    [{ nightly: { lockKey: "pr" } }, "has no meaning without lock: schema."],
    [{ pr: { lock: "schema", schedule: "rate(1 hour)" } }, "needs lockKey beside it"],
    [{ pr: { lock: "none", policy: { dependsOnPast: true } } }, "dependsOnPast has no meaning with lock: none"],
    [{ nightly: { policy: { heartbeatSeconds: 3 } } }, "how closely tasks are watched is no matter of one run"],
    [{ nightly: { policy: { retries: { node: 99 } } } }, "projects.shop.jobs.nightly.policy.retries.node = 99"],
    [{ nightly: { build: { extraArgs: ["--quiet"] } } }, "projects.shop.jobs.nightly.build.extraArgs"],
    [{ nightly: { build: { exclude: ["a"], selector: "s" } } }, "dbt would ignore exclude beside it"],
    [
      { nightly: { build: { fullRefresh: true, eventTimeStart: "2026-01-01" } } },
      'eventTimeStart = "2026-01-01": beside a full refresh dbt would leave microbatch tables with the rows of this window alone.',
    ],
    [{ nightly: { policy: { recovery: "early", backup: "end" } } }, "projects.shop.jobs.nightly.policy.backup"],
    [{ nightly: { before: ["dbt seed"] } }, "begins with dbt: write what follows it."],
    [{ nightly: { before: ["  "] } }, "names no command of dbt's"],
    [{ nightly: { after: ["run-operation grants --args '{a: b}"] } }, "has a quote (') that is not closed."],
    [{ "night ly": {} }, "is no job name"],
    [{ nightly: { slect: ["a"] } }, "there is no such setting"],
  ])("H13: %j is refused by its field", (jobs, words) => {
    expect(problemsOf(jobs).join("\n")).toContain(words);
  });

  test("H13: what only job and project together make impossible is the job's problem", () => {
    const jobs = { nightly: { build: { failFast: true } } };
    expect(problemsOf(jobs)).toEqual([]);
    expect(problemsOf(jobs, { policy: { recovery: "early" } }).join()).toContain("jobs.nightly.build.failFast");
    expect(problemsOf({ nightly: { build: { exclude: ["a"] } } }, { build: { selector: "s" } }).join()).toContain(
      "projects.shop.jobs.nightly.build",
    );
    const windowed = { build: { eventTimeStart: "2026-01-01", eventTimeEnd: "2026-01-02" } };
    expect(problemsOf({ weekly: { build: { fullRefresh: true } } }, windowed).join()).toContain(
      'jobs.weekly.build = {"fullRefresh":true}: eventTimeStart = "2026-01-01": beside a full refresh',
    );
    expect(problemsOf({ weekly: { build: { fullRefresh: true } } }, { dates: { eventTime: "day" } })).toEqual([]);
  });
});

describe("H13: options and policy of a run: project < job < run input", () => {
  const deployed = {
    ...exampleSettings("shop", { retries: { node: 5, test: 5 }, runTimeoutMinutes: 60 }),
    threads: 2,
    target: "prod",
    build: { select: ["orders+"], vars: { a: 1 }, failFast: true },
    jobs: {
      nightly: deployedJobSchema.parse({
        build: { selector: "nightly", threads: 8 },
        policy: { retries: { node: 1 }, runTimeoutMinutes: 600 },
        before: ["seed"],
      }),
      hourly: deployedJobSchema.parse({ build: { target: "dev" } }),
    },
  };

  test("H13: each field is that of the last who names it; a selector puts a selection out, and the other way round", () => {
    const nightly = settingsOfJob(deployed, "nightly");
    expect(nightly.job).toMatchObject({ name: "nightly", lock: "target", before: [{ command: "seed" }] });
    expect(nightly.policy).toMatchObject({ retries: { node: 1, test: 5 }, runTimeoutMinutes: 600 });
    const project = "shop";
    expect(effectiveOptions(nightly, { project })).toEqual({
      selector: "nightly",
      threads: 8,
      target: "prod",
      vars: { a: 1 },
      failFast: true,
    });
    expect(effectiveOptions(nightly, { project, select: ["customers"], threads: 1 })).toMatchObject({
      select: ["customers"],
      threads: 1,
    });
    expect(effectiveOptions(nightly, { project, select: ["customers"] })).not.toHaveProperty("selector");
    expect(effectiveOptions(settingsOfJob(deployed, "hourly"), { project }).target).toBe("dev");
    expect(effectiveOptions(settingsOfJob(deployed, undefined), { project })).toMatchObject({ select: ["orders+"] });
  });

  test("H13: an exclusion beside a selector, which dbt would ignore, is refused and not built without it", () => {
    const asked = () => effectiveOptions(settingsOfJob(deployed, "nightly"), { project: "shop", exclude: ["big"] });
    expect(asked).toThrow('selector = "nightly": dbt would ignore exclude beside it');
  });

  test("H13: an unknown job is one sentence that names those there are", () => {
    expect(() => settingsOfJob(deployed, "weekly")).toThrow('job = "weekly": project shop has nightly, hourly');
    expect(() => settingsOfJob(deployed, "constructor")).toThrow("project shop has nightly, hourly");
    expect(() => settingsOfJob(exampleSettings(), "weekly")).toThrow("project shop has no jobs");
  });

  test("H13: a run's row has its own job alone; the longest run of a stack may be a job's", () => {
    expect(settingsOfJob(deployed, "nightly")).not.toHaveProperty("jobs");
    expect(settingsOfJob(deployed, undefined)).not.toHaveProperty("job");
    expect(longestRunMinutes([deployed, exampleSettings()])).toBe(600);
    expect(longestRunMinutes([exampleSettings("a", { runTimeoutMinutes: 700 }), deployed])).toBe(700);
  });

  test("a selection over a selection replaces it field by field", () => {
    expect(optionsOver({ select: ["a"], exclude: ["b"] }, { select: ["c"] })).toEqual({
      select: ["c"],
      exclude: ["b"],
    });
    expect(optionsOver({ select: ["a"], exclude: ["b"] }, { selector: "s" })).toEqual({ selector: "s" });
  });
});

describe("H13: a step's words", () => {
  it.each([
    ["seed --select a b", ["seed", "--select", "a", "b"]],
    [`run-operation grants --args '{"to": "bi user"}'`, ["run-operation", "grants", "--args", '{"to": "bi user"}']],
    [`run-operation x --args "{to: \\"bi\\", p: 'a b'}"`, ["run-operation", "x", "--args", `{to: "bi", p: 'a b'}`]],
    [String.raw`show --inline a\ b`, ["show", "--inline", "a b"]],
    [String.raw`show 'a\n' "a\n"`, ["show", String.raw`a\n`, String.raw`a\n`]],
    [`ls --select $HOME *.sql; echo | cat ''`, ["ls", "--select", "$HOME", "*.sql;", "echo", "|", "cat", ""]],
    ["", []],
  ])("H13: %s is what a shell would hand to dbt, and no shell sees it", (line, words) => {
    expect(commandWords(line)).toEqual(words);
  });

  it.each([["seed 'a"], ['seed "a'], ["seed a\\"]])("H13: %s can not be read", (line) => {
    expect(() => commandWords(line)).toThrow(CommandUnreadable);
  });
});
