import type { Artefacts } from "#clients/artefacts.ts";
import type { Ledger } from "#clients/ledger.ts";
import { DOCS_FILES } from "#core/contracts/latest.ts";
import type { RunRow, TaskRow } from "#core/contracts/ledger.ts";
import { readDbtCommand } from "#core/dbt/commands.ts";
import { artefactKeys } from "#core/names.ts";
import { stepsOf } from "#core/run/judging/run-steps.ts";
import { isOwnTarget } from "#core/run/reporting/latest.ts";

export interface PublishDocsDeps {
  readonly ledger: Pick<Ledger, "claimLatest">;
  readonly artefacts: Pick<Artefacts, "copy">;
}

/**
 * Puts the site that `docs generate` made in a run where it is looked for (behaviour H7), unless a newer run's lies there.
 * The containers brought its files before they recorded their ends. Twice it copies the same.
 */
export async function publishDocs(
  run: RunRow,
  tasks: readonly TaskRow[],
  { ledger, artefacts }: PublishDocsDeps,
): Promise<void> {
  const steps = stepsOf(run);
  if (steps === null || !isOwnTarget(run)) return;
  const makes = [...steps.before, ...steps.after].filter(({ words }) => readDbtCommand(words).name === "docs generate");
  const made = tasks.findLast(
    ({ step, end, round }) => round > 0 && end?.exitCode === 0 && makes.some(({ id }) => id === step),
  );
  if (made === undefined) return;
  const { project, runId, startedAtMs } = run;
  if (!(await ledger.claimLatest({ project, kind: "docs", runId, startedAtMs }))) return;
  for (const name of DOCS_FILES)
    await artefacts.copy(
      artefactKeys.task(project, runId, made.task, name),
      artefactKeys.latest("latest", project, `docs/${name}`),
    );
}
