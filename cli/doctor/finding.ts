/**
 * `ok`; `none`: it is not there, and need not be for what was asked; `unknown`: nobody here may look; `warning`: it works,
 * and may not stay so; `problem`: a deploy or run would fail of it.
 */
export type FindingState = "ok" | "none" | "unknown" | "warning" | "problem";

/** What the doctor has seen of one thing. */
export interface Finding {
  readonly area: "machine" | "project" | "account";
  /** A word for scripts, with the project's name behind it where it is of one: `dbt:shop`. */
  readonly check: string;
  readonly state: FindingState;
  readonly sentence: string;
  /** What to do about it; null where there is nothing to do. */
  readonly remedy: string | null;
}

/** Findings of one area, by their check. */
export const findingsOf =
  (area: Finding["area"]) =>
  (check: string, state: FindingState, sentence: string, remedy: string | null = null): Finding => ({
    area,
    check,
    state,
    sentence,
    remedy,
  });
