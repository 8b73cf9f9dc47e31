import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { unsignedAuthorization } from "../emulator/aws-json.ts";
import { unzip } from "../emulator/zip.ts";
import { modulesWith } from "../own-files.ts";

/** The AWS SDK is part of Lambda's Node runtime: CDK's own functions do not bring it along. */
const RUNTIME_SCOPES = ["@aws-sdk", "@smithy"] as const;

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

/** Who knows the functions. */
export interface FunctionSource {
  readonly emulatorUrl: string;
  readonly region: string;
  readonly accessKeyId?: string | undefined;
}

/** Changes with code and settings of a function, for a caller that does not say it. */
export async function deployedRevision(source: FunctionSource, name: string, version: string): Promise<string> {
  const { Configuration } = await getFunction(source, name, version);
  const { CodeSha256, Handler, Timeout, Environment, LoggingConfig } = Configuration;
  return JSON.stringify([CodeSha256, Handler, Timeout, Environment, LoggingConfig]);
}

/** Reads a function from the emulator and unpacks its code, once for each CodeSha256, below `codeRoot`. */
export async function fetchFunction(
  source: FunctionSource,
  name: string,
  version: string,
  codeRoot: string,
): Promise<DeployedFunction> {
  const { Configuration, Code } = await getFunction(source, name, version);
  const codeDir = await unpack(source, Configuration, Code.Location, codeRoot);
  return { configuration: Configuration, codeDir };
}

async function getFunction(
  { emulatorUrl, region, accessKeyId }: FunctionSource,
  name: string,
  version: string,
): Promise<{ readonly Configuration: FunctionConfiguration; readonly Code: { readonly Location: string } }> {
  const query = version === "$LATEST" ? "" : `?Qualifier=${encodeURIComponent(version)}`;
  const url = `${emulatorUrl}/2015-03-31/functions/${encodeURIComponent(name)}${query}`;
  const headers = { authorization: unsignedAuthorization("lambda", region, accessKeyId) };
  const response = await fetch(url, { headers });
  if (!response.ok) throw new Error(`GetFunction of "${name}" failed with HTTP ${response.status}.`);
  return (await response.json()) as Awaited<ReturnType<typeof getFunction>>;
}

async function unpack(
  { emulatorUrl }: FunctionSource,
  configuration: FunctionConfiguration,
  location: string,
  codeRoot: string,
): Promise<string> {
  const codeDir = join(codeRoot, Buffer.from(configuration.CodeSha256, "base64").toString("hex").slice(0, 32));
  if (existsSync(join(codeDir, "package.json"))) return codeDir;
  const response = await readAt(location, emulatorUrl);
  if (!response.ok) throw new Error(`The code of "${configuration.FunctionName}" was not found (${response.status}).`);
  rmSync(codeDir, { recursive: true, force: true });
  mkdirSync(codeDir, { recursive: true });
  linkRuntimePackages(codeRoot);
  unzip(Buffer.from(await response.arrayBuffer()), codeDir);
  // Without one, a package.json further up would decide what a ".js" file is. Written last, it marks the folder as whole.
  if (!existsSync(join(codeDir, "package.json"))) writeFileSync(join(codeDir, "package.json"), '{"type":"commonjs"}');
  return codeDir;
}

/**
 * An engine names its own code by its public name: LocalStack by `localhost.localstack.cloud`, which is an address only
 * where there is a DNS of the internet. Where that name leads nowhere, the same path is asked for where the engine answers.
 */
async function readAt(location: string, emulatorUrl: string): Promise<Response> {
  try {
    return await fetch(location);
  } catch {
    const { pathname, search } = new URL(location);
    return await fetch(new URL(`${pathname}${search}`, emulatorUrl));
  }
}

/** Beside the functions' folders, where Node looks for what a function does not have itself. */
function linkRuntimePackages(codeRoot: string): void {
  const folder = join(codeRoot, "node_modules");
  mkdirSync(folder, { recursive: true });
  for (const scope of RUNTIME_SCOPES) {
    const modules = modulesWith(scope);
    if (modules !== null && !existsSync(join(folder, scope))) symlinkSync(join(modules, scope), join(folder, scope));
  }
}
