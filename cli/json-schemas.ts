import { z } from "zod";
import { configSchema } from "#core/config.ts";
import { ANSWERING_COMMANDS, answerSchema } from "./json-contracts.ts";

/** The JSON Schemas of the package, by their paths in it: stepwatch.yaml's, and one of each command's `--json`. */
export function jsonSchemas(): Record<string, string> {
  const files = new Map<string, unknown>([
    ["schemas/stepwatch.schema.json", { title: "stepwatch.yaml", ...schemaOf(configSchema, "input") }],
  ]);
  for (const command of ANSWERING_COMMANDS)
    files.set(`schemas/${command}.schema.json`, {
      title: `stepwatch ${command} --json`,
      ...schemaOf(answerSchema(command)!, "output"),
    });
  return Object.fromEntries([...files].map(([file, schema]) => [file, `${JSON.stringify(schema, null, 2)}\n`]));
}

/** What a check says in words alone (two fields together, a value of a list of AWS') the schema leaves out: the command has it. */
const schemaOf = (schema: z.ZodType, io: "input" | "output") =>
  z.toJSONSchema(schema, { io, unrepresentable: "any", target: "draft-7" }) as Record<string, unknown>;
