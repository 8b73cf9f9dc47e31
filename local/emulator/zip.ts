import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, normalize, sep } from "node:path";
import { inflateRawSync } from "node:zlib";

const END_OF_DIRECTORY = 0x06054b50;
const DIRECTORY_ENTRY = 0x02014b50;
const END_SIZE = 22;
const MAX_COMMENT = 65_535;
const STORED = 0;
const DEFLATED = 8;

/** The bytes are not a zip archive that this reader understands. */
class ZipError extends Error {
  override readonly name = "ZipError";
}

/**
 * Writes the files of a zip archive below a folder. It reads what Lambda's code archives are: stored or deflated
 * entries, at most 4 GB, no encryption.
 *
 * @throws {ZipError} also for an entry that would be written outside of the folder
 */
export function unzip(archive: Buffer, folder: string): void {
  const end = endOfDirectory(archive);
  const entries = archive.readUInt16LE(end + 10);
  let position = archive.readUInt32LE(end + 16);
  for (let index = 0; index < entries; index += 1) {
    if (archive.readUInt32LE(position) !== DIRECTORY_ENTRY) throw new ZipError(`Entry ${index} of the zip is broken.`);
    const nameLength = archive.readUInt16LE(position + 28);
    const name = archive.toString("utf8", position + 46, position + 46 + nameLength);
    if (!name.endsWith("/")) write(folder, name, contentOf(archive, position, name));
    position += 46 + nameLength + archive.readUInt16LE(position + 30) + archive.readUInt16LE(position + 32);
  }
}

function endOfDirectory(archive: Buffer): number {
  const last = archive.length - END_SIZE;
  for (let position = last; position >= Math.max(0, last - MAX_COMMENT); position -= 1) {
    if (archive.readUInt32LE(position) === END_OF_DIRECTORY) return position;
  }
  throw new ZipError("The code of the function is not a zip archive.");
}

function contentOf(archive: Buffer, entry: number, name: string): Buffer {
  const method = archive.readUInt16LE(entry + 10);
  const size = archive.readUInt32LE(entry + 20);
  const header = archive.readUInt32LE(entry + 42);
  // The lengths in the local header may differ from those in the directory.
  const start = header + 30 + archive.readUInt16LE(header + 26) + archive.readUInt16LE(header + 28);
  const packed = archive.subarray(start, start + size);
  if (method === STORED) return packed;
  if (method === DEFLATED) return inflateRawSync(packed);
  throw new ZipError(`The file "${name}" of the zip is packed by method ${method}, which is not supported.`);
}

function write(folder: string, name: string, content: Buffer): void {
  const path = join(folder, normalize(name));
  if (!path.startsWith(folder + sep)) throw new ZipError(`The zip holds "${name}", which lies outside of its folder.`);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}
