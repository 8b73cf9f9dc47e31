import { describe, expect, it } from "vitest";
import { artefactKeys } from "#core/names.ts";
import { benches, KEY, type Script } from "./bench.ts";

const newBench = benches();

const event = (msg: string, name = "Note", level = "info") => ({ line: { info: { name, msg, level }, data: {} } });
const key = (file: string) => artefactKeys.task(KEY.project, KEY.runId, 1, file);

async function ran(command: readonly string[], script: Script) {
  const container = await newBench({ script, command });
  const exit = await container.container();
  const [, dbt] = container.noted();
  return { exit, container, argv: dbt?.argv ?? [], end: (await container.task()).end };
}

describe("H7: the container of a command", () => {
  it("H7: what dbt says is kept as a person would read it, beside its files, and exit 0 is well", async () => {
    const { exit, container, end, argv } = await ran(["docs", "generate", "--static"], {
      build: [
        event("\u001b[32mBuilding catalog\u001b[0m"),
        { write: ["catalog.json", "{}"] },
        { write: ["index.html", "<html>"] },
        { manifest: true },
      ],
      manifest: { nodes: {} },
    });
    expect(exit).toBe(0);
    expect(argv.slice(0, 2)).toEqual(["docs", "generate"]);
    expect(argv.at(-1)).toBe("--static");
    expect(end).toMatchObject({ exitCode: 0, cause: { kind: "none", sentence: "dbt docs generate ended well." } });
    expect(String(container.objects.get(key("output.txt")))).toBe("Building catalog\n");
    for (const file of ["catalog.json", "index.html", "manifest.json"])
      expect(container.objects.has(key(file)), file).toBe(true);
  });

  it("H7: exit 1 is its failure, with what dbt said last", async () => {
    const { end } = await ran(["run-operation", "grant"], {
      build: [
        event("Running with dbt=1.11.16"),
        event("dbt could not find a macro with the name 'grant'"),
        { exitCode: 1 },
      ],
    });
    expect(end).toMatchObject({ exitCode: 1, inOrder: true });
    expect(end?.cause.kind).not.toBe("none");
    expect(end?.cause.sentence).toContain("could not find a macro with the name 'grant'");
  });

  it("H7: an answer is its standard output as it is", async () => {
    const rows = '{"name": "orders"}\n{"name": "customers"}\n';
    const { container, argv } = await ran(["show", "--inline", "select 1"], { build: [{ text: rows }] });
    expect(argv).toContain("--quiet");
    expect(String(container.objects.get(key("output.txt")))).toBe(rows);
  });

  it("H7: it writes no status of any vertex", async () => {
    const node = { unique_id: "model.shop.orders", resource_type: "model", node_status: "success" };
    const { container } = await ran(["test"], {
      build: [
        {
          line: {
            info: { name: "LogTestResult", msg: "PASS", level: "info" },
            data: { node_info: node, status: "pass" },
          },
        },
      ],
    });
    expect(container.writes).toEqual([]);
  });
});
