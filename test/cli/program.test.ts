import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { stateLines } from "../../cli/commands/local.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const folder = temporaryFolder("program");

describe("the program itself", () => {
  const run = (...commandLine: string[]) =>
    promisify(execFile)(process.execPath, ["cli/main.ts", ...commandLine], {
      env: { ...process.env, STEPWATCH_STATE_DIR: join(folder, "state") },
    }).then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      (error: { code: number; stdout: string; stderr: string }) => error,
    );

  test("emulator not running: 3; broken YAML: 2; help: 0 with the exit codes in it", async () => {
    const yaml = join(folder, "broken.yaml");
    writeFileSync(yaml, "projects: [\n");
    const [down, broken, target, help, status] = await Promise.all([
      run("status", "run-1"),
      run("run", "shop", "--config", yaml),
      run("run", "jaffle_shop", "--target", "oracle"),
      run("--help"),
      run("local", "status", "--json"),
    ]);
    expect(down).toMatchObject({
      code: 3,
      stdout: "",
      stderr: expect.stringContaining("The embedded AWS does not run.\n→ npx stepwatch deploy --local"),
    });
    expect(broken).toMatchObject({ code: 2, stderr: expect.stringMatching(/broken.yaml is no YAML: line \d/) });
    expect(target).toMatchObject({ code: 2, stderr: expect.stringContaining("has no target oracle") });
    expect(help).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("0 green, 1 red, 2 usage or configuration, 3 infrastructure"),
    });
    expect(JSON.parse(status.stdout)).toMatchObject({ running: false });
  }, 60_000);
});

test("what this command has ended is told as ended, what did not run as that", () => {
  expect(stateLines({ running: false }, true)).toEqual(["The embedded AWS has ended."]);
  expect(stateLines({ running: false }, false)).toEqual(["The embedded AWS does not run."]);
});
