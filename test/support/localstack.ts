import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, createWriteStream, existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { reservePort } from "#local/emulator/ports.ts";
import { ensureVenv } from "#local/python.ts";
import { eventually } from "../local/embedded-aws-fixture.ts";
import { startEmulator } from "./emulator.ts";

const root = join(import.meta.dirname, "../..");
const plugin = join(root, "local/localstack-plugin");
const run = promisify(execFile);

/** LocalStack's open engine as docs/localstack.md starts it: a plain process, and what it lacks beside it. */
export interface LocalStack {
  readonly url: string;
  stop(): Promise<void>;
}

/** An interpreter on which LocalStack loads; null where this machine has none. */
export async function pythonOfLocalStack(): Promise<string | null> {
  const versions = join(homedir(), ".pyenv/versions");
  const installed = existsSync(versions) ? readdirSync(versions).filter((name) => /^3\.1[3-9]\./.test(name)) : [];
  const candidates = ["python3.13", "python3", ...installed.map((name) => join(versions, name, "bin/python3"))];
  for (const name of candidates) {
    const program = "import sys; print(sys.executable if sys.version_info >= (3, 13) else '')";
    const found = await run(name, ["-c", program]).then(
      ({ stdout }) => stdout.trim(),
      () => "",
    );
    if (found !== "") return found;
  }
  return null;
}

/** Starts the engine, a DynamoDB, the ECS endpoint and the host of functions; `folder` takes their logs and state. */
export async function startLocalStack(folder: string, python: string): Promise<LocalStack> {
  const requirements = readFileSync(join(plugin, "requirements.txt"), "utf8").split("\n");
  const venv = await ensureVenv(
    requirements.filter((line) => line !== "" && !line.startsWith("#")),
    { label: "the environment of LocalStack", python },
  );
  const interpreter = join(venv.bin, "python");
  const packages = await installedPlugin(folder, interpreter);
  const [port, ecsPort, lambdaPort] = await Promise.all(
    ["LocalStack", "ECS", "Lambda"].map((of) => reservePort(undefined, of)),
  );
  const dynamodb = await startEmulator();
  const url = `http://127.0.0.1:${port}`;
  const children = [
    started(folder, "localstack", interpreter, ["-m", "localstack.runtime.main"], {
      PYTHONPATH: packages,
      GATEWAY_SERVER: "hypercorn",
      GATEWAY_LISTEN: `127.0.0.1:${port}`,
      DNS_ADDRESS: "0",
      DISABLE_EVENTS: "1",
      SKIP_SSL_CERT_DOWNLOAD: "1",
      FILESYSTEM_ROOT: join(folder, "localstack"),
      LAMBDA_RUNTIME_EXECUTOR: "stepwatch",
      STEPWATCH_LAMBDA_URL: `http://127.0.0.1:${lambdaPort}`,
      PROVIDER_OVERRIDE_ECS: "stepwatch",
      STEPWATCH_ECS_URL: `http://127.0.0.1:${ecsPort}`,
      PROVIDER_OVERRIDE_DYNAMODB: "stepwatch",
      PROVIDER_OVERRIDE_DYNAMODBSTREAMS: "stepwatch",
      STEPWATCH_DYNAMODB_URL: dynamodb.endpoint,
    }),
    ...Object.entries({ ecs: ecsPort, lambda: lambdaPort }).map(([name, own]) =>
      started(
        folder,
        name,
        process.execPath,
        [join(root, `local/${name}/main.ts`), "--port", String(own), "--rest", url],
        { STEPWATCH_STATE_DIR: join(folder, "state") },
      ),
    ),
  ];
  const stop = async () => {
    for (const child of children.reverse()) await ended(child);
    await dynamodb.stop();
  };
  const addresses = [
    `${url}/_localstack/health`,
    ...[ecsPort, lambdaPort].map((own) => `http://127.0.0.1:${own}/_health`),
  ];
  try {
    await eventually(async () => {
      const gone = children.find(({ exitCode }) => exitCode !== null);
      if (gone !== undefined) throw new Error(`${gone.spawnargs.join(" ")} has ended:\n${lastWords(folder)}`);
      const answers = await Promise.all(addresses.map((address) => fetch(address).catch(() => null)));
      return answers.every((answer) => answer?.ok) || undefined;
    }, 120_000);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, stop };
}

const lastWords = (folder: string) => readFileSync(join(folder, "localstack.log"), "utf8").slice(-2_000);

/** The plugin as it is in this checkout, beside the environment: that one is kept, and known by its requirements alone. */
async function installedPlugin(folder: string, interpreter: string): Promise<string> {
  const copy = join(folder, "plugin");
  const target = join(folder, "packages");
  cpSync(plugin, copy, { recursive: true });
  const options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--target", target];
  await run(interpreter, ["-m", "pip", "install", ...options, copy]);
  return target;
}

function started(
  folder: string,
  name: string,
  command: string,
  args: string[],
  own: Record<string, string>,
): ChildProcess {
  mkdirSync(folder, { recursive: true });
  const { PATH, HOME } = process.env;
  const child = spawn(command, args, { env: { PATH, HOME, ...own }, stdio: ["ignore", "pipe", "pipe"] });
  const log = createWriteStream(join(folder, `${name}.log`));
  child.stdout!.pipe(log, { end: false });
  child.stderr!.pipe(log, { end: false });
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  child.once("exit", () => process.removeListener("exit", kill));
  return child;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const end = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 15_000);
  await end;
  clearTimeout(timer);
}
