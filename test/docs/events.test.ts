import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { eventDetailSchemas } from "#core/contracts/events.ts";
import { schemaFiles } from "../../cli/schema-files.ts";

const root = join(import.meta.dirname, "..", "..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");
const document = read("docs/events.md");

test("H4: the JSON Schemas in the package are those of the contracts; write them anew with npm run schemas", () => {
  const files = schemaFiles();
  for (const [path, text] of Object.entries(files)) expect(read(path), path).toBe(text);
  expect(Object.keys(files)).toHaveLength(Object.keys(eventDetailSchemas).length);
});

test("H4: docs/events.md names every event with its schema, and every field of it", () => {
  for (const [detailType, schema] of Object.entries(eventDetailSchemas)) {
    expect(document).toContain(`\`${detailType}\``);
    expect(document).toContain(`schemas/events/${detailType.toLowerCase().replaceAll(" ", "-")}.json`);
    for (const field of Object.keys(schema.shape))
      expect(document, `${detailType}: ${field}`).toContain(`\`${field}\``);
  }
});

test("H3: the sample of docs/events.md is an event of its schema", () => {
  const samples = [...document.matchAll(/```json\n([\s\S]*?)```/g)].map(([, text = ""]) => JSON.parse(text));
  const events = samples.filter((sample) => "detail-type" in sample && "id" in sample);
  expect(events.length).toBeGreaterThan(0);
  for (const event of events)
    eventDetailSchemas[event["detail-type"] as keyof typeof eventDetailSchemas].parse(event.detail);
});
