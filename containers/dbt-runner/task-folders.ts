import { copyFile, mkdir, rename, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { DbtFolders } from "#core/dbt/argv.ts";

/** dbt's own name of its partial parse, in its target folder. */
export const PARTIAL_PARSE = "partial_parse.msgpack";

/** Folders of one task, below the work folder: nothing is shared with another dbt process on the same project. */
export interface TaskFolders {
  readonly build: DbtFolders;
  /** Those of the `dbt ls` that makes the plan, which may run beside the build. */
  readonly plan: DbtFolders;
  /** Synthetic state for an exact selection. */
  readonly stateDir: string;
  /** States that the run's options name, fetched; not made beforehand. */
  readonly givenStateDir: string;
  /** What Python imports before dbt where a build is to choose its batches as of another moment; not made beforehand. */
  readonly clockDir: string;
  /** The same where a process is to run some of the project's hooks alone. */
  readonly hooksDir: string;
}

export interface FolderPlace {
  readonly workDir: string;
  readonly projectDir: string;
  readonly profilesDir: string;
  readonly runId: string;
  readonly task: number;
}

/**
 * Makes the task's folders, empty: what a container of the same task left behind must not be taken for ours. dbt's
 * partial parse is copied from the project's `target`, since a cold parse costs seconds of CPU.
 */
export async function makeTaskFolders(place: FolderPlace): Promise<TaskFolders> {
  const root = resolve(place.workDir, place.runId, String(place.task));
  await rm(root, { recursive: true, force: true });
  const folders = {
    build: dbtFolders(place, join(root, "target"), join(root, "logs")),
    plan: dbtFolders(place, join(root, "plan-target"), join(root, "plan-logs")),
    stateDir: join(root, "state"),
    givenStateDir: join(root, "given-state"),
    clockDir: join(root, "clock"),
    hooksDir: join(root, "hooks"),
  };
  for (const dir of [
    folders.build.targetDir,
    folders.build.logDir,
    folders.plan.targetDir,
    folders.plan.logDir,
    folders.stateDir,
  ]) {
    await mkdir(dir, { recursive: true });
  }
  await copyIfThere(projectParse(place.projectDir), join(folders.build.targetDir, PARTIAL_PARSE));
  await copyIfThere(projectParse(place.projectDir), join(folders.plan.targetDir, PARTIAL_PARSE));
  return folders;
}

function dbtFolders(place: FolderPlace, targetDir: string, logDir: string): DbtFolders {
  return { projectDir: resolve(place.projectDir), profilesDir: resolve(place.profilesDir), targetDir, logDir };
}

/**
 * Leaves the partial parse to the next run of this project folder, by rename, so that a dbt that starts meanwhile reads
 * the old or the new one whole. An image's folder is read-only or thrown away: then there is nothing to save.
 */
export async function savePartialParse(path: string, projectDir: string): Promise<void> {
  const saved = projectParse(projectDir);
  const beside = `${saved}.${process.pid}`;
  try {
    await mkdir(resolve(saved, ".."), { recursive: true });
    await copyFile(path, beside);
    await rename(beside, saved);
  } catch {
    // Saves the next run some seconds, never worth a failure of this one.
    await rm(beside, { force: true }).catch(() => undefined);
  }
}

const projectParse = (projectDir: string) => join(resolve(projectDir), "target", PARTIAL_PARSE);

async function copyIfThere(from: string, to: string): Promise<void> {
  try {
    await copyFile(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}
