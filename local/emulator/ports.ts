import { type AddressInfo, createServer, type Server } from "node:net";
import { PortInUseError, PortSettingError } from "../errors.ts";

export const HOST = "127.0.0.1";

/** Variables by which a person fixes a port; unset means any free one. */
export const AWS_PORT_VARIABLE = "STEPWATCH_AWS_PORT";
export const ECS_PORT_VARIABLE = "STEPWATCH_ECS_PORT";

/** Before anything is installed or started for it. @throws {PortSettingError} */
export function checkPorts(env: NodeJS.ProcessEnv): void {
  for (const variable of [AWS_PORT_VARIABLE, ECS_PORT_VARIABLE]) portFrom(env, variable);
}

/** @throws {PortSettingError} when the variable is set to something that is no port */
export function portFrom(env: NodeJS.ProcessEnv, variable: string): number | undefined {
  const text = env[variable];
  if (text === undefined || text === "") return undefined;
  const port = Number(text);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw new PortSettingError(
    `${variable} is "${text}", which is no port: set it to a number from 1 to 65535 or unset it.`,
  );
}

/**
 * Listens, on loopback unless told otherwise.
 *
 * @param port undefined for any free one
 * @throws {PortInUseError}
 */
export async function listen(
  server: Server,
  port: number | undefined,
  variable: string,
  host: string = HOST,
): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject).listen(port ?? 0, host, resolve);
  try {
    await promise;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EADDRINUSE" && port !== undefined) {
      throw new PortInUseError(port, variable);
    }
    throw error;
  }
  return (server.address() as AddressInfo).port;
}

/**
 * A port for a program that opens it itself: the one asked for if nobody has it, otherwise a free one, which somebody
 * else could take in the meantime.
 *
 * @throws {PortInUseError}
 */
export async function reservePort(port: number | undefined, variable: string): Promise<number> {
  const probe = createServer();
  const found = await listen(probe, port, variable);
  await new Promise((resolve) => probe.close(resolve));
  return found;
}
