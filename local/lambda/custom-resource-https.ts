import http from "node:http";
import https, { type RequestOptions } from "node:https";
import { syncBuiltinESMExports } from "node:module";

const LOOPBACK = new Set(["localhost", "127.0.0.1"]);

/**
 * A custom resource's function answers CloudFormation by HTTPS to the host of its ResponseURL, on the default port,
 * whatever the URL says. The emulator speaks HTTP on a port of its own: such requests are sent there.
 */
export function redirectHttpsToEmulator(emulatorUrl: string): void {
  const { hostname, port } = new URL(emulatorUrl);
  const original = https.request;
  const redirected = (options: RequestOptions, ...rest: unknown[]) => {
    const host = options.hostname ?? options.host ?? "";
    const [send, target] = LOOPBACK.has(host)
      ? [http.request, { ...options, protocol: "http:", hostname, host: hostname, port, agent: undefined }]
      : [original, options];
    return (send as (...args: unknown[]) => http.ClientRequest)(target, ...rest);
  };
  https.request = redirected as typeof https.request;
  syncBuiltinESMExports();
}
