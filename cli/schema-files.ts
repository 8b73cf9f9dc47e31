import { z } from "zod";
import { eventDetailSchemas } from "#core/contracts/events.ts";

/** JSON Schemas of what leaves stepwatch, by their paths in the package. */
export function schemaFiles(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(eventDetailSchemas).map(([detailType, schema]) => [
      `schemas/events/${detailType.toLowerCase().replaceAll(" ", "-")}.json`,
      // Open: a later edition of a contract adds fields, and who reads an older one is not to refuse them.
      written(z.toJSONSchema(schema, { io: "input", override: open }), `Detail of the event "${detailType}"`),
    ]),
  );
}

const open = ({ jsonSchema }: { jsonSchema: { additionalProperties?: unknown } }): void => {
  if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
};

const written = ({ $schema, ...schema }: object & { $schema?: unknown }, title: string): string =>
  `${JSON.stringify({ $schema, title, ...schema }, null, 2)}\n`;
