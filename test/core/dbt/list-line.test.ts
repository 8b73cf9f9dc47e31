import { describe, expect, it } from "vitest";
import { agreesWithManifest, readListLine } from "#core/dbt/list-line.ts";
import { readManifest } from "#core/dbt/manifest.ts";

const node = (unique_id: string, fqn: string[], original_file_path: string) => ({
  unique_id,
  resource_type: unique_id.split(".")[0],
  fqn,
  original_file_path,
});
const TEST = node("test.shop.not_null_a_id.abc", ["shop", "not_null_a_id"], "models/schema.yml");
const PACKAGED = node("model.annex.tariff", ["annex", "tariff"], "models/tariff.sql");
const manifest = readManifest(
  JSON.stringify({ metadata: {}, nodes: { [TEST.unique_id]: TEST, [PACKAGED.unique_id]: PACKAGED } }),
);
const listed = (entry: object) => readListLine(JSON.stringify(entry))!;

describe("entries of dbt's list", () => {
  it("H6: dbt 2 lists a generic test by a file that it has made of it, and a package's model by its place in the project: both are planned", () => {
    const generated = { ...TEST, original_file_path: "target/generic_tests/not_null_a_id.sql" };
    expect(agreesWithManifest(listed(generated), manifest)).toBe(true);
    const placed = { ...PACKAGED, original_file_path: "packages/annex/models/tariff.sql" };
    expect(agreesWithManifest(listed(placed), manifest)).toBe(true);
  });

  it("A23: an entry that says something else of a vertex than the manifest is none of dbt's", () => {
    expect(agreesWithManifest(listed({ ...PACKAGED, fqn: ["shop", "tariff"] }), manifest)).toBe(false);
    expect(agreesWithManifest(listed({ ...PACKAGED, resource_type: "seed" }), manifest)).toBe(false);
  });

  it("A23: a line with more keys, or fewer, than were asked for is no entry", () => {
    expect(readListLine(JSON.stringify({ unique_id: "model.shop.ghost", resource_type: "model" }))).toBeNull();
    expect(readListLine(JSON.stringify({ ...PACKAGED, name: "tariff" }))).toBeNull();
  });
});
