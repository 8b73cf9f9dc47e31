import { describe, expect, it } from "vitest";
import { commandArgv, DbtCommandRefused, isRepeatable, readDbtCommand, takesLock } from "#core/dbt/commands.ts";

const folders = { projectDir: "/p", profilesDir: "/f", targetDir: "/t", logDir: "/l" };
const argv = (words: string[], options = {}) => commandArgv(folders, options, readDbtCommand(words));

describe("H7: another command of dbt's", () => {
  it("H7: what writes the warehouse waits for the lock and is not repeated, what reads does neither", () => {
    const writes = ["clone", "run-operation", "seed", "snapshot", "test"];
    const reads = ["compile", "debug", "docs generate", "show", "source freshness"];
    const neither = ["ls", "list", "parse"];
    const of = (name: string) => readDbtCommand([...name.split(" "), ...(name === "run-operation" ? ["grant"] : [])]);
    expect(writes.map(of).filter((one) => takesLock(one, false) && !isRepeatable(one))).toHaveLength(writes.length);
    for (const name of [...reads, ...neither]) {
      expect(takesLock(of(name), false), name).toBe(false);
      expect(isRepeatable(of(name)), name).toBe(true);
    }
    // A DuckDB file takes one process at a time, one that reads as well.
    expect(reads.every((name) => takesLock(of(name), true))).toBe(true);
    expect(neither.some((name) => takesLock(of(name), true))).toBe(false);
  });

  it.each([
    [["build"], "npx stepwatch run"],
    [["run"], "npx stepwatch run"],
    [["retry"], "npx stepwatch retry"],
    [["deps"], "image is built"],
    [["clean"], "disk"],
    [["docs", "serve"], "npx stepwatch docs"],
    [["docs"], "name one of"],
    [["explode"], "name one of"],
    [["__proto__"], "name one of"],
    [["ls", "--target", "prod"], "before the --"],
    [["ls", "-t", "prod"], "before the --"],
    [["run-operation", "grant", "-tprod"], "before the --"],
    [["ls", "--log-format=json"], "sets this itself"],
    [["ls", "--no-quiet"], "sets this itself"],
    [["test", "--project-dir", "/etc"], "folders of its own"],
    [["test", "--PROFILES_DIR", "/etc"], "folders of its own"],
    [["ls", "--help"], "print a text"],
  ])("H7: %j is refused with a sentence", (words, sentence) => {
    expect(() => readDbtCommand(words)).toThrow(DbtCommandRefused);
    expect(() => readDbtCommand(words)).toThrow(sentence);
  });

  it("H7: each word stays one argument, whatever a shell would make of it", () => {
    const args = ["grant; rm -rf /", "--args", "{role: 'a b', n: $(id)}"];
    expect(argv(["run-operation", ...args]).slice(-3)).toEqual(args);
    expect(argv(["show", "--inline", "-- first\nselect 1"]).slice(-2)).toEqual(["--inline", "-- first\nselect 1"]);
  });

  it("H7: an answer is asked for as text without dbt's talk, everything else as events", () => {
    expect(argv(["ls", "--output", "json"])).toContain("--quiet");
    expect(argv(["ls"])[argv(["ls"]).indexOf("--log-format") + 1]).toBe("text");
    const operation = argv(["run-operation", "grant"]);
    expect(operation[operation.indexOf("--log-format") + 1]).toBe("json");
    expect(argv(["debug"])).not.toContain("--target-path");
  });

  it("H7: the project's options go with it as far as the command has them, and a person's own word wins", () => {
    const options = { target: "prod", threads: 8, vars: { day: 1 }, state: "/s" };
    const clone = argv(["clone"], options).join(" ");
    expect(clone).toContain('--target prod --vars {"day":1} --threads 8 --state /s');
    const own = argv(["clone", "--threads=2", "--vars", "{day: 2}"], options).join(" ");
    expect(own).not.toContain("--threads 8");
    expect(own).not.toContain('{"day":1}');
    expect(argv(["debug"], options).join(" ")).not.toContain("--threads");
  });
});
