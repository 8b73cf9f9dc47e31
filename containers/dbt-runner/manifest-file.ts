import { join } from "node:path";
import { type Manifest, ManifestReader } from "#core/dbt/manifest.ts";
import { readPieces } from "./read-pieces.ts";

/** Reads the manifest in a target folder of dbt. Throws ManifestUnreadable, or what the file system throws. */
export async function readManifestFile(targetDir: string): Promise<Manifest> {
  const reader = new ManifestReader();
  await readPieces(join(targetDir, "manifest.json"), (bytes) => reader.push(bytes));
  return reader.end();
}
