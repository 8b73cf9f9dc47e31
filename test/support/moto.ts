import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { reservePort } from "#local/emulator/ports.ts";
import { ensureVenv } from "#local/python.ts";
import { eventually } from "../local/embedded-aws-fixture.ts";

/** Exact where a newer one has been seen to break it or could change what the tests say of it. */
export const MOTO_REQUIREMENTS = ["moto[server,stepfunctions]==5.2.5"] as const;

export interface Moto {
  readonly url: string;
  stop(): Promise<void>;
}

/**
 * moto's server with the engine that executes machines (LocalStack's). Its machines call functions at `functionsUrl`: it
 * takes the port of MOTO_PORT for its own, where a Lambda of Docker containers would answer.
 */
export async function startMoto(functionsUrl: string): Promise<Moto> {
  const venv = await ensureVenv(MOTO_REQUIREMENTS, { label: "the environment of moto" });
  const port = await reservePort(undefined, "moto");
  const url = `http://127.0.0.1:${port}`;
  const server = spawn(join(venv.bin, "moto_server"), ["-H", "127.0.0.1", "-p", String(port)], {
    env: { PATH: process.env.PATH, MOTO_PORT: new URL(functionsUrl).port },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  server.stderr.on("data", (chunk) => {
    said += String(chunk);
  });
  const ended = once(server, "exit");
  const kill = () => server.kill("SIGKILL");
  process.once("exit", kill);
  await eventually(async () => {
    if (server.exitCode !== null) throw new Error(`moto ended before it was ready: ${said}`);
    const body = JSON.stringify({ stepfunctions: { execute_state_machine: true } });
    return (await fetch(`${url}/moto-api/config`, { method: "POST", body }).catch(() => null))?.ok || undefined;
  }, 60_000);
  return {
    url,
    stop: async () => {
      process.removeListener("exit", kill);
      server.kill("SIGTERM");
      await ended;
    },
  };
}
