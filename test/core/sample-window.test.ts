import { expect, it } from "vitest";
import { sampleWindow } from "#core/run/planning/sample-window.ts";

const iso = (ms: number) => new Date(ms).toISOString().slice(0, 19);

it.each([
  ["3 days", "2026-03-31T00:05:07Z", "2026-03-28T00:05:07"],
  ["1 DAY", "2026-03-01T12:00:00Z", "2026-02-28T12:00:00"],
  ["30 hours", "2026-03-31T00:05:00Z", "2026-03-29T18:05:00"],
  ["1 month", "2026-03-31T10:00:00Z", "2026-02-28T10:00:00"],
  ["13 months", "2026-03-31T10:00:00Z", "2025-02-28T10:00:00"],
  ["1 year", "2024-02-29T10:00:00Z", "2023-02-28T10:00:00"],
  ["4 years", "2024-02-29T10:00:00Z", "2020-02-29T10:00:00"],
  ["-1 month", "2026-01-31T10:00:00Z", "2026-02-28T10:00:00"],
  ["+1_0 days", "2026-01-31T10:00:00Z", "2026-01-21T10:00:00"],
  ["0 days", "2026-01-31T10:00:00Z", "2026-01-31T10:00:00"],
])("G2: the sample %s at %s begins at %s, as dbt counts", (sample, at, start) => {
  const window = sampleWindow(sample, Date.parse(at))!;
  expect([iso(window.startMs), window.endMs]).toEqual([start, Date.parse(at)]);
});

it.each([
  "3",
  "3 weeks",
  "three days",
  "3  days",
  " 3 days",
  '{"start": "2026-01-01", "end": "2026-01-02"}',
  "9999999 years",
])("G2: the sample %s is dbt's to read, or to refuse", (sample) => {
  expect(sampleWindow(sample, Date.parse("2026-01-31T10:00:00Z"))).toBeNull();
});
