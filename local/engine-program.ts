import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import { accountOf } from "./emulator/aws-json.ts";
import { HOST, listen } from "./emulator/ports.ts";
import { EMBEDDED_REGION, type Keys, TEST_KEYS } from "./endpoints.ts";
import { sendJson } from "./http-body.ts";
import { withLock } from "./lock-file.mjs";
import { DEFAULT_STATE_DIR } from "./python.ts";

/**
 * What the programs have in common that stand beside somebody else's engine and do what it lacks: flags, region and keys
 * from the environment, an address on loopback, one program a folder, and an end with everything that they have started.
 */

/** Flags of such a program beside its own. */
const COMMON_FLAGS = {
  port: "port to listen on; any free one if absent",
  host: `address to listen on (default ${HOST}); containers of an engine can not reach loopback`,
  rest: "URL of the engine: everything of AWS that this program does not do itself",
  "state-dir": "folder of images, logs and traces (default .stepwatch/endpoint): the one that stepwatch deploy uses",
} as const;

/** How long the engine may take to answer the first time: a person may start both at once. */
const ENGINE_WITHIN_MS = 120_000;
const ASK_AGAIN_MS = 500;

/** The command line or the environment can not be obeyed. */
export class ProgramUsageError extends Error {
  override readonly name = "ProgramUsageError";
}

/** What one program is told, and what it finds out before it begins. */
export interface Setting {
  readonly flags: Readonly<Record<string, string | undefined>>;
  readonly restUrl: string;
  readonly stateDir: string;
  readonly region: string;
  readonly keys: Keys;
  readonly accountId: string;
  /** Where others reach this program; known before anything is answered. */
  readonly ownUrl: string;
}

/** What a program does with its requests, and how it ends. */
export interface Served {
  /** @returns false when the request is for nobody here */
  readonly answer: (request: IncomingMessage, response: ServerResponse) => Promise<boolean>;
  /** Ends all that was started. */
  readonly stop: () => Promise<void>;
}

export interface EngineProgram {
  /** For messages and the lock's name: "ecs". */
  readonly name: string;
  readonly usage: string;
  /** Flags of its own with a line of help each. */
  readonly flags: Readonly<Record<string, string>>;
  readonly start: (setting: Setting) => Promise<Served>;
}

/** Runs a program until it is told to end by SIGTERM or SIGINT. */
export async function runEngineProgram(program: EngineProgram, commandLine = process.argv.slice(2)): Promise<void> {
  try {
    const flags = readFlags(program, commandLine);
    if (flags === null) return;
    const stateDir = flags["state-dir"] ?? join(process.env.STEPWATCH_STATE_DIR || DEFAULT_STATE_DIR, "endpoint");
    const onWait = (pid: number) => say(program, `waiting for process ${pid}, which serves ${stateDir} already …`);
    await withLock(join(stateDir, `${program.name}.lock`), () => serve(program, flags, stateDir), { onWait });
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = error instanceof ProgramUsageError ? 2 : 3;
  }
}

/** Null where help was asked for, and given. @throws {ProgramUsageError} */
function readFlags(program: EngineProgram, commandLine: readonly string[]): Setting["flags"] | null {
  const known = { ...COMMON_FLAGS, ...program.flags };
  const options = Object.fromEntries(Object.keys(known).map((name) => [name, { type: "string" as const }]));
  try {
    const { values } = parseArgs({ args: [...commandLine], options: { ...options, help: { type: "boolean" } } });
    if (values.help === true) {
      const lines = Object.entries(known).map(([name, text]) => `  --${name.padEnd(10)} ${text}`);
      process.stdout.write(`${program.usage}\n\n${lines.join("\n")}\n`);
      return null;
    }
    return values as Record<string, string>;
  } catch (error) {
    throw new ProgramUsageError(`${(error as Error).message} See --help.`);
  }
}

async function serve(program: EngineProgram, flags: Setting["flags"], stateDir: string): Promise<void> {
  const restUrl = urlIn(flags, "rest");
  if (restUrl === undefined) throw new ProgramUsageError("--rest is missing: the URL of the engine. See --help.");
  const { AWS_REGION, AWS_DEFAULT_REGION } = process.env;
  const region = AWS_REGION || AWS_DEFAULT_REGION || EMBEDDED_REGION;
  const keys = keysOf(process.env);
  const stopping = Promise.withResolvers<void>();
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.once(signal, () => stopping.resolve());
  const accountId = await accountWhenReached(program, { restUrl, region, keys, stopping: stopping.promise });
  if (accountId === null) return;
  let served: Served | undefined;
  const server = createServer((request, response) => {
    void answered(served, request, response);
  });
  const host = flags.host ?? HOST;
  const port = await listen(server, portIn(flags), "--port", host);
  const ownUrl = `http://${host}:${port}`;
  served = await program.start({ flags, restUrl, stateDir, region, keys, accountId, ownUrl });
  say(
    program,
    `answers at ${ownUrl}, for ${restUrl} (account ${accountId}, ${region}). SIGTERM ends it with all it runs.`,
  );
  await stopping.promise;
  await served.stop();
  server.close();
  server.closeAllConnections();
}

async function answered(served: Served | undefined, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    if (request.url === "/_health") sendJson(response, 200, { ready: served !== undefined });
    else if ((await served?.answer(request, response)) !== true)
      sendJson(response, 404, { message: "Nothing is served at this address." });
  } catch (error) {
    if (!response.headersSent) sendJson(response, 500, { message: String(error) });
  }
}

interface Engine {
  readonly restUrl: string;
  readonly region: string;
  readonly keys: Keys;
  /** Somebody ends the program. */
  readonly stopping: Promise<void>;
}

/** Null when the program is ended meanwhile. @throws {Error} one sentence, when the engine does not come up */
async function accountWhenReached(program: EngineProgram, engine: Engine): Promise<string | null> {
  const { restUrl, region, keys, stopping } = engine;
  const deadline = Date.now() + ENGINE_WITHIN_MS;
  for (let asked = 0; ; asked += 1) {
    const account = await accountOf(restUrl, region, keys.accessKeyId).catch((error: Error) => error);
    if (typeof account === "string") return account;
    if (Date.now() > deadline) throw new Error(`The engine at ${restUrl} does not answer: ${account.message}.`);
    if (asked === 0) say(program, `waiting for the engine at ${restUrl} …`);
    if (await Promise.race([stopping.then(() => true), setTimeout(ASK_AGAIN_MS, false)])) return null;
  }
}

/** Those of the environment, or what any emulator takes. */
export function keysOf(environment: NodeJS.ProcessEnv): Keys {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_SESSION_TOKEN } = environment;
  if (!accessKeyId || !secretAccessKey) return TEST_KEYS;
  return { accessKeyId, secretAccessKey, ...(AWS_SESSION_TOKEN ? { sessionToken: AWS_SESSION_TOKEN } : {}) };
}

/** @throws {ProgramUsageError} */
export function urlIn(flags: Setting["flags"], name: string): string | undefined {
  const text = flags[name];
  if (text === undefined) return undefined;
  if (!/^https?:$/.test(URL.parse(text)?.protocol ?? ""))
    throw new ProgramUsageError(`--${name} is "${text}", which is no URL: write for example http://127.0.0.1:4566.`);
  return text.replace(/\/+$/, "");
}

function portIn({ port }: Setting["flags"]): number | undefined {
  if (port === undefined) return undefined;
  if (/^\d+$/.test(port) && Number(port) < 65_536) return Number(port);
  throw new ProgramUsageError(`--port is "${port}", which is no port.`);
}

function say(program: EngineProgram, sentence: string): void {
  process.stdout.write(`${program.name}: ${sentence}\n`);
}
