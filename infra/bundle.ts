import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { InputError } from "#core/errors.ts";
import { FUNCTION_NAMES, type FunctionName } from "./deployed-names.ts";
import { codeRoot, installed } from "./installed.ts";

/** Where the bundles are, relative to the project's root. */
export const BUNDLE_FOLDER = "build";

export interface Bundles {
  /** Folder of a function's code. */
  readonly functionFolder: (name: FunctionName) => string;
  /** The dbt-runner: one file that Node 24 runs. */
  readonly runnerFile: string;
}

/** Entry points, by the bundle's path without its extension. */
const ENTRY_POINTS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(FUNCTION_NAMES.map((name) => [`functions/${name}/index`, `functions/${name}/handler.ts`])),
  "dbt-runner/runner": "containers/dbt-runner/main.ts",
};

/**
 * Bundles functions and runner in one call of esbuild, each into a single file with the AWS SDK inside: what was tested
 * is what runs, whatever SDK the Lambda runtime brings. Not minified, so that a stack trace can be read.
 * @param root the project's root folder.
 * @param outdir where the bundles go; a test has its own.
 * @throws {InputError} if an entry point is not there.
 */
export async function bundle(root: string, outdir = join(root, BUNDLE_FOLDER)): Promise<Bundles> {
  const missing = Object.values(ENTRY_POINTS).filter((entry) => !existsSync(join(root, entry)));
  if (missing.length > 0)
    throw new InputError(
      "Bundling refused",
      missing.map((entry) => `${entry} does not exist.`),
    );
  // Loaded where it is needed: the npm package has the bundles, and no bundler.
  const { build } = await import("esbuild");
  const { outputFiles } = await build({
    // Written by us: esbuild empties a file before it fills it, under the eyes of another deploy of this checkout.
    write: false,
    absWorkingDir: root,
    entryPoints: { ...ENTRY_POINTS },
    outdir,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    target: "node24",
    format: "esm",
    mainFields: ["module", "main"],
    charset: "utf8",
    legalComments: "none",
    logLevel: "warning",
    // CommonJS packages inside an ES module call `require` for Node's own modules.
    banner: { js: 'import { createRequire } from "node:module";\nconst require = createRequire(import.meta.url);' },
  });
  for (const { path, contents } of outputFiles) replaceFile(path, contents, join(outdir, `new.${process.pid}`));
  return bundlesIn(outdir);
}

/**
 * Whoever reads the file meanwhile reads all of the old or all of the new one.
 * @param draft where it is written first: not beside it, since what lies in its folder is part of the function.
 */
function replaceFile(path: string, contents: Uint8Array, draft: string): void {
  if (existsSync(path) && readFileSync(path).equals(contents)) return;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(draft, contents);
  renameSync(draft, path);
}

/** The bundles of this code: those that the npm package has, or new ones of a checkout's sources. */
export const ownBundles = async (): Promise<Bundles> =>
  installed ? bundlesIn(join(codeRoot, BUNDLE_FOLDER)) : bundle(codeRoot);

const bundlesIn = (folder: string): Bundles => ({
  functionFolder: (name) => join(folder, "functions", name),
  runnerFile: join(folder, "dbt-runner", "runner.mjs"),
});
