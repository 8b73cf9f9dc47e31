import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { CreateTableCommand, DynamoDBClient, waitUntilTableExists } from "@aws-sdk/client-dynamodb";
import { ensureVenv } from "#local/python.ts";

/** The pin of docs and CI; each claim about MiniStack is checked again when it moves. */
const MINISTACK = "ministack==1.5.33";

const READY_WITHIN_MS = 60_000;
const READY_POLL_MS = 50;

/** Credentials and region that MiniStack takes for any account. */
export const emulatorIdentity = {
  region: "us-east-1",
  credentials: { accessKeyId: "test", secretAccessKey: "test" },
} as const;

export interface Emulator {
  readonly endpoint: string;
  stop(): Promise<void>;
}

/** MiniStack alone, on a free port of the loopback: DynamoDB, S3, Step Functions and Logs for the tests of clients. */
export async function startEmulator(): Promise<Emulator> {
  const venv = await ensureVenv([MINISTACK], { label: "the emulator's environment" });
  const port = await freePort();
  const output: string[] = [];
  const server = spawn(join(venv.bin, "ministack"), [], {
    env: { PATH: process.env.PATH, BIND_HOST: "127.0.0.1", GATEWAY_PORT: String(port), LOG_LEVEL: "WARNING" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  for (const stream of [server.stdout, server.stderr]) stream.on("data", (chunk) => output.push(String(chunk)));
  const ended = once(server, "exit");
  const endpoint = `http://127.0.0.1:${port}`;
  const kill = () => server.kill("SIGKILL");
  process.once("exit", kill);
  await ready(endpoint, () => server.exitCode === null, output).catch((error) => {
    kill();
    throw error;
  });
  return {
    endpoint,
    stop: async () => {
      process.removeListener("exit", kill);
      server.kill("SIGTERM");
      await ended;
    },
  };
}

async function ready(endpoint: string, alive: () => boolean, output: readonly string[]): Promise<void> {
  const deadline = Date.now() + READY_WITHIN_MS;
  while (Date.now() < deadline && alive()) {
    const answer = await fetch(`${endpoint}/_ministack/ready`).catch(() => null);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, READY_POLL_MS));
  }
  throw new Error(`MiniStack did not become ready at ${endpoint}: ${output.join("")}`);
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  await once(probe, "close");
  if (address === null || typeof address === "string") throw new Error("The system gave no free port.");
  return address.port;
}

/** A DynamoDB client on the emulator and a fresh ledger table. */
export async function ledgerTable(emulator: Emulator, table: string): Promise<DynamoDBClient> {
  const client = new DynamoDBClient({ ...emulatorIdentity, endpoint: emulator.endpoint });
  await client.send(
    new CreateTableCommand({
      TableName: table,
      BillingMode: "PAY_PER_REQUEST",
      AttributeDefinitions: [
        { AttributeName: "pk", AttributeType: "S" },
        { AttributeName: "sk", AttributeType: "S" },
      ],
      KeySchema: [
        { AttributeName: "pk", KeyType: "HASH" },
        { AttributeName: "sk", KeyType: "RANGE" },
      ],
    }),
  );
  await waitUntilTableExists({ client, maxWaitTime: 30, minDelay: 0.1, maxDelay: 1 }, { TableName: table });
  return client;
}
