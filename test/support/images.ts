import { readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LocalImage } from "#local/ecs/local-image.ts";
import type { Deployed } from "./e2e-setup.ts";

/** The image that the deploy has made of a project's folder; every task that starts reads it. */
export function imageOf(
  { stateDir }: Deployed,
  projectDir: string,
): { readonly path: string; readonly image: LocalImage } {
  const folder = join(stateDir, "images");
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const image = JSON.parse(readFileSync(path, "utf8")) as LocalImage;
    if (image.WorkingDir === projectDir) return { path, image };
  }
  throw new Error(`No image of ${projectDir} in ${folder}.`);
}

/** While `act` goes on, containers of the project get one variable more. */
export async function withVariable<T>(
  deployed: Deployed,
  projectDir: string,
  variable: Readonly<Record<string, string>>,
  act: () => Promise<T>,
): Promise<T> {
  const { path, image } = imageOf(deployed, projectDir);
  writeFileSync(path, JSON.stringify({ ...image, Env: { ...image.Env, ...variable } }));
  try {
    return await act();
  } finally {
    writeFileSync(path, JSON.stringify(image));
  }
}

/** While `act` goes on, the project's image can not be pulled. */
export async function withoutImage<T>(deployed: Deployed, projectDir: string, act: () => Promise<T>): Promise<T> {
  const { path } = imageOf(deployed, projectDir);
  const away = join(deployed.folder, "image-away.json");
  renameSync(path, away);
  try {
    return await act();
  } finally {
    renameSync(away, path);
  }
}
