import { execFileSync } from "node:child_process";
import {
  closeSync,
  createReadStream,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createGzip } from "node:zlib";
import { isKeyFile } from "../../infra/key-files.ts";
import { type Engine, engineOutput } from "./engine.ts";

/** One layer of an image, or its configuration. */
export interface Layer {
  readonly bytes: number;
  /** As a registry keeps it, and a task pulls it. */
  readonly compressedBytes: number;
  readonly madeBy: string;
}

/** What an image holds, and what it must not. */
export interface ImageContents {
  readonly layers: readonly Layer[];
  /** Files of ours that look like keys. */
  readonly keys: readonly string[];
  /** Names of those secrets whose value stands somewhere in a layer or in the configuration. */
  readonly leaked: readonly string[];
}

/** Folders of the image that stepwatch and the project fill; in what the base brings, certificates and keys of others lie. */
const OURS = ["stepwatch", "home", "build", "run/secrets", "root"];

/**
 * Takes an image apart as a registry would get it: every layer's size, key-like files, and each secret's value searched
 * in all bytes, those of files that a later layer deletes among them.
 */
export async function readLayers(
  engine: Engine,
  image: string,
  secrets: ReadonlyMap<string, string>,
): Promise<ImageContents> {
  const folder = mkdtempSync(join(tmpdir(), "stepwatch-layers-"));
  try {
    const archive = join(folder, "image.tar");
    await engineOutput(engine, ["save", "--output", archive, image]);
    execFileSync("tar", ["-xf", archive, "-C", folder]);
    rmSync(archive);
    const [manifest] = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")) as [
      { Config: string; Layers: string[] },
    ];
    const config = readFileSync(join(folder, manifest.Config));
    const { history = [] } = JSON.parse(config.toString()) as {
      history?: { created_by?: string; empty_layer?: boolean }[];
    };
    const steps = history.filter(({ empty_layer }) => empty_layer !== true).map(({ created_by }) => created_by ?? "");
    const leaked = new Set([...secrets].filter(([, value]) => config.includes(value)).map(([name]) => name));
    const layers: Layer[] = [];
    const keys: string[] = [];
    for (const [n, path] of manifest.Layers.entries()) {
      const file = join(folder, path);
      const { bytes, compressedBytes, found } = await scan(file, secrets);
      for (const name of found) leaked.add(name);
      keys.push(...keysIn(file, join(folder, `layer-${n}`)));
      layers.push({ bytes, compressedBytes, madeBy: steps[n] ?? "" });
    }
    return { layers, keys, leaked: [...leaked] };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A layer's sizes, and which secrets stand in it. */
async function scan(file: string, secrets: ReadonlyMap<string, string>) {
  const zipped = isGzip(file);
  const found = new Set<string>();
  const longest = Math.max(0, ...[...secrets.values()].map((value) => Buffer.byteLength(value)));
  let bytes = 0;
  let compressedBytes = 0;
  let tail = Buffer.alloc(0);
  const look = new PassThrough();
  look.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    const text = Buffer.concat([tail, chunk]);
    for (const [name, value] of secrets) if (text.includes(value)) found.add(name);
    tail = text.subarray(Math.max(0, text.length - longest));
  });
  const gzip = createGzip();
  gzip.on("data", (chunk: Buffer) => {
    compressedBytes += chunk.length;
  });
  const source = createReadStream(file, { highWaterMark: 2 ** 20 });
  const plain = zipped ? source.pipe(createGunzip()) : source;
  plain.pipe(look);
  await pipeline(plain, gzip);
  return { bytes, compressedBytes: zipped ? statSync(file).size : compressedBytes, found };
}

function isGzip(file: string): boolean {
  const start = Buffer.alloc(2);
  const handle = openSync(file, "r");
  readSync(handle, start, 0, 2, 0);
  closeSync(handle);
  return start[0] === 0x1f && start[1] === 0x8b;
}

function keysIn(layer: string, folder: string): string[] {
  mkdirSync(folder);
  const names = execFileSync("tar", ["-tf", layer], { maxBuffer: 2 ** 28 })
    .toString()
    .split("\n");
  const ours = names.filter(
    (name) => !name.endsWith("/") && OURS.some((place) => name.replace(/^\.\//, "").startsWith(`${place}/`)),
  );
  if (ours.length === 0) return [];
  execFileSync("tar", ["-xf", layer, "-C", folder, "--no-same-owner", "--files-from", "-"], { input: ours.join("\n") });
  const keys = filesBelow(folder)
    .filter((file) => isKeyFile(file, true))
    .map((file) => file.slice(folder.length));
  rmSync(folder, { recursive: true, force: true });
  return keys;
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return filesBelow(path);
    return entry.isFile() ? [path] : [];
  });
}
