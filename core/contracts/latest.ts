import { z } from "zod";

/** What other tools read of a project: its newest whole run, and the newest of them that is green and left nothing out. */
export const latestKinds = ["latest", "latest-green"] as const;
export type LatestKind = (typeof latestKinds)[number];

/** The site of `docs generate` under `latest/<project>/docs/`; the page that holds all in one is there where it was asked for. */
export const DOCS_FILES = ["manifest.json", "catalog.json", "static_index.html", "index.html"] as const;

/** Files of a run that lie under `latest/<project>/` and `latest-green/<project>/` too, where the run has them. */
export const LATEST_FILES = ["manifest.json", "run_results.json", "sources.json"] as const;

/**
 * `run.json` beside them, written last: which run they are of. Written by settle-run; read by the supervisor, which
 * takes the files of a state from the run's own folder, so that they are of one run.
 */
export const latestRunSchema = z.object({
  contract: z.literal(1),
  project: z.string(),
  runId: z.string(),
  state: z.enum(["green", "red", "stopped"]),
  startedAt: z.string(),
  finishedAt: z.string().nullable(),
  invocationId: z.string().nullable(),
  commit: z.string().nullable(),
  files: z.array(z.enum(LATEST_FILES)),
});
export type LatestRun = z.infer<typeof latestRunSchema>;
