import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TaskStartError } from "./ecs-errors.ts";

/**
 * What stands for a container image on a machine without containers: the `config` of an OCI image, whose programs are
 * those of this machine. Kept as `<state folder>/images/<image reference, URI-encoded>.json`.
 */
export interface LocalImage {
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  /** By name, or as OCI writes it: a list of NAME=value. */
  readonly Env?: Readonly<Record<string, string>> | readonly string[];
  readonly WorkingDir?: string;
}

function imagePath(stateDir: string, reference: string): string {
  return join(stateDir, "images", `${encodeURIComponent(reference)}.json`);
}

/** Makes an image known to the embedded AWS; a running container is not affected. */
export function writeLocalImage(stateDir: string, reference: string, image: LocalImage): void {
  const path = imagePath(stateDir, reference);
  mkdirSync(join(stateDir, "images"), { recursive: true });
  writeFileSync(`${path}.${process.pid}`, JSON.stringify(image, null, 2));
  renameSync(`${path}.${process.pid}`, path);
}

/** @throws {TaskStartError} CannotPullContainerError when there is no such image, or it is no image */
export function readLocalImage(stateDir: string, reference: string): LocalImage {
  try {
    return JSON.parse(readFileSync(imagePath(stateDir, reference), "utf8")) as LocalImage;
  } catch (error) {
    const why = error instanceof SyntaxError ? "its local image is no JSON" : "not found among the local images";
    throw new TaskStartError(`CannotPullContainerError: pull image manifest has been retried: ${reference}: ${why}`);
  }
}

export function environmentOf(image: LocalImage): Record<string, string> {
  const env = image.Env ?? {};
  if (!isList(env)) return { ...env };
  return Object.fromEntries(env.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]));
}

function isList(env: NonNullable<LocalImage["Env"]>): env is readonly string[] {
  return Array.isArray(env);
}
