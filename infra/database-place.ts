import { join, posix } from "node:path";
import type { ProjectConfig } from "#core/config.ts";
import { InputError } from "#core/errors.ts";
import { SINGLE_WRITERS } from "#core/run/planning/plan.ts";
import { at, readYaml } from "./dbt-files.ts";
import { defaultProfile, defaultTarget, isSetByEnvironment } from "./default-target.ts";

/**
 * Where the tables of an embedded database (DuckDB, SQLite) are: on a `server` that many may write (MotherDuck, DuckLake
 * with a catalog on a server); in a `shared` file, which tasks see one after another (EFS); in the `task` itself, gone
 * with it; `external`: in memory, with models in files of a bucket; `unknown`: only dbt can tell.
 */
export type DatabasePlace = "server" | "shared" | "task" | "external" | "unknown";

export interface EmbeddedDatabase {
  readonly type: string;
  readonly place: DatabasePlace;
  /** The path that says so, for people. */
  readonly path: string;
}

/** The output that a run builds by when it names neither target nor profile; undefined where only dbt can tell. */
export function targetOutput(project: ProjectConfig): unknown {
  if (isSetByEnvironment(project, ["DBT_PROFILE", "DBT_PROFILES_DIR"])) return undefined;
  const target = project.build.target ?? project.target ?? defaultTarget(project);
  const profile = project.build.profile ?? defaultProfile(project);
  if (target === null || profile === null) return undefined;
  const outputs = at(at(readYaml(join(project.profilesDir, "profiles.yml")), profile), "outputs");
  return at(outputs, target);
}

/** The embedded database of such a run; null where its warehouse is another one, or nobody can tell. */
export function embeddedDatabase(project: ProjectConfig): EmbeddedDatabase | null {
  const output = targetOutput(project);
  const type = at(output, "type");
  if (typeof type !== "string" || !SINGLE_WRITERS.has(type)) return null;
  const found = (type === "sqlite" ? sqlitePaths(output) : [duckdbPath(output)]).map((raw) => {
    const path = withVariables(raw, project);
    return { type, path, place: type === "sqlite" ? placeOfFile(path, project) : placeOfDuckdb(path, output, project) };
  });
  return found.find(({ place }) => place === "task") ?? found.find(({ place }) => place === "unknown") ?? found[0]!;
}

/** Says which project's tables would be gone with each task. @throws {InputError} */
export function refuseLostDatabase(project: ProjectConfig): void {
  const found = embeddedDatabase(project);
  if (found?.place !== "task") return;
  const where = found.path === IN_MEMORY ? "is in memory" : `is the file ${found.path}`;
  throw new InputError("The project can not be deployed to AWS", [
    `projects.${project.name}: its ${found.type} database ${where}, of each task's own: a fallback would start without what the build before it made, and the tables would be gone with the last task. Put the file below efs.mountPath, or use MotherDuck (path md:…), DuckLake with its catalog on a server (ducklake:postgres:…), or another target.`,
  ]);
}

const IN_MEMORY = ":memory:";

/** The path in which dbt-duckdb makes the models: of the attached database that `database` names, or the main one. */
function duckdbPath(output: unknown): string {
  const attached = (at(output, "attach") ?? []) as unknown;
  const database = at(output, "database");
  const named = (Array.isArray(attached) ? attached : []).find((one) => at(one, "alias") === database);
  if (database !== undefined && named !== undefined) return pathOfAttached(named);
  return String(at(output, "path") ?? IN_MEMORY);
}

/** With the attachment's type in front, as DuckDB itself writes it. */
function pathOfAttached(attachment: unknown): string {
  const path = String(at(attachment, "path") ?? "");
  const type = String(at(attachment, "type") ?? at(at(attachment, "options"), "type") ?? "").toLowerCase();
  return type === "" || type === "duckdb" || path.toLowerCase().startsWith(`${type}:`) ? path : `${type}:${path}`;
}

function sqlitePaths(output: unknown): string[] {
  const named = at(output, "schemas_and_paths");
  const paths = typeof named === "object" && named !== null ? Object.values(named).map(String) : [];
  return paths.length === 0 ? [IN_MEMORY] : paths;
}

function placeOfDuckdb(path: string, output: unknown, project: ProjectConfig): DatabasePlace {
  if (at(output, "remote") !== undefined) return "server";
  if (ON_A_SERVER.test(path)) return "server";
  const catalog = path.replace(/^ducklake:/i, "");
  if (catalog !== path && ON_A_SERVER.test(catalog)) return "server";
  const isExternal = /^(s3|gs|gcs|az|azure|abfss?|r2):\/\//i.test(String(at(output, "external_root") ?? ""));
  if (catalog === IN_MEMORY && isExternal) return "external";
  return placeOfFile(catalog.replace(/^sqlite:/i, ""), project);
}

/** What DuckDB attaches over the network; of `ducklake:`, where its catalog is. */
const ON_A_SERVER = /^(md|motherduck|postgres|postgresql|mysql):/i;

function placeOfFile(path: string, { efs }: ProjectConfig): DatabasePlace {
  if (path.includes("{{") || path.includes("{%") || /^[a-z][a-z0-9+.-]+:\/\//i.test(path)) return "unknown";
  if (path === IN_MEMORY || efs === undefined) return "task";
  return posix.normalize(path).startsWith(`${posix.normalize(efs.mountPath)}/`) ? "shared" : "task";
}

/** dbt's `env_var` with what `environment` has, or its own default; anything else stays as it is. */
const withVariables = (text: string, { environment, secrets }: ProjectConfig): string =>
  text.replace(
    /\{\{\s*env_var\(\s*(['"])(\w+)\1\s*(?:,\s*(['"])(.*?)\3\s*)?\)\s*\}\}/g,
    (whole, _, name: string, __, fallback?: string) =>
      name in secrets ? whole : (environment[name] ?? fallback ?? whole),
  );
