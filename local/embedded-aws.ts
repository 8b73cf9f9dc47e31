import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { traceFolderOf } from "./ecs/container-launch.ts";
import { endLeftoverContainers } from "./ecs/leftover-containers.ts";
import { MINISTACK_REQUIREMENTS } from "./emulator/ministack.ts";
import { checkPorts } from "./emulator/ports.ts";
import { readRecord, removeRecord, type SupervisorRecord, writeRecord } from "./emulator/supervisor-files.ts";
import type { Endpoints } from "./endpoints.ts";
import { EmbeddedAwsError } from "./errors.ts";
import type { FunctionCalls } from "./lambda/lambda-host.ts";
import { withLock } from "./lock-file.mjs";
import { ownProgram } from "./own-files.ts";
import { isRunning, signalIfRunning, startMarkOf, waitUntilEnded } from "./process-identity.mjs";
import { ensureVenv } from "./python.ts";

export interface EmbeddedAwsOptions {
  /** Folder of one embedded AWS: its record, logs, images, unpacked functions. */
  readonly stateDir: string;
  /** Folder that keeps Python environments; `stateDir` if absent. Several embedded AWS may share one. */
  readonly venvStateDir?: string;
  readonly onProgress?: (line: string) => void;
}

export interface EmbeddedAwsStatus {
  readonly running: boolean;
  readonly endpoints?: Endpoints;
  /** ECS tasks that are not STOPPED. */
  readonly runningTasks?: number;
  /** Memory of the supervisor with all functions in it; MiniStack and containers are processes of their own. */
  readonly supervisorRssBytes?: number;
  /** What each Lambda function was called for since it began, by name. */
  readonly functions?: Readonly<Record<string, FunctionCalls>>;
}

interface Health {
  readonly nonce: string;
  readonly ready: boolean;
  readonly runningTasks: number;
  readonly rssBytes: number;
  readonly functions: Readonly<Record<string, FunctionCalls>>;
}

const SUPERVISOR = ownProgram("emulator/supervisor");
/** More than the supervisor gives containers (10 s) and MiniStack (5 s) to end. */
const STOP_WITHIN_MS = 25_000;
const HEALTH_WITHIN_MS = 5_000;

/**
 * Makes sure that the embedded AWS of this folder runs, in the background, and says where. It stays up until
 * {@link down}. A healthy one is used as it is.
 *
 * @throws {EmbeddedAwsError | PythonEnvironmentError} with one sentence for the person at the terminal
 */
export async function up(options: EmbeddedAwsOptions): Promise<Endpoints> {
  const { onProgress } = options;
  const stateDir = resolve(options.stateDir);
  checkPorts(process.env);
  makeFolder(stateDir);
  const venv = await ensureVenv(MINISTACK_REQUIREMENTS, {
    label: "the environment of the AWS emulator",
    stateDir: options.venvStateDir ?? stateDir,
    ...(onProgress === undefined ? {} : { onProgress }),
  });
  return withLock(join(stateDir, "embedded-aws.lock"), async () => {
    const healthy = await status({ stateDir });
    if (healthy.endpoints !== undefined) return healthy.endpoints;
    await endWhatIsLeft(stateDir);
    onProgress?.("Starting the embedded AWS …");
    await startSupervisor(stateDir, join(venv.bin, "python"));
    const { endpoints } = readRecord(stateDir) ?? {};
    if (endpoints === undefined)
      throw new EmbeddedAwsError(`The embedded AWS ended at its start: see ${logOf(stateDir)}.`);
    return endpoints;
  });
}

/** Ends the embedded AWS of this folder with all of its containers; nothing to do is fine. */
export async function down(options: Pick<EmbeddedAwsOptions, "stateDir">): Promise<void> {
  const stateDir = resolve(options.stateDir);
  const record = readRecord(stateDir);
  if (record !== undefined && signalIfRunning(record.supervisor, "SIGTERM")) {
    await waitUntilEnded(record.supervisor, STOP_WITHIN_MS);
  }
  await endWhatIsLeft(stateDir);
}

export async function status({ stateDir }: Pick<EmbeddedAwsOptions, "stateDir">): Promise<EmbeddedAwsStatus> {
  const record = readRecord(stateDir);
  if (record?.endpoints === undefined || !isRunning(record.supervisor)) return { running: false };
  const health = await healthOf(record.endpoints);
  if (health?.nonce !== record.nonce || !health.ready) return { running: false };
  return {
    running: true,
    endpoints: record.endpoints,
    runningTasks: health.runningTasks,
    supervisorRssBytes: health.rssBytes,
    functions: health.functions,
  };
}

/**
 * Empties the embedded AWS: stops its containers and forgets all that was deployed and stored.
 *
 * @throws {EmbeddedAwsError} when it does not run
 */
export async function reset({ stateDir }: Pick<EmbeddedAwsOptions, "stateDir">): Promise<void> {
  const record = readRecord(stateDir);
  const { running } = await status({ stateDir });
  if (!running || record?.endpoints === undefined) {
    throw new EmbeddedAwsError("The embedded AWS does not run, so there is nothing to reset: start it first.");
  }
  const answer = await fetch(`${record.endpoints.ecsEndpointUrl}/_reset`, {
    method: "POST",
    headers: { "x-nonce": record.nonce },
  });
  if (!answer.ok) throw new EmbeddedAwsError(`The embedded AWS could not be reset: see ${logOf(stateDir)}.`);
}

async function healthOf(endpoints: Endpoints): Promise<Health | undefined> {
  try {
    const answer = await fetch(`${endpoints.ecsEndpointUrl}/_health`, {
      signal: AbortSignal.timeout(HEALTH_WITHIN_MS),
    });
    return (await answer.json()) as Health;
  } catch {
    return undefined;
  }
}

async function startSupervisor(stateDir: string, python: string): Promise<void> {
  makeFolder(join(stateDir, "logs"));
  const output = openSync(logOf(stateDir), "w");
  const nonce = randomUUID();
  const settings = JSON.stringify({ stateDir, python, nonce });
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", SUPERVISOR, settings], {
    detached: true,
    stdio: ["ignore", output, output, "pipe"],
  });
  closeSync(output);
  child.unref();
  // From its first moment on it can be ended by `down`; it writes the record itself when it is ready.
  const supervisor = { pid: child.pid ?? 0, startMark: startMarkOf(child.pid ?? 0) ?? "" };
  writeRecord(stateDir, { nonce, supervisor, ministack: undefined, endpoints: undefined });
  const said = await text(child.stdio[3] as NodeJS.ReadableStream);
  const { error } = JSON.parse(said.trim() || '{"error":""}') as { error?: string };
  if (error === undefined) return;
  throw new EmbeddedAwsError(error || `The embedded AWS could not be started: see ${logOf(stateDir)}.`);
}

/** After a supervisor that did not end by itself: it and its children, each only if it still is the recorded process. */
async function endWhatIsLeft(stateDir: string): Promise<void> {
  const record: SupervisorRecord | undefined = readRecord(stateDir);
  for (const identity of [record?.supervisor, record?.ministack]) {
    if (identity !== undefined && signalIfRunning(identity, "SIGKILL")) await waitUntilEnded(identity, STOP_WITHIN_MS);
  }
  endLeftoverContainers(traceFolderOf(stateDir));
  removeRecord(stateDir);
}

function logOf(stateDir: string): string {
  return join(stateDir, "logs", "embedded-aws.log");
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new EmbeddedAwsError(`The folder ${path} can not be made (${code}): check its permissions and the disk.`, {
      cause: error,
    });
  }
}
