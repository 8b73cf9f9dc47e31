import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, relative, sep } from "node:path";
import { IgnoreStrategy } from "aws-cdk-lib";

/** Whether a file is left out of what is shared of a folder. Absolute paths of files, not of folders. */
export type Ignored = (file: string) => boolean;

/**
 * What `.gitignore` (those of the folder, of the folders below it, and of the folders above it up to the repository's
 * root) and the folder's `.dockerignore` name. As with git, a file that the repository tracks is never ignored.
 * @param folder a dbt project or a local package
 */
export function ignoredFiles(folder: string): Ignored {
  const root = repositoryOf(folder) ?? folder;
  const git = IgnoreStrategy.git(root, gitPatterns(root, folder));
  const docker = IgnoreStrategy.docker(folder, linesOf(join(folder, ".dockerignore")));
  const tracked = trackedFiles(folder);
  return (file) => docker.ignores(file) || (git.ignores(file) && !tracked.has(file));
}

/** The nearest folder, from this one upwards, that is a working tree of git. */
function repositoryOf(folder: string): string | null {
  if (existsSync(join(folder, ".git"))) return folder;
  const parent = dirname(folder);
  return parent === folder ? null : repositoryOf(parent);
}

/** All patterns as the root's own file would say them, the deepest last: there the last one that matches holds. */
function gitPatterns(root: string, folder: string): string[] {
  return [...foldersDownTo(root, folder), ...foldersBelow(folder)].flatMap((place) =>
    linesOf(join(place, ".gitignore")).map((pattern) => fromRoot(pattern, relative(root, place))),
  );
}

/** The folders from the root to this one, both included. */
function foldersDownTo(root: string, folder: string): string[] {
  return folder === root ? [root] : [...foldersDownTo(root, dirname(folder)), folder];
}

function foldersBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(folder, entry.name))
    .filter((path) => !isVast(path))
    .flatMap((path) => [path, ...foldersBelow(path)]);
}

/** Tens of thousands of folders whose own ignore files say nothing of the project. */
const isVast = (path: string) =>
  basename(path) === ".git" || basename(path) === "node_modules" || existsSync(join(path, "pyvenv.cfg"));

/** A pattern of a folder's file: anchored there if it has a slash before its end, else of any depth below. */
function fromRoot(pattern: string, place: string): string {
  if (place === "") return pattern;
  const no = pattern.startsWith("!") ? "!" : "";
  const rest = pattern.slice(no.length);
  const literal = place
    .split(sep)
    .map((name) => name.replace(/[\\*?[\]]/g, "\\$&"))
    .join("/");
  return /\/./.test(rest) ? `${no}/${literal}/${rest.replace(/^\//, "")}` : `${no}/${literal}/**/${rest}`;
}

function linesOf(file: string): string[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, "utf8")
    .split(/\r?\n/)
    .filter((line) => line.trim() !== "" && !line.startsWith("#"));
}

/** A million paths of a hundred characters. */
const MOST_NAMES_BYTES = 100 * 2 ** 20;

/** Without git, or in a folder that it knows nothing of, the patterns alone say what is ignored. */
function trackedFiles(folder: string): ReadonlySet<string> {
  try {
    const listed = execFileSync("git", ["ls-files", "-z"], {
      cwd: folder,
      stdio: ["ignore", "pipe", "ignore"],
      maxBuffer: MOST_NAMES_BYTES,
    });
    return new Set(
      listed
        .toString()
        .split("\0")
        .filter((path) => path !== "")
        .map((path) => join(folder, path)),
    );
  } catch {
    return new Set();
  }
}
