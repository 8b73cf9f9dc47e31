import { describe, expect, it, test } from "vitest";
import { optionsInEnvironment } from "#core/dbt/environment-options.ts";

describe("G17: a full refresh of the environment is one of the run", () => {
  it.each(["1", "true", " True ", "T", "yes", "Y", "on"])("G17: DBT_FULL_REFRESH=%s", (value) => {
    expect(optionsInEnvironment({ DBT_FULL_REFRESH: value }, "1.8.9")).toEqual({ fullRefresh: true });
    expect(optionsInEnvironment({ DBT_ENGINE_FULL_REFRESH: value }, "1.11.16")).toEqual({ fullRefresh: true });
  });

  it.each(["", "0", "false", "no", "off", "n", "perhaps"])("G17: DBT_FULL_REFRESH=%s is none", (value) => {
    expect(optionsInEnvironment({ DBT_FULL_REFRESH: value }, "1.11.16")).toEqual({});
  });

  test("G17: the second name of dbt 1.11 goes before the first, an empty one does not, and others do not read it", () => {
    const both = { DBT_ENGINE_FULL_REFRESH: "0", DBT_FULL_REFRESH: "1" };
    expect(optionsInEnvironment(both, "1.12.6")).toEqual({});
    expect(optionsInEnvironment({ ...both, DBT_ENGINE_FULL_REFRESH: "" }, "1.12.6")).toEqual({ fullRefresh: true });
    for (const version of ["1.10.4", "2.0.1"])
      expect(optionsInEnvironment({ DBT_ENGINE_FULL_REFRESH: "1" }, version)).toEqual({});
    expect(optionsInEnvironment({ DBT_ENGINE_FULL_REFRESH: "1" }, null)).toEqual({ fullRefresh: true });
  });
});

test("G17: a window of the environment is known", () => {
  const window = { DBT_EVENT_TIME_START: "2024-03-01", DBT_ENGINE_EVENT_TIME_END: "2024-03-02" };
  expect(optionsInEnvironment(window, "1.11.16")).toEqual({ eventTimeStart: "2024-03-01", eventTimeEnd: "2024-03-02" });
});

test("G2: a sample of the environment is known, where dbt takes it as an argument too", () => {
  expect(optionsInEnvironment({ DBT_SAMPLE: "3 days" }, "1.10.0")).toEqual({ sample: "3 days" });
  for (const version of ["1.9.9", "2.0.1", null])
    expect(optionsInEnvironment({ DBT_SAMPLE: "3 days" }, version)).toEqual({});
});
