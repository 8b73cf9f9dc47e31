import { describe, expect, it, test } from "vitest";
import { deployedJobSchema } from "../../core/contracts/job-steps.ts";
import { parseRunInput, scheduledTimeOf, workOf } from "../../core/contracts/run-input.ts";
import { settingsOfJob } from "../../core/contracts/run-job.ts";
import type { ProjectSettings } from "../../core/contracts/settings.ts";
import { buildArgv, lsArgv, recoveryOptions, testArgv } from "../../core/dbt/argv.ts";
import { dateEnvironment, optionsOfRun } from "../../core/run/planning/run-dates.ts";
import { dateTimeIn, lastWhole, later, momentAt, momentOf, startOf } from "../../core/schedule/local-time.ts";
import { exampleSettings } from "../support/projects.ts";

const at = (text: string) => Date.parse(text);
const iso = (ms: number) => new Date(ms).toISOString().slice(0, 16);

describe("H11: moments by the calendar of a zone", () => {
  it.each([
    ["2026-01-31", "UTC", "2026-01-31T00:00"],
    ["2026-01-31", "Europe/Berlin", "2026-01-30T23:00"],
    ["2026-07-31T03:00", "America/New_York", "2026-07-31T07:00"],
    ["2026-01-31T03:00:00Z", "Europe/Berlin", "2026-01-31T03:00"],
    ["2026-01-31T03:00:00.123+05:30", "Europe/Berlin", "2026-01-30T21:30"],
    // Clocks go from 2 to 3: half past two never is.
    ["2026-03-29T02:30", "Europe/Berlin", "2026-03-29T01:00"],
    // Clocks go from 3 to 2: half past two is twice.
    ["2026-10-25T02:30", "Europe/Berlin", "2026-10-25T00:30"],
    // A day without a midnight.
    ["2026-04-24", "Africa/Cairo", "2026-04-23T22:00"],
    // A day that never was.
    ["2011-12-30", "Pacific/Apia", "2011-12-30T10:00"],
  ])("H11: %s in %s is %s", (text, zone, expected) => {
    expect(iso(momentOf(text, zone)!)).toBe(expected);
  });

  it.each(["2026-02-30", "2026-13-01", "yesterday", "2026-01-31T25:00", "31.01.2026", ""])(
    "H11: %s is none",
    (text) => {
      expect(momentOf(text, "UTC")).toBeNull();
    },
  );

  test("H11: a day is as long as the zone makes it, and every moment lies in the day that begins before it", () => {
    const berlin = "Europe/Berlin";
    const hours = (day: string) => {
      const start = momentOf(day, berlin)!;
      return (later("day", start, 1, berlin) - start) / 3_600_000;
    };
    expect(["2026-03-28", "2026-03-29", "2026-10-25"].map(hours)).toEqual([24, 23, 25]);
    for (const zone of [berlin, "America/Sao_Paulo", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"])
      for (let ms = at("2026-03-01T00:17:00Z"); ms < at("2026-05-01"); ms += 5 * 3_600_000 + 13_000)
        for (const period of ["hour", "day", "week", "month"] as const) {
          const start = startOf(period, ms, zone);
          expect(start).toBeLessThanOrEqual(ms);
          expect(later(period, start, 1, zone)).toBeGreaterThan(ms);
          expect(startOf(period, start, zone)).toBe(start);
        }
  });

  it.each([
    ["day", "2026-01-31T03:00:00Z", "UTC", "2026-01-30T00:00", "2026-01-31T00:00"],
    ["day", "2026-01-31T00:00:00Z", "UTC", "2026-01-30T00:00", "2026-01-31T00:00"],
    ["day", "2026-03-30T03:00:00Z", "Europe/Berlin", "2026-03-28T23:00", "2026-03-29T22:00"],
    ["hour", "2026-01-31T03:59:00Z", "UTC", "2026-01-31T02:00", "2026-01-31T03:00"],
    ["hour", "2026-01-31T03:40:00Z", "Asia/Kolkata", "2026-01-31T02:30", "2026-01-31T03:30"],
    ["week", "2026-01-31T03:00:00Z", "UTC", "2026-01-19T00:00", "2026-01-26T00:00"],
    ["month", "2026-03-01T00:00:00Z", "UTC", "2026-02-01T00:00", "2026-03-01T00:00"],
  ] as const)("H11: the last whole %s before %s in %s", (period, moment, zone, start, end) => {
    const window = lastWhole(period, at(moment), zone);
    expect([iso(window.startMs), iso(window.endMs)]).toEqual([start, end]);
  });

  test("a time that is written by a zone's clock can be read again", () => {
    for (const zone of ["UTC", "Europe/Berlin", "America/St_Johns"])
      for (const moment of [at("2026-01-31T03:00:00Z"), at("2026-07-01T23:30:00Z")])
        expect(Date.parse(dateTimeIn(moment, zone))).toBe(moment);
    const local = { year: 2026, month: 1, day: 31, hour: 3, minute: 0, second: 0 };
    expect(dateTimeIn(momentAt(local, "Europe/Berlin"), "Europe/Berlin")).toBe("2026-01-31T03:00:00+01:00");
  });
});

describe("H11: the scheduled time of a run reaches dbt", () => {
  const run = (dates: ProjectSettings["dates"], input: Record<string, unknown> = {}, build = {}) => ({
    settings: { ...exampleSettings(), build, ...(dates && { dates }) },
    input: { project: "shop", ...input },
    startedAtMs: at("2026-02-01T00:10:00Z"),
    scheduledAtMs: at("2026-01-31T23:50:00Z"),
  });

  test("H11: as environment, always: a run that waited past midnight works on the day of its schedule", () => {
    expect(dateEnvironment(run(undefined))).toEqual({
      STEPWATCH_SCHEDULED_TIME: "2026-01-31T23:50:00Z",
      STEPWATCH_SCHEDULED_DATE: "2026-01-31",
    });
    const berlin = dateEnvironment(run({ format: "date", zone: "Europe/Berlin" }));
    expect(berlin).toMatchObject({ STEPWATCH_SCHEDULED_DATE: "2026-02-01" });
    const { scheduledAtMs: _, ...older } = run(undefined);
    expect(dateEnvironment(older)).toMatchObject({ STEPWATCH_SCHEDULED_TIME: "2026-02-01T00:10:00Z" });
  });

  test("H11: as a variable beside the others; what a run gives itself goes before it", () => {
    const dates = { variable: "run_date", format: "date" as const };
    expect(optionsOfRun(run(dates, {}, { vars: { a: 1 } })).vars).toEqual({ run_date: "2026-01-31", a: 1 });
    expect(optionsOfRun(run(dates, { vars: { run_date: "2020-01-01" } })).vars).toEqual({ run_date: "2020-01-01" });
    expect(optionsOfRun(run({ ...dates, format: "datetime", zone: "Europe/Berlin" })).vars).toEqual({
      run_date: "2026-02-01T00:50:00+01:00",
    });
    expect(optionsOfRun(run(undefined))).not.toHaveProperty("vars");
  });

  test("H11: as event-time window: the last whole period, unless the run has a window of its own", () => {
    const dates = { format: "date" as const, eventTime: "day" as const };
    const window = { eventTimeStart: "2026-01-30T00:00:00", eventTimeEnd: "2026-01-31T00:00:00" };
    expect(optionsOfRun(run(dates))).toMatchObject(window);
    expect(optionsOfRun(run(dates, { sample: "3 days" }))).not.toHaveProperty("eventTimeStart");
    const own = { eventTimeStart: "2025-01-01", eventTimeEnd: "2025-01-02" };
    expect(optionsOfRun(run(dates, own))).toMatchObject(own);
  });

  test("G17 H11: a full refresh has no window of the dates, whoever asks for it: dbt would leave its rows alone", () => {
    const dates = { format: "date" as const, eventTime: "day" as const };
    const wholly = [
      optionsOfRun(run(dates, { fullRefresh: true })),
      optionsOfRun(run(dates, {}, { fullRefresh: true })),
      optionsOfRun(run(dates), { fullRefresh: true }),
    ];
    for (const options of wholly) {
      expect(options.fullRefresh).toBe(true);
      expect(options).not.toHaveProperty("eventTimeStart");
      expect(options).not.toHaveProperty("eventTimeEnd");
    }
    expect(optionsOfRun(run(dates, { fullRefresh: false }))).toHaveProperty("eventTimeStart");
    expect(optionsOfRun(run(dates), { fullRefresh: false })).not.toHaveProperty("fullRefresh");
  });

  test("G2 H11: a sample that dbt would count from its own clock is that of the scheduled time, in every build of the run", () => {
    const options = optionsOfRun(run(undefined, { sample: "3 days" }));
    const sample = '{"start":"2026-01-28T23:50:00","end":"2026-01-31T23:50:00"}';
    expect(options.sample).toBe(sample);
    const folders = { projectDir: "p", profilesDir: "p", targetDir: "t", logDir: "l" };
    for (const argv of [buildArgv(folders, options), buildArgv(folders, recoveryOptions(options), ["--select", "a"])])
      expect(argv.join(" ")).toContain(`--sample ${sample}`);
    expect(optionsOfRun(run(undefined), { sample: "3 days" }).sample).toBe(sample);
    const own = '{"start": "2025-01-01", "end": "2025-01-02"}';
    expect(optionsOfRun(run(undefined, { sample: own }), { sample: "3 days" }).sample).toBe(own);
  });

  test("H11: producer, list, fallback and tests of a run are given the same", () => {
    const options = optionsOfRun(run({ variable: "run_date", format: "date", eventTime: "day" }));
    const folders = { projectDir: "p", profilesDir: "p", targetDir: "t", logDir: "l" };
    const recovering = recoveryOptions(options);
    for (const argv of [
      buildArgv(folders, options),
      lsArgv(folders, options),
      buildArgv(folders, recovering, ["--select", "orders"]),
      testArgv(folders, recovering, ["--select", "a_test"]),
    ])
      expect(argv.join(" ")).toContain('--vars {"run_date":"2026-01-31"}');
    expect(buildArgv(folders, recovering, []).join(" ")).toContain("--event-time-start 2026-01-30T00:00:00");
  });

  test("H13: a job's dates go before the project's", () => {
    const jobs = {
      nightly: deployedJobSchema.parse({ dates: { variable: "day", zone: "Europe/Berlin" } }),
      plain: deployedJobSchema.parse({}),
    };
    const deployed = { ...exampleSettings(), dates: { variable: "run_date", format: "date" as const }, jobs };
    expect(settingsOfJob(deployed, "nightly").dates).toMatchObject({ variable: "day", zone: "Europe/Berlin" });
    expect(settingsOfJob(deployed, "plain").dates).toMatchObject({ variable: "run_date" });
  });
});

describe("H11: the scheduled time in a run's input", () => {
  const read = (scheduledTime: string) => scheduledTimeOf(parseRunInput({ project: "shop", scheduledTime }), "UTC");

  test("H11: words that nobody filled in never reach dbt as text", () => {
    expect(read("<aws.scheduler.scheduled-time>")).toBeNull();
    expect(read("2026-01-31T03:00:00Z")).toBe(at("2026-01-31T03:00:00Z"));
    expect(() => read("soon")).toThrow('scheduledTime = "soon": no date and time');
  });

  test("G10: two scheduled runs build the same unless dbt is told their time", () => {
    const work = (scheduledTime: string, dates?: ProjectSettings["dates"]) =>
      workOf(parseRunInput({ project: "shop", scheduledTime }), dates);
    expect(work("2026-01-31")).toBe(work("2026-02-01"));
    const dated = { variable: "run_date", format: "date" as const };
    expect(work("2026-01-31", dated)).not.toBe(work("2026-02-01", dated));
    expect(work("2026-01-31", { format: "date", zone: "Europe/Berlin" })).toBe(work("2026-02-01"));
  });
});
