import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { urlOf } from "../endpoints.ts";
import { EmbeddedAwsError } from "../errors.ts";
import { type ProcessIdentity, startMarkOf, waitUntilEnded } from "../process-identity.mjs";
import { HOST } from "./ports.ts";

/**
 * The emulator of everything but ECS and the running of functions. The version is exact, since our patches replace
 * functions of it by name: the launcher refuses any other. To move it: change it here, run the emulator tests (each
 * patch has one), and correct the table in local/README.md where a gap has closed.
 */
const MINISTACK_VERSION = "1.5.33";
export const MINISTACK_REQUIREMENTS = [`ministack==${MINISTACK_VERSION}`] as const;

const READY_WITHIN_MS = 60_000;
const POLL_MS = 25;
const STOP_GRACE_MS = 5_000;
const LAUNCHER = join(dirname(fileURLToPath(import.meta.url)), "ministack_launcher.py");

export interface MiniStackOptions {
  /** Python of the environment that has MINISTACK_REQUIREMENTS. */
  readonly python: string;
  readonly port: number;
  readonly region: string;
  readonly stateDir: string;
  /** Where invocations of Node functions are sent. */
  readonly lambdaHostUrl: string;
}

export interface MiniStack {
  readonly identity: ProcessIdentity;
  /** Resolves when the process has ended, whoever ended it. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

/** @throws {EmbeddedAwsError} when it ends before it is ready, with the last line that it printed */
export async function startMiniStack(options: MiniStackOptions): Promise<MiniStack> {
  const log = join(options.stateDir, "logs", "ministack.log");
  const child = launch(options, log);
  const pid = child.pid;
  if (pid === undefined) throw new EmbeddedAwsError(`Python (${options.python}) could not be started.`);
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const identity = { pid, startMark: startMarkOf(pid) ?? "" };
  await untilReady(child, urlOf(options.port), log);
  return {
    identity,
    ended,
    stop: async () => {
      child.kill("SIGTERM");
      if (!(await waitUntilEnded(identity, STOP_GRACE_MS))) child.kill("SIGKILL");
      await ended;
    },
  };
}

/** The pipe to its standard input is what tells it that we are gone; see ministack_launcher.py. */
function launch(options: MiniStackOptions, log: string): ChildProcess {
  mkdirSync(dirname(log), { recursive: true });
  const temporary = join(options.stateDir, "tmp");
  mkdirSync(temporary, { recursive: true });
  const output = openSync(log, "w");
  try {
    return spawn(options.python, [LAUNCHER, MINISTACK_VERSION, options.lambdaHostUrl], {
      env: {
        PATH: process.env.PATH ?? "",
        HOME: homedir(),
        LANG: "C.UTF-8",
        TMPDIR: temporary,
        BIND_HOST: HOST,
        GATEWAY_PORT: String(options.port),
        LOG_LEVEL: "WARNING",
        MINISTACK_REGION: options.region,
        STATE_DIR: temporary,
        S3_DATA_DIR: join(temporary, "s3"),
        // It would listen on a port of all interfaces, for a service that nothing here uses.
        IOT_MTLS_ENABLED: "0",
        SFTP_ENABLED: "0",
        DOCKER_HOST: "unix:///dev/null",
      },
      stdio: ["pipe", output, output],
    });
  } finally {
    closeSync(output);
  }
}

async function untilReady(child: ChildProcess, url: string, log: string): Promise<void> {
  const deadline = Date.now() + READY_WITHIN_MS;
  while (Date.now() < deadline) {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new EmbeddedAwsError(`MiniStack ended before it was ready: ${lastLineOf(log)} (all of it is in ${log}).`);
    }
    const answer = await fetch(`${url}/_ministack/ready`).catch(() => undefined);
    if (answer?.ok === true) return;
    await setTimeout(POLL_MS);
  }
  child.kill("SIGKILL");
  throw new EmbeddedAwsError(`MiniStack was not ready after ${READY_WITHIN_MS / 1000} s: see ${log}.`);
}

function lastLineOf(log: string): string {
  return readFileSync(log, "utf8").trimEnd().split("\n").at(-1) ?? "";
}
