import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { jsonSchemas } from "./json-schemas.ts";
import { schemaFiles } from "./schema-files.ts";

/** `npm run schemas`: writes the JSON Schemas that the package carries. A test holds that they are current. */
const root = join(import.meta.dirname, "..");
for (const [path, text] of Object.entries({ ...schemaFiles(), ...jsonSchemas() })) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
  process.stdout.write(`${path}\n`);
}
