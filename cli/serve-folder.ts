import { spawn } from "node:child_process";
import { createReadStream } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import type { Context } from "./context.ts";

/** Files of a folder on an address of this machine. */
export interface ServedFolder {
  readonly address: string;
  close(): Promise<void>;
}

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".json": "application/json",
};

/**
 * Serves these files and no other on loopback. A page of another site that asks by a name of its own (DNS rebinding) is
 * told nothing.
 */
export async function serveFolder(folder: string, files: readonly string[], port: number): Promise<ServedFolder> {
  const server = createServer((request, response) => answer(request, response, folder, files));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  const { port: own } = server.address() as AddressInfo;
  return {
    address: `http://127.0.0.1:${own}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answer(request: IncomingMessage, response: ServerResponse, folder: string, files: readonly string[]): void {
  const { host = "", hostname } = URL.canParse(`http://${request.headers.host}`)
    ? new URL(`http://${request.headers.host}`)
    : { hostname: "" };
  const path = (request.url ?? "/").split(/[?#]/)[0]!;
  const name = path === "/" ? "index.html" : path.slice(1);
  const isOurs = host !== "" && ["127.0.0.1", "localhost"].includes(hostname);
  if (!isOurs || (request.method !== "GET" && request.method !== "HEAD") || !files.includes(name)) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, { "content-type": TYPES[extname(name)] ?? "text/plain", "cache-control": "no-store" });
  if (request.method === "HEAD") response.end();
  else
    createReadStream(join(folder, name))
      .on("error", () => response.destroy())
      .pipe(response);
}

/** Where there is a desktop and a person at it; never in CI. */
export function openInBrowser(address: string, { environment, out }: Pick<Context, "environment" | "out">): void {
  const hasDesktop =
    process.platform === "darwin" || environment.DISPLAY !== undefined || environment.WAYLAND_DISPLAY !== undefined;
  if (environment.CI !== undefined || out.isTTY !== true || !hasDesktop) return;
  const opener = spawn(process.platform === "darwin" ? "open" : "xdg-open", [address], {
    stdio: "ignore",
    detached: true,
  });
  opener.on("error", () => {});
  opener.unref();
}
