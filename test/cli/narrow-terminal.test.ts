import { stripVTControlCharacters } from "node:util";
import { describe, expect, test } from "vitest";
import { summarise } from "#core/run/reporting/summary.ts";
import { LiveRegion } from "../../cli/view/live-region.ts";
import { PhaseBoard } from "../../cli/view/phases.ts";
import { tableFrame } from "../../cli/view/run-view.ts";
import { ansi, cut, cutPainted, plain, terminalOf, widthOf } from "../../cli/view/style.ts";
import { verdictText } from "../../cli/view/summary-text.ts";
import { live, nodeFailed, over, planOf, row, runOf, vertex } from "../support/run-builders.ts";

const plan = planOf([vertex("model.shop.orders_of_every_customer"), vertex("model.shop.customers")]);
const look = (run: Parameters<typeof runOf>[0], tasks = [live(1)]) =>
  summarise({
    run: runOf(run),
    plan,
    rows: [
      row("model.shop.orders_of_every_customer", "error", {
        message: "Database Error in x\n  no such column",
        consumerStartedAtMs: 1,
      }),
    ],
    tasks,
    nowMs: 15_000,
  });

const frame = (columns: number | undefined) =>
  tableFrame(look({}), { terminal: { columns, write: () => true }, paint: ansi, now: () => 15_000 });

describe("a narrow terminal", () => {
  test("name and state are kept, then time, then type; no line is wider than the terminal", () => {
    for (const columns of [20, 30, 40, 60, 80, 120]) {
      const lines = frame(columns).map(stripVTControlCharacters);
      for (const line of lines) expect(line.length, `${columns}: ${line}`).toBeLessThan(columns);
      if (columns >= 40) expect(lines[1]).toMatch(/^✘ orders_of_every\S*\s+(model\s+)?red/);
    }
    expect(frame(40).slice(0, 3).join("")).not.toContain("model");
  });

  test("a pseudo terminal without a size (0 columns) gets the width of a common one", () => {
    expect(frame(0)).toEqual(frame(undefined));
    expect(widthOf({ columns: 0, write: () => true }, 100)).toBe(100);
  });

  test("the live region cuts lines and rows, so that it finds its first line again", () => {
    const written: string[] = [];
    const region = new LiveRegion({ isTTY: true, columns: 6, rows: 4, write: (text) => written.push(text) });
    region.draw(["first", "second line", ansi("red", "third line"), "4", "5"]);
    expect(written[0]).toBe(
      `${ansi("red", "thir").replace("\u001b[39m", "")}\u001b[39m…\u001b[K\n4\u001b[K\n5\u001b[K\n\u001b[J`,
    );
    region.draw(["x"]);
    expect(written[1]?.startsWith("\u001b[3A\r")).toBe(true);
  });

  test("a cut text has its colours ended", () => {
    expect(cutPainted("ab\u001b[31mcdef\u001b[39m", 4)).toBe("ab\u001b[31mc\u001b[39m…");
    expect(cutPainted("\u001b[31mab\u001b[39m", 2)).toBe("\u001b[31mab\u001b[39m");
    expect([cut("abc", 0), cut("abc", -3), cutPainted("abc", 0)]).toEqual(["", "", ""]);
  });

  test("a terminal that can not move its cursor is written to as a pipe is", () => {
    const stream = Object.assign(process.stdout, {});
    expect(terminalOf(stream, { TERM: "xterm" })).toBe(stream);
    expect(terminalOf(stream, { TERM: "dumb" }).isTTY).toBeUndefined();
  });
});

describe("nothing is said twice", () => {
  const options = { terminal: { columns: 100, write: () => true }, paint: plain, now: () => 15_000 };
  const ended = look({ state: "red", verdict: "2 vertices are not good: x" }, [over(1, nodeFailed())]);

  test("the counts: below the table while the run goes on, in its verdict when it is over", () => {
    expect(tableFrame(look({}), options).join("\n")).toContain("1 failed");
    const screen = [...tableFrame(ended, options), ...verdictText(ended, plain)].join("\n");
    expect(screen.match(/\d failed/g)).toHaveLength(1);
  });

  const withCause = (verdict: string, sentence: string, lines: readonly string[]) =>
    verdictText(
      { ...ended, verdict, causes: [{ kind: "run", sentence, lines, gates: 0, nextStep: "Mend it." }] },
      plain,
    );

  test("a verdict that goes on with its first cause leaves it to the cause", () => {
    const lines = withCause(
      "2 vertices are not good: model.x failed: Error\n  more",
      "model.x failed: Error\n  more",
      [],
    );
    expect(lines[0]).toBe("✘ red  2 vertices are not good.");
    expect(lines.filter((line) => line.includes("model.x failed"))).toHaveLength(1);
  });

  test("a verdict that is its cause stands once, without the log's lines that it has already", () => {
    const sentence = "dbt refused its arguments: Usage: dbt build Error: no such option";
    const lines = withCause(sentence, sentence, ["Usage: dbt build", "  Error: no such option", "further\nwords"]);
    expect(lines[0]).toBe(`✘ red  ${sentence}`);
    expect(lines.filter((line) => line.includes("no such option"))).toHaveLength(1);
    expect(lines.slice(-3)).toEqual(["         further", "         words", "         → Mend it."]);
  });

  test("phases that go on after an interrupt are not drawn below it", () => {
    for (const isTTY of [true, false]) {
      const written: string[] = [];
      const terminal = { isTTY, write: (text: string) => written.push(text) };
      const board = new PhaseBoard({ terminal, paint: plain, now: () => 0 });
      board.begin("starting");
      board.close();
      const before = written.length;
      board.end("starting", "http://…");
      board.begin("deploying");
      board.note("deploying", "Bootstrapping the CDK …");
      expect(written).toHaveLength(before);
    }
  });
});
