import { readFile, realpath, stat } from "node:fs/promises";
import { isAbsolute, join, relative, resolve, sep } from "node:path";
import type { Artefacts } from "#clients/artefacts.ts";
import type { RunKey } from "#clients/ledger.ts";
import type { BuildLog } from "#core/dbt/build-log.ts";
import type { Manifest } from "#core/dbt/manifest.ts";
import type { RunResults } from "#core/dbt/run-results.ts";
import type { VertexReading } from "#core/dbt/vertex-reading.ts";
import { artefactKeys } from "#core/names.ts";
import type { LogOutput } from "./log-output.ts";
import { readManifestFile } from "./manifest-file.ts";
import type { TaskFolders } from "./task-folders.ts";

/** Compiled SQL that is kept of one vertex and of one build, in characters: 20 MB hold some thousands of long models. */
const MAX_SQL_CHARACTERS = 1_000_000;
const MAX_ALL_SQL_CHARACTERS = 20_000_000;

/** One vertex of `compiled.json`. `path` is relative to the dbt project, or to its target folder. */
export interface CompiledSql {
  readonly path: string;
  readonly sql: string;
}

export interface ArtefactDeps {
  readonly artefacts: Pick<Artefacts, "putFile" | "putJson">;
  readonly key: RunKey;
  readonly task: number;
  readonly folders: TaskFolders;
  readonly output: LogOutput;
}

/** Uploads dbt's other files as they are. One that can not be uploaded is told in the log and holds up nothing. */
export async function uploadDbtFiles(deps: ArtefactDeps): Promise<void> {
  await uploadFile(deps, deps.folders.build.targetDir, "manifest.json");
  await uploadLog(deps);
}

/** Uploads dbt's own log file. */
export const uploadLog = (deps: ArtefactDeps): Promise<void> => uploadFile(deps, deps.folders.build.logDir, "dbt.log");

/** What a command may leave in its target folder; pages are those of `docs generate`. */
const COMMAND_FILES = ["run_results.json", "sources.json", "catalog.json", "index.html", "static_index.html"] as const;

/** Uploads what a command beside the builds has said and left. */
export async function uploadCommandFiles(deps: ArtefactDeps): Promise<void> {
  await uploadFile(deps, deps.folders.stateDir, "output.txt");
  for (const name of [...COMMAND_FILES, "manifest.json"]) await uploadFile(deps, deps.folders.build.targetDir, name);
}

/** Uploads what dbt says of each vertex that it ran; later tasks and `why` read it. */
export const uploadResults = (deps: ArtefactDeps): Promise<void> =>
  uploadFile(deps, deps.folders.build.targetDir, "run_results.json");

async function uploadFile(deps: ArtefactDeps, dir: string, name: string): Promise<void> {
  const path = join(dir, name);
  if ((await stat(path).catch(() => null))?.isFile() !== true) return;
  const { project, runId } = deps.key;
  await orSay(deps, name, () => deps.artefacts.putFile(artefactKeys.task(project, runId, deps.task, name), path));
}

/** Uploads the compiled SQL of what ran, as one object, if there is any. */
export async function uploadCompiled(deps: ArtefactDeps, log: BuildLog, runResults: RunResults | null): Promise<void> {
  await orSay(deps, "compiled.json", async () => {
    const compiled = await collectCompiled(deps.folders, log, runResults);
    if (Object.keys(compiled).length > 0) await deps.artefacts.putJson(compiledKeyOf(deps), compiled);
  });
}

/** Where the compiled SQL of a task's vertices lies once it is uploaded. */
export const compiledKeyOf = ({ key, task }: Pick<ArtefactDeps, "key" | "task">): string =>
  artefactKeys.task(key.project, key.runId, task, "compiled.json");

async function orSay(deps: ArtefactDeps, name: string, upload: () => Promise<void>): Promise<void> {
  try {
    await upload();
  } catch (error) {
    deps.output.say("an artefact could not be uploaded", {
      name,
      error: error instanceof Error ? error.message : String(error),
    });
  }
}

/**
 * The compiled SQL of every vertex that dbt tried, for success and failure alike (behaviour D8): from the file that dbt
 * wrote where it can be found below project or target folder, else from run_results.json.
 */
export async function collectCompiled(
  folders: TaskFolders,
  log: BuildLog,
  runResults: RunResults | null,
): Promise<Record<string, CompiledSql>> {
  const manifest = await readManifestFile(folders.build.targetDir).catch(() => null);
  const codes = new Map(runResults?.results.map((result) => [result.uniqueId, result.compiledCode]));
  const compiled: Record<string, CompiledSql> = {};
  let room = MAX_ALL_SQL_CHARACTERS;
  for (const vertex of log.vertices.values()) {
    if (!vertex.evidence || room <= 0) continue;
    const found = await compiledOf(folders, vertex, manifest, codes.get(vertex.uniqueId) ?? null);
    if (!found) continue;
    compiled[vertex.uniqueId] = { path: found.path, sql: found.sql.slice(0, Math.min(MAX_SQL_CHARACTERS, room)) };
    room -= found.sql.length;
  }
  return compiled;
}

async function compiledOf(
  { build }: TaskFolders,
  vertex: VertexReading,
  manifest: Manifest | null,
  code: string | null,
): Promise<CompiledSql | null> {
  const node = manifest?.nodes.get(vertex.uniqueId);
  const named = [vertex.compiledPath, node?.compiledPath ?? null].filter((path) => path !== null);
  const usual = node ? [join(build.targetDir, "compiled", node.packageName, node.originalFilePath)] : [];
  for (const path of [...named, ...usual]) {
    const found = await readInside(
      [build.projectDir, build.targetDir],
      isAbsolute(path) ? path : resolve(build.projectDir, path),
    );
    if (found) return found;
  }
  return code === null ? null : { path: node?.originalFilePath ?? vertex.uniqueId, sql: code };
}

/** Reads a file that lies inside one of the folders when every link is followed: a path comes from dbt's files. */
async function readInside(folders: readonly string[], path: string): Promise<CompiledSql | null> {
  const real = await realpath(path).catch(() => null);
  if (real === null || !real.endsWith(".sql")) return null;
  for (const folder of folders) {
    const inside = relative(await realpath(folder), real);
    if (inside === "" || inside.startsWith(`..${sep}`) || inside === ".." || isAbsolute(inside)) continue;
    return { path: inside, sql: await readFile(real, "utf8") };
  }
  return null;
}
