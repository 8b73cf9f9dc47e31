import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";

/** What was last deployed to one place, the embedded AWS or an endpoint: `<its folder>/deployment.json`. Written by deploy, read by every command. */
const deploymentRecordSchema = z.object({
  stackName: z.string(),
  outputs: z.record(z.string(), z.string()),
  /** {@link fingerprint} of what was deployed. */
  fingerprint: z.string(),
  configPath: z.string(),
  /** The stack's projects; a deploy of an older version did not write them. */
  projects: z.array(z.string()).optional(),
  /** Of the place: a turn is never shorter there. */
  leastTurnSeconds: z.number().optional(),
});
export type DeploymentRecord = z.infer<typeof deploymentRecordSchema>;

export const deploymentPath = (stateDir: string): string => join(stateDir, "deployment.json");

/** Null if nothing was deployed, or the file is none of ours (an older version's): then it is deployed again. */
export function readDeployment(stateDir: string): DeploymentRecord | null {
  let text: string;
  try {
    text = readFileSync(deploymentPath(stateDir), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  try {
    return deploymentRecordSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** Written aside and renamed: a reader never sees half a file. */
export function writeDeployment(stateDir: string, deployment: DeploymentRecord): void {
  const path = deploymentPath(stateDir);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.${process.pid}`, JSON.stringify(deployment, null, 2));
  renameSync(`${path}.${process.pid}`, path);
}

/** Everything that ends in the template or in a bundle. `local` is not here: the emulator is no part of the stack. */
const SOURCES = [
  "core",
  "clients",
  "functions",
  "containers",
  "infra",
  "cdk.json",
  "package-lock.json",
  "tsconfig.json",
];

/**
 * Hash of the sources that a deploy is made of, of stepwatch.yaml, and of what a place changes of it. About 150 small files, a few milliseconds: that
 * is why nothing is synthesised only to find that nothing has changed.
 */
export function fingerprint(root: string, configPath: string, leastTurnSeconds = 0): string {
  const hash = createHash("sha256").update(configPath).update(readFileSync(configPath));
  if (leastTurnSeconds !== 0) hash.update(`\0turn ${leastTurnSeconds}\0`);
  for (const source of SOURCES) addTree(hash, join(root, source), source);
  return hash.digest("hex");
}

function addTree(hash: ReturnType<typeof createHash>, path: string, name: string): void {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (stats.isFile()) {
    hash.update(`\0${name}\0`).update(readFileSync(path));
    return;
  }
  for (const entry of readdirSync(path).sort()) addTree(hash, join(path, entry), `${name}/${entry}`);
}
