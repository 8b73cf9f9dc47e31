import { z } from "zod";

/** Why dbt ended as it did, by what it printed and how its process ended; core/dbt/cause.ts tells them apart. */
export const dbtCauseKinds = [
  "none",
  "node",
  "test",
  "hook",
  "parse",
  "connection",
  "profile",
  "flags",
  "empty_selection",
  "environment",
  "disk_full",
  "killed",
  "out_of_memory",
  "terminated",
  "unexplained_exit",
  "unsupported_dbt",
] as const;
export type DbtCauseKind = (typeof dbtCauseKinds)[number];

/** What stepwatch did to a build itself: it could not launch it, a person stopped the run, its time was up. */
const ourCauseKinds = ["launch", "stopped", "timeout"] as const;

/** Why a build ended as it did, in one of few words; `sentence` and `nextStep` say it to a person. */
export const causeSchema = z.object({
  kind: z.enum([...dbtCauseKinds, ...ourCauseKinds]),
  sentence: z.string(),
  nextStep: z.string().optional(),
  /** The log's last lines that matter, at most 20. */
  lines: z.array(z.string()).default([]),
});
export type Cause = z.infer<typeof causeSchema>;
export type CauseKind = Cause["kind"];

/** A signal ended the build, from whomever it came: it says nothing of the dbt project. */
export const SIGNAL_CAUSES: ReadonlySet<CauseKind> = new Set(["killed", "out_of_memory", "terminated"]);

/** Causes that lie outside the dbt project: another launch of a build that did nothing may cure them. */
export const OUTSIDE_CAUSES: ReadonlySet<CauseKind> = new Set([...SIGNAL_CAUSES, "connection"]);

/** Causes that stand in the project or its settings: the next task would end the same way before any vertex began. */
export const PROJECT_CAUSES: ReadonlySet<CauseKind> = new Set([
  "parse",
  "profile",
  "flags",
  "unsupported_dbt",
  "disk_full",
]);

/** Causes that no vertex's recovery can mend: each build of the run would meet them again. */
export const WHOLE_RUN_CAUSES: ReadonlySet<CauseKind> = new Set([...PROJECT_CAUSES, "environment", "connection"]);
