import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { promisify } from "node:util";
import { InfrastructureError } from "../failure.ts";

/** Command lines that take Docker's arguments, in the order in which they are looked for. */
const ENGINES = ["docker", "podman", "finch", "nerdctl"];

/** A container engine of this machine that answers. */
export interface Engine {
  readonly command: string;
  readonly version: string;
}

/**
 * The engine that is named, or the first that answers.
 * @throws {InfrastructureError} that says of each what it answered
 */
export async function findEngine(named: string | undefined): Promise<Engine> {
  const answers: string[] = [];
  for (const command of named === undefined ? ENGINES : [named]) {
    try {
      const { stdout } = await promisify(execFile)(command, ["info", "--format", "{{json .}}"], INFO);
      const facts = JSON.parse(stdout) as {
        ServerVersion?: string;
        ServerErrors?: string[];
        version?: { Version?: string };
      };
      const version = facts.ServerVersion ?? facts.version?.Version;
      if (version !== undefined && version !== "") return { command, version };
      answers.push(`${command}: ${facts.ServerErrors?.[0] ?? "its engine does not answer"}`);
    } catch (error) {
      answers.push(`${command}: ${reasonOf(error as NodeJS.ErrnoException & { stderr?: string })}`);
    }
  }
  throw new InfrastructureError(
    "No container engine answers on this machine.",
    "Start one (for Docker: dockerd, or Docker Desktop), or name another by --engine.",
    { lines: answers },
  );
}

const INFO = { timeout: 30_000, maxBuffer: 2 ** 24 };

const reasonOf = (error: NodeJS.ErrnoException & { stderr?: string }) =>
  error.code === "ENOENT" ? "not installed" : (error.stderr?.trim().split("\n").at(-1) || error.message).slice(0, 300);

/** What a command of the engine prints. */
export async function engineOutput({ command }: Engine, args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(command, [...args], { maxBuffer: 2 ** 26 });
  return stdout.trim();
}

/** Runs a command of the engine in this terminal. @throws {InfrastructureError} */
export async function engineCommand(engine: Engine, args: readonly string[], signal: AbortSignal): Promise<void> {
  const child = spawn(engine.command, [...args], {
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, DOCKER_BUILDKIT: "1" },
    signal,
  });
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new InfrastructureError(`${engine.command} ${args[0]} failed (exit code ${code}).`);
}
