import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { POLICY_LEVELS } from "../../cli/people-policy.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { stepwatch } from "./fake-context.ts";

const script = async (shell: string) => (await stepwatch(["completion", shell])).stdout;

/** What bash offers after these words, the last of which is being written; `stepwatch` itself is a stand-in. */
async function offered(...words: string[]): Promise<string[]> {
  const folder = temporaryFolder("completion");
  writeFileSync(join(folder, "completion.bash"), await script("bash"));
  const line = ["stepwatch", ...words];
  const program = `
stepwatch() { [ "$*" = "completion projects" ] && printf 'shop\\nstock\\n'; }
source completion.bash
COMP_WORDS=(${line.map((word) => `'${word}'`).join(" ")}) COMP_CWORD=${words.length}
_stepwatch && printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync("bash", ["--norc", "-c", program], { cwd: folder, encoding: "utf8" });
  expect(stderr).toBe("");
  return stdout.split("\n").filter((word) => word !== "");
}

describe("completion in bash", () => {
  test("offers commands, and each command's own options", async () => {
    expect(await offered("re")).toEqual(expect.arrayContaining(["retry", "resume", "replay"]));
    expect(await offered("")).toEqual(expect.arrayContaining(["init", "doctor", "run", "completion", "--version"]));
    expect(await offered("run", "--exc")).toEqual(expect.arrayContaining(["--exclude", "--exclude-resource-type"]));
    expect(await offered("policy", "--sel")).toEqual([]);
  });

  test("offers projects where a command takes one, and nothing where it takes a run", async () => {
    expect(await offered("run", "")).toEqual(["shop", "stock"]);
    expect(await offered("runs", "sto")).toEqual(["stock"]);
    expect(await offered("status", "")).toEqual([]);
  });

  test("knows what an option takes, and that its value is no argument", async () => {
    expect(await offered("policy", "--for", "")).toEqual([...POLICY_LEVELS]);
    expect(await offered("run", "--select", "")).toEqual([]);
    expect(await offered("run", "--select", "orders", "s")).toEqual(["shop", "stock"]);
    expect(await offered("run", "--config", "comp")).toEqual(["completion.bash"]);
    expect(await offered("mark", "20260131-060000-1a2b3c4d", "")).toEqual(["good", "skip", "none"]);
    expect(await offered("local", "s")).toEqual(["status"]);
  });
});

test.each(["zsh", "fish"])("%s has a line for every command and option", async (shell) => {
  const text = await script(shell);
  for (const word of ["doctor", "retry", "force", "overlap", "completion projects"]) expect(text).toContain(word);
});

test("projects are those of stepwatch.yaml; a shell that is none is refused", async () => {
  expect((await stepwatch(["completion", "projects"])).stdout).toBe("shop\n");
  expect((await stepwatch(["completion", "tcsh"])).exitCode).toBe(2);
});
