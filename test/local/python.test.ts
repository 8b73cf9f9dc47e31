import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { causeIn, ensureVenv, findPython, venvOf } from "#local/python.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

let folder: string;

beforeEach(() => {
  folder = temporaryFolder("python");
});
afterEach(() => void vi.unstubAllEnvs());

/**
 * A program that answers the inspection as a Python of this kind would. Its environments hold itself, and its pip says
 * `pipSays` on standard error and fails if that is not empty.
 */
function fakePython(name: string, version: string, hasVenv: boolean, pipSays = ""): string {
  const path = join(folder, name);
  const answer = JSON.stringify({ executable: path, version, hasVenv });
  const script = `#!/bin/sh
if [ "$1" = "-c" ]; then echo '${answer}'; exit 0; fi
if [ "$2" = "venv" ]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; exit 0; fi
sleep 0.2
if [ -n "${pipSays}" ]; then echo "${pipSays}" >&2; exit 1; fi
`;
  writeFileSync(path, script);
  chmodSync(path, 0o755);
  return path;
}

test("the newest Python that can make environments is taken", async () => {
  fakePython("python3.12", "3.12.1", false);
  const wanted = fakePython("python3.11", "3.11.9", true);
  fakePython("python3", "3.9.2", true);
  expect(await findPython({ PATH: folder })).toEqual({ executable: wanted, version: "3.11.9" });
});

test("PYTHON decides, if it is new enough", async () => {
  const chosen = fakePython("mine", "3.10.0", true);
  expect(await findPython({ PATH: folder, PYTHON: chosen })).toEqual({ executable: chosen, version: "3.10.0" });
  const old = fakePython("old", "3.9.18", true);
  await expect(findPython({ PATH: folder, PYTHON: old })).rejects.toThrow(`PYTHON is set to "${old}"`);
});

test("PYTHON that is a program of another kind is refused as one", async () => {
  for (const answer of ["Core:", "null", '{"version":"3.11.2"}']) {
    const other = join(folder, "other");
    writeFileSync(other, `#!/bin/sh\necho '${answer}'\n`);
    chmodSync(other, 0o755);
    await expect(findPython({ PATH: folder, PYTHON: other })).rejects.toThrow(`PYTHON is set to "${other}"`);
  }
});

test("none, or one without venv, is said in one sentence", async () => {
  await expect(findPython({ PATH: folder })).rejects.toThrow("No Python 3.10 or newer was found");
  fakePython("python3", "3.11.2", false);
  await expect(findPython({ PATH: folder })).rejects.toThrow("python3.11-venv");
});

test("callers at once share one environment, and a later one finds it", async () => {
  vi.stubEnv("PYTHON", fakePython("python", "3.11.2", true));
  const lines: string[] = [];
  const options = { label: "the environment", stateDir: folder, onProgress: (line: string) => void lines.push(line) };
  const [first, second] = await Promise.all([
    ensureVenv(["a==1", "b==2"], options),
    ensureVenv(["b==2", "a==1"], options),
  ]);
  expect(second).toEqual(first);
  expect(first.bin).toBe(join(first.dir, "bin"));
  await ensureVenv(["a==1", "b==2"], options);
  expect(lines.filter((line) => line.startsWith("Made the environment in"))).toHaveLength(1);
  expect((await ensureVenv(["a==1"], options)).dir).not.toBe(first.dir);
});

test("an environment that was left half-made is made anew", async () => {
  vi.stubEnv("PYTHON", fakePython("python", "3.11.2", true));
  const options = { label: "the environment", stateDir: folder };
  const { dir } = await ensureVenv(["a==1"], options);
  rmSync(join(dir, ".complete.json"));
  writeFileSync(join(dir, "left behind"), "");
  expect((await ensureVenv(["a==1"], options)).dir).toBe(dir);
  expect(existsSync(join(dir, "left behind"))).toBe(false);
});

test("an environment that was moved is made anew, and one that was made over a link outlives the link", async () => {
  vi.stubEnv("PYTHON", fakePython("python", "3.11.2", true));
  const [there, link] = [join(folder, "there"), join(folder, "link")];
  mkdirSync(there);
  symlinkSync(there, link);
  await ensureVenv(["a==1"], { label: "the environment", stateDir: link });
  rmSync(link);
  const inFolder = (stateDir: string) => ensureVenv(["a==1"], { label: "the environment", stateDir });
  const isMadeAnew = async (stateDir: string) => !existsSync(join((await inFolder(stateDir)).dir, "kept"));
  writeFileSync(join(venvOf(["a==1"], there).dir, "kept"), "");
  expect(await isMadeAnew(there)).toBe(false);
  renameSync(there, join(folder, "moved"));
  expect(await isMadeAnew(join(folder, "moved"))).toBe(true);
});

test("a failure is one sentence with its cause and the log, and the next call tries again", async () => {
  const options = { label: "the environment", stateDir: folder };
  vi.stubEnv("PYTHON", fakePython("python", "3.11.2", true, "No space left on device"));
  const failed = ensureVenv(["a==1"], options);
  await expect(failed).rejects.toThrow(/^Installing a==1 failed because the disk is full: see .*venv-\w+\.log\.$/);
  vi.stubEnv("PYTHON", fakePython("python", "3.11.2", true));
  expect(existsSync((await ensureVenv(["a==1"], options)).bin)).toBe(true);
});

test.each([
  ["OSError: [Errno 28] No space left on device", "the disk is full"],
  ["Permission denied: '/usr/lib'", "may not be written"],
  ["NewConnectionError: Failed to establish a new connection", "was not reached"],
  ["ERROR: No matching distribution found for x==9", "has no such version"],
  ["something else", ""],
])("of %s a person is told: %s", (words, told) => {
  const log = join(folder, "pip.log");
  writeFileSync(log, words);
  expect(causeIn(log)).toContain(told);
});

test("a state folder that can not be made is one sentence", async () => {
  writeFileSync(join(folder, "file"), "");
  await expect(ensureVenv(["pip"], { label: "x", stateDir: join(folder, "file") })).rejects.toThrow("can not be made");
});
