import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { beforeEach, expect, test } from "vitest";
import { withLock } from "#local/lock-file.mjs";
import { ownIdentity } from "#local/process-identity.mjs";
import { temporaryFolder } from "../support/temporary-folder.ts";

let folder: string;
let path: string;

beforeEach(() => {
  folder = temporaryFolder("lock-file");
  path = join(folder, "deep", "one.lock");
});

test("only one at a time is inside, and the lock is gone afterwards", async () => {
  let inside = 0;
  let most = 0;
  const enter = () =>
    withLock(path, async () => {
      inside += 1;
      most = Math.max(most, inside);
      await new Promise((resolve) => setTimeout(resolve, 5));
      inside -= 1;
    });
  await Promise.all([enter(), enter(), enter()]);
  expect(most).toBe(1);
  expect(readdirSync(join(folder, "deep"))).toEqual([]);
});

test("an error inside frees the lock", async () => {
  await expect(withLock(path, () => Promise.reject(new Error("inside")))).rejects.toThrow("inside");
  expect(existsSync(path)).toBe(false);
});

test("who waits is told for whom, once", async () => {
  const waited: number[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const first = withLock(path, () => promise);
  const second = withLock(path, async () => "done", { onWait: (pid) => void waited.push(pid) });
  setTimeout(resolve, 250);
  await first;
  expect(await second).toBe("done");
  expect(waited).toEqual([process.pid]);
});

test("the lock of a dead process is taken over, by one of several", async () => {
  await withLock(path, async () => {});
  writeFileSync(path, JSON.stringify({ ...ownIdentity(), startMark: "a process that ended" }));
  const program = `
    import { withLock } from ${JSON.stringify(new URL("../../local/lock-file.mjs", import.meta.url).href)};
    import { appendFileSync } from "node:fs";
    await withLock(${JSON.stringify(path)}, async () => {
      appendFileSync(${JSON.stringify(join(folder, "log"))}, "in ");
      await new Promise((resolve) => setTimeout(resolve, 20));
      appendFileSync(${JSON.stringify(join(folder, "log"))}, "out ");
    });
    console.log("done");`;
  const outputs = await Promise.all(
    Array.from({ length: 4 }, () => text(spawn(process.execPath, ["--input-type=module", "-e", program]).stdout)),
  );
  expect(outputs).toEqual(Array.from({ length: 4 }, () => "done\n"));
  expect(readFileSync(join(folder, "log"), "utf8")).toBe("in out ".repeat(4));
});

test("waiting ends with its signal, and the action is not begun", async () => {
  const stop = new AbortController();
  const begun: string[] = [];
  await withLock(path, async () => {
    const options = { onWait: () => stop.abort(), signal: stop.signal };
    const waiting = withLock(path, async () => begun.push("second"), options);
    await expect(waiting).rejects.toMatchObject({ name: "AbortError" });
  });
  expect(begun).toEqual([]);
});
