import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { compatibilityDocument, realRuns } from "../support/compatibility-document.ts";

test("A12: docs/dbt-compatibility.md is what the recordings say; write it anew with test/support/compatibility.ts", async () => {
  const written = readFileSync(new URL("../../docs/dbt-compatibility.md", import.meta.url), "utf8");
  expect(written).toBe(await compatibilityDocument(realRuns()));
});
