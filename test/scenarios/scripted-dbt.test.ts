import { describe, expect, it } from "vitest";
import { recordedGraphs, scriptedWords } from "../support/drawn-graphs.ts";

describe("the scripted dbt of the simulation", () => {
  it.each(recordedGraphs())("ends each vertex of drawn graph $seed as dbt 1.11 did", (graph) => {
    // dbt 1 names no vertex that it skipped for an ephemeral model which could not be compiled.
    const named = Object.entries(scriptedWords(graph)).filter(
      ([id, word]) => word !== "skipped" || graph.words[id] !== undefined,
    );
    expect(Object.fromEntries(named)).toEqual(graph.words);
  });
});
