import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { temporaryFolder } from "../support/temporary-folder.ts";

const PROGRAM = join(import.meta.dirname, "../../local/ecs/run-in-engine.ts");

/** A container engine that writes down how it was asked once it is ready, and does what its script says. */
function engine(script: string, ready = "") {
  const folder = temporaryFolder("engine");
  const command = join(folder, "engine");
  writeFileSync(command, `#!/bin/sh\n${ready}\nprintf '%s\\n' "$@" > ${folder}/asked\n${script}\n`, { mode: 0o755 });
  const child = spawn(process.execPath, [PROGRAM, command, "image:tag", "--read-only"], {
    env: { PATH: process.env.PATH, HOME: "/root", DOCKER_HOST: "unix:///x", STEPWATCH_RUN_ID: "r", SECRET: "s3cret" },
  });
  const asked = () => readFileSync(join(folder, "asked"), "utf8").trim().split("\n");
  return { child, asked, ended: once(child, "close") as Promise<[number | null]> };
}

test("the container gets the task's variables by name alone, and its exit code is ours", async () => {
  const { asked, ended } = engine('[ "$SECRET" = s3cret ] && exit 7');
  expect((await ended)[0]).toBe(7);
  expect(asked()).toEqual([
    ...["run", "--rm", "--init", "--network", "host", "--read-only"],
    ...["--env", "STEPWATCH_RUN_ID", "--env", "SECRET", "image:tag"],
  ]);
});

test("a stop reaches the engine, which hands it on", async () => {
  const { child, asked, ended } = engine("while :; do sleep 0.05; done", "trap 'exit 143' TERM");
  await vi.waitFor(asked, { timeout: 10_000 });
  child.kill("SIGTERM");
  expect((await ended)[0]).toBe(143);
});

test("an engine that is not there is said", async () => {
  const child = spawn(process.execPath, [PROGRAM, "/no/engine", "image"], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (chunk) => {
    said += chunk;
  });
  expect(await once(child, "close")).toEqual([127, null]);
  expect(said).toContain("/no/engine can not be started");
});
