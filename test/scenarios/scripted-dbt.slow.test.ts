import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { DEFAULT_DBT_PACKAGES } from "#core/config.ts";
import { exactSelection } from "#core/dbt/exact-selection.ts";
import { ensureVenv } from "#local/python.ts";
import {
  type DrawnGraph,
  drawGraphs,
  projectFiles,
  realIds,
  recordedGraphs,
  writeRecordedGraphs,
} from "../support/drawn-graphs.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { wordsOfDbt } from "../support/words-of-dbt.ts";

/** One real `dbt build` of all graphs, of exactly what their runs select, above tables that stand; then `dbt retry`. */
async function built(graphs: readonly DrawnGraph[]): Promise<DrawnGraph[]> {
  const folder = temporaryFolder("drawn-graphs");
  write(folder, [...projectFiles(graphs)]);
  const address = { resourceType: "", packageName: "", originalFilePath: "", fqn: [] };
  const vertices = graphs.flatMap((graph) =>
    [...realIds(graph).values()].map((uniqueId) => ({ uniqueId, ...address })),
  );
  const selection = exactSelection({ dbtVersion: "1.11.16", vertices, stateDir: join(folder, "state"), options: {} });
  write(
    "/",
    selection.files.map(({ path, content }) => [path, content]),
  );
  const { bin } = await ensureVenv(DEFAULT_DBT_PACKAGES, { label: "the dbt environment" });
  const dbt = join(bin, "dbt");
  await linesOf(dbt, ["run", "--vars", '{"told": false}'], folder);
  const told = ["build", "--log-format", "json", "--vars", '{"told": true}'];
  const said = wordsOfDbt(await linesOf(dbt, [...told, ...selection.args], folder));
  const again = wordsOfDbt(await linesOf(dbt, ["retry", "--log-format", "json"], folder));
  return graphs.map((graph) => {
    const ids = [...realIds(graph)];
    const words = ids.flatMap(([id, real]) => (said[real] === undefined ? [] : [[id, said[real]]]));
    const retried = ids.flatMap(([id, real]) => (again[real] === undefined ? [] : [id]));
    return { ...graph, words: Object.fromEntries(words), retried };
  });
}

function write(folder: string, files: readonly (readonly [string, string])[]): void {
  for (const [path, content] of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
}

function linesOf(command: string, args: readonly string[], cwd: string): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout.on("data", (chunk) => {
      text += String(chunk);
    });
    child.once("error", reject);
    child.once("close", () => resolve(text.split("\n")));
  });
}

test("the real dbt ends each vertex of each drawn graph as its recording says (STEPWATCH_RECORD=1 draws and records anew)", async () => {
  if (process.env.STEPWATCH_RECORD) writeRecordedGraphs(await built(drawGraphs(60)));
  const recorded = recordedGraphs();
  for (const { seed, words } of recorded) expect(Object.keys(words).length, `graph ${seed}`).toBeGreaterThan(0);
  expect(await built(recorded)).toEqual(recorded);
});
