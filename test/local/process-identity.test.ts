import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { isRunning, ownIdentity, signalIfRunning, startMarkOf, waitUntilEnded } from "#local/process-identity.mjs";

async function sleeper() {
  const child = spawn("sleep", ["60"]);
  await once(child, "spawn");
  const pid = child.pid ?? 0;
  return { child, identity: { pid, startMark: startMarkOf(pid) ?? "" } };
}

test("a process is recognised by its number and its start", () => {
  const own = ownIdentity();
  expect(isRunning(own)).toBe(true);
  expect(isRunning({ ...own, startMark: "another start" })).toBe(false);
  expect(isRunning({ pid: 0, startMark: "" })).toBe(false);
  expect(isRunning({ pid: 2 ** 22 + 1, startMark: "" })).toBe(false);
});

test("a process that merely has the number is not signalled", async () => {
  const { child, identity } = await sleeper();
  expect(signalIfRunning({ ...identity, startMark: "another start" }, "SIGKILL")).toBe(false);
  expect(isRunning(identity)).toBe(true);
  expect(signalIfRunning(identity, "SIGKILL")).toBe(true);
  expect(await waitUntilEnded(identity, 5_000)).toBe(true);
  expect(signalIfRunning(identity, "SIGKILL")).toBe(false);
  expect(child.pid).toBe(identity.pid);
});

test("waiting for a process that goes on gives up in time", async () => {
  expect(await waitUntilEnded(ownIdentity(), 30)).toBe(false);
});
