/**
 * Runs one of the project's TypeScript programs on a machine where nothing is installed yet:
 *
 *     node local/bootstrap.mjs <script.ts> [arguments…]
 *
 * It needs Node 20 and npm. It installs the npm packages when they are missing or outdated, finds Node 24 (which runs
 * TypeScript as it is) and starts the script with it. In the npm package, which somebody else installs, the second alone. Nothing is written to standard output: that belongs to the
 * script, so that `cdk synth` and `--json` can go through here.
 */
const [script, ...scriptArguments] = process.argv.slice(2);
const major = Number(process.versions.node.split(".")[0]);

if (major < 20) {
  refuse(`Node ${process.versions.node} is too old to start this project: install Node 20 or newer and try again.`);
} else if (script === undefined) {
  refuse("Usage: node local/bootstrap.mjs <script.ts> [arguments…]");
} else {
  await start(script, scriptArguments);
}

/** @param {string} entry @param {string[]} entryArguments */
async function start(entry, entryArguments) {
  const { existsSync } = await import("node:fs");
  const { dirname, join } = await import("node:path");
  const { fileURLToPath } = await import("node:url");
  const { ensurePackages } = await import("./install-packages.mjs");
  const { findNode24, runToTheEnd } = await import("./node24.mjs");
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  try {
    if (existsSync(join(root, "package-lock.json"))) await ensurePackages(root);
    process.exitCode = await runToTheEnd(findNode24(root), [entry, ...entryArguments]);
  } catch (error) {
    refuse(error instanceof Error ? error.message : String(error));
  }
}

/** @param {string} reason */
function refuse(reason) {
  process.stderr.write(`${reason}\n`);
  process.exitCode = 3;
}
