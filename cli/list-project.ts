import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ProjectConfig } from "#core/config.ts";
import { type BuildOptions, lsArgv } from "#core/dbt/argv.ts";
import { agreesWithManifest, readListLine } from "#core/dbt/list-line.ts";
import { readManifest } from "#core/dbt/manifest.ts";
import { ensureVenv } from "#local/python.ts";
import type { ListedProject } from "./context.ts";
import { UsageError } from "./failure.ts";
import { dbtOf } from "./preflight.ts";

/** Of what dbt says of a failure, its end is what tells. Characters. */
const MOST_WORDS = 2_000;

/**
 * `dbt ls` with the project's own dbt on this machine, in folders of its own: nothing of the project is written, and
 * nothing is built.
 * @throws {UsageError} with dbt's own words
 */
export async function listProject(
  project: ProjectConfig,
  options: BuildOptions,
  environment: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Promise<ListedProject> {
  if (project.dbt.executable === undefined)
    await ensureVenv(project.dbt.packages, { label: `the dbt of ${project.name}` });
  const folder = mkdtempSync(join(tmpdir(), "stepwatch-plan-"));
  try {
    const { projectDir, profilesDir } = project;
    const targetDir = join(folder, "target");
    const argv = lsArgv({ projectDir, profilesDir, targetDir, logDir: join(folder, "logs") }, options);
    const printed: string[] = [];
    const child = spawn(dbtOf(project), argv, {
      cwd: projectDir,
      env: { ...environment, ...project.environment },
      stdio: ["ignore", "pipe", "pipe"],
      signal,
    });
    const errors: string[] = [];
    child.stdout.setEncoding("utf8").on("data", (text: string) => printed.push(text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => errors.push(text));
    const [code] = (await once(child, "close")) as [number | null];
    const lines = printed.join("").split("\n");
    const listed = lines.map(readListLine).filter((entry) => entry !== null);
    if (code !== 0) {
      const words = lines.filter((line) => readListLine(line) === null).join("\n") + errors.join("");
      throw new UsageError(
        `dbt ls ended with exit code ${code}: ${words.trim().slice(-MOST_WORDS)}`,
        "Mend the project, or the selection.",
      );
    }
    const manifest = readManifest(readFileSync(join(targetDir, "manifest.json"), "utf8"));
    const selectedIds = listed.filter((entry) => agreesWithManifest(entry, manifest)).map(({ uniqueId }) => uniqueId);
    return { selectedIds, manifest };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
