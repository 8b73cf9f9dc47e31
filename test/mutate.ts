import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { setPriority } from "node:os";
import { join } from "node:path";

/**
 * `npm run mutate [-- core/run/deciding/step.ts …]`: mutation testing of core/run and core/dbt, or of the named files, by Stryker.
 * Takes an hour on an idle core, so it is no part of the tests; its scores stand in docs/testing.md. Stryker lies below
 * .stepwatch, pinned by test/mutation/package-lock.json, and is installed by the first call.
 */
const root = join(import.meta.dirname, "..");
const pins = join(root, "test", "mutation");
const home = join(root, ".stepwatch", "mutation");
const NICE = 10;

install();
setPriority(NICE);
const config = join(home, "stryker.json");
writeFileSync(config, JSON.stringify(options(process.argv.slice(2)), null, 2));
const stryker = join(home, "node_modules", "@stryker-mutator", "core", "bin", "stryker.js");
process.exitCode = run(process.execPath, [stryker, "run", config], root);

function options(files: readonly string[]): Record<string, unknown> {
  return {
    mutate: files.length > 0 ? files : ["core/run/*.ts", "core/dbt/*.ts"],
    testRunner: "vitest",
    plugins: [join(home, "node_modules", "@stryker-mutator", "vitest-runner", "dist", "src", "index.js")],
    vitest: { configFile: "test/mutation/vitest.config.ts", related: false },
    coverageAnalysis: "perTest",
    // What runs once, while a module is loaded, would have to load everything anew for each mutant.
    ignoreStatic: true,
    concurrency: 1,
    timeoutMS: 20_000,
    // Stryker would read it by the programming interface of TypeScript, which TypeScript 7 does not have.
    tsconfigFile: "none.json",
    ignorePatterns: [".stepwatch", "cdk.out", "build"],
    tempDirName: join(home, "sandbox"),
    reporters: ["clear-text", "json", "progress-append-only"],
    clearTextReporter: { allowColor: false, logTests: false },
    jsonReporter: { fileName: join(home, "mutation.json") },
  };
}

function install(): void {
  const wanted = readFileSync(join(pins, "package-lock.json"), "utf8");
  const stamp = join(home, "installed");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  mkdirSync(home, { recursive: true });
  for (const file of ["package.json", "package-lock.json", ".npmrc"]) copyFileSync(join(pins, file), join(home, file));
  process.stderr.write("Installing Stryker …\n");
  const code = run("npm", ["ci", "--loglevel=error"], home);
  if (code !== 0) process.exit(code);
  writeFileSync(stamp, wanted);
}

function run(command: string, args: readonly string[], cwd: string): number {
  const { status, error } = spawnSync(command, args, { cwd, stdio: ["ignore", "inherit", "inherit"] });
  if (error) throw error;
  return status ?? 1;
}
