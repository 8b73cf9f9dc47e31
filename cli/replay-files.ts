import { createReadStream, statSync } from "node:fs";
import { open, readFile } from "node:fs/promises";
import { StringDecoder } from "node:string_decoder";
import { createGunzip, gunzipSync } from "node:zlib";
import { MAX_LINE_CHARACTERS } from "#core/dbt/log-line.ts";
import { type Manifest, readManifest } from "#core/dbt/manifest.ts";
import { type RunResults, readRunResults } from "#core/dbt/run-results.ts";
import { UsageError } from "./failure.ts";

/**
 * The lines of a recorded log, gzipped or not. They end at `\n` alone: JSON may hold other line ends (U+2028) that
 * node:readline would split at. A line that is too long for any reader is cut, so that memory stays bounded.
 */
export async function* linesOf(path: string): AsyncGenerator<string> {
  await refuseUnreadable(path);
  const file = createReadStream(path);
  const bytes = (await isGzipped(path)) ? file.pipe(createGunzip()) : file;
  file.once("error", (error) => bytes.destroy(error));
  const decoder = new StringDecoder("utf8");
  let rest = "";
  try {
    for await (const chunk of bytes) {
      const parts = (rest + decoder.write(chunk as Buffer)).split("\n");
      rest = (parts.pop() ?? "").slice(0, MAX_LINE_CHARACTERS);
      yield* parts;
    }
  } catch (cause) {
    throw unreadable(path, cause);
  }
  if (rest !== "") yield rest;
}

/** run_results.json of a path. */
export async function resultsOf(path: string): Promise<RunResults> {
  const results = readRunResults(await textOf(path));
  if (results !== null) return results;
  throw new UsageError(`${path} is no run_results.json of dbt.`, "Leave --run-results out: the log alone is enough.");
}

/** manifest.json of a path. */
export async function manifestOf(path: string): Promise<Manifest> {
  const text = await textOf(path);
  try {
    return readManifest(text);
  } catch (cause) {
    throw new UsageError(
      `${path} is no whole manifest.json of dbt.`,
      "Leave --manifest out: the log alone is enough.",
      {
        cause,
      },
    );
  }
}

async function textOf(path: string): Promise<string> {
  await refuseUnreadable(path);
  try {
    const bytes = await readFile(path);
    return ((await isGzipped(path)) ? gunzipSync(bytes) : bytes).toString("utf8");
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/** By the file's first two bytes, since a recording is easily renamed. */
async function isGzipped(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(2), 0, 2, 0);
    return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b;
  } finally {
    await file.close();
  }
}

async function refuseUnreadable(path: string): Promise<void> {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw new UsageError(`There is no file ${path}.`, "npx stepwatch replay --help");
  if (found.isDirectory()) {
    throw new UsageError(`${path} is a folder: name the file with dbt's JSON log.`, "npx stepwatch replay --help");
  }
  try {
    await (await open(path)).close();
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

const unreadable = (path: string, cause: unknown) =>
  new UsageError(
    `${path} can not be read: ${cause instanceof Error ? cause.message : String(cause)}.`,
    "npx stepwatch replay --help",
    { cause },
  );
