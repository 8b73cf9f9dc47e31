import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { documentWithSamples } from "../support/alert-samples.ts";

test("H4: the samples of docs/alerts.md are what a recorded run makes; write them anew with test/support/alert-samples.ts", async () => {
  const document = readFileSync(join(import.meta.dirname, "../../docs/alerts.md"), "utf8");
  expect(document).toBe(await documentWithSamples());
});
