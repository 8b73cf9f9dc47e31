import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { unsignedAuthorization } from "../emulator/aws-json.ts";
import { unzip } from "../emulator/zip.ts";

/** The AWS SDK is part of Lambda's Node runtime: CDK's own functions do not bring it along. */
const RUNTIME_SCOPES = ["@aws-sdk", "@smithy"] as const;
const INSTALLED_PACKAGES = fileURLToPath(new URL("../../node_modules/", import.meta.url));

/** The part of GetFunction's answer that running a function needs. */
export interface FunctionConfiguration {
  readonly FunctionName: string;
  readonly FunctionArn: string;
  readonly Version?: string;
  readonly Handler: string;
  /** Seconds. */
  readonly Timeout?: number;
  /** MB. */
  readonly MemorySize?: number;
  readonly CodeSha256: string;
  readonly Environment?: { readonly Variables?: Readonly<Record<string, string>> };
  readonly LoggingConfig?: { readonly LogGroup?: string };
}

export interface DeployedFunction {
  readonly configuration: FunctionConfiguration;
  readonly codeDir: string;
}

/** Reads a function from the emulator and unpacks its code, once for each CodeSha256, below `codeRoot`. */
export async function fetchFunction(
  emulatorUrl: string,
  region: string,
  name: string,
  version: string,
  codeRoot: string,
): Promise<DeployedFunction> {
  const query = version === "$LATEST" ? "" : `?Qualifier=${encodeURIComponent(version)}`;
  const url = `${emulatorUrl}/2015-03-31/functions/${encodeURIComponent(name)}${query}`;
  const response = await fetch(url, { headers: { authorization: unsignedAuthorization("lambda", region) } });
  if (!response.ok) throw new Error(`GetFunction of "${name}" failed with HTTP ${response.status}.`);
  const { Configuration, Code } = (await response.json()) as {
    Configuration: FunctionConfiguration;
    Code: { Location: string };
  };
  return { configuration: Configuration, codeDir: await unpack(Configuration, Code.Location, codeRoot) };
}

async function unpack(configuration: FunctionConfiguration, location: string, codeRoot: string): Promise<string> {
  const codeDir = join(codeRoot, Buffer.from(configuration.CodeSha256, "base64").toString("hex").slice(0, 32));
  if (existsSync(join(codeDir, "package.json"))) return codeDir;
  const response = await fetch(location);
  if (!response.ok) throw new Error(`The code of "${configuration.FunctionName}" was not found (${response.status}).`);
  rmSync(codeDir, { recursive: true, force: true });
  mkdirSync(codeDir, { recursive: true });
  linkRuntimePackages(codeRoot);
  unzip(Buffer.from(await response.arrayBuffer()), codeDir);
  // Without one, a package.json further up would decide what a ".js" file is. Written last, it marks the folder as whole.
  if (!existsSync(join(codeDir, "package.json"))) writeFileSync(join(codeDir, "package.json"), '{"type":"commonjs"}');
  return codeDir;
}

/** Beside the functions' folders, where Node looks for what a function does not have itself. */
function linkRuntimePackages(codeRoot: string): void {
  const folder = join(codeRoot, "node_modules");
  mkdirSync(folder, { recursive: true });
  for (const scope of RUNTIME_SCOPES) {
    if (!existsSync(join(folder, scope))) symlinkSync(join(INSTALLED_PACKAGES, scope), join(folder, scope));
  }
}
