import { Agent, createServer, request as httpRequest, type IncomingMessage } from "node:http";
import { buffer } from "node:stream/consumers";

/** Idle connections are given up before the emulator does it (5 s): a call on one that it has just closed is lost. */
const IDLE_MS = 2000;

/** One call as it crossed. */
export interface CrossedCall {
  /** Who called: the first segment of the path that it was given as its endpoint. */
  readonly caller: string;
  readonly method: string;
  /** Of AWS' JSON protocol: the operation; empty for others (S3). */
  readonly action: string;
  readonly body: Buffer;
  readonly status: number;
  readonly answered: Buffer;
  readonly tookMs: number;
}

/**
 * Stands before a service and tells of what crosses: the only count that does not take the callers' own word. It forwards
 * every byte as it is and keeps its connections, so that a call takes some tenths of a millisecond more.
 */
export class CallProxy {
  readonly #target: URL;
  readonly #onCall: (call: CrossedCall) => void;
  readonly #agent = new Agent({ keepAlive: true, timeout: IDLE_MS });
  readonly #server = createServer((request, response) => {
    // The caller sees a connection that broke, and calls again as it would without us.
    this.#forward(request)
      .then(({ answer, answered }) => response.writeHead(answer.statusCode ?? 502, answer.headers).end(answered))
      .catch(() => response.destroy());
  });

  constructor(target: string, onCall: (call: CrossedCall) => void) {
    this.#target = new URL(target);
    this.#onCall = onCall;
  }

  /** @returns the endpoint for a caller of this name */
  async listen(): Promise<(caller: string) => string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    const address = this.#server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    return (caller) => `http://127.0.0.1:${port}/${caller}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#agent.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #forward(incoming: IncomingMessage): Promise<{ answer: IncomingMessage; answered: Buffer }> {
    const startedAtMs = performance.now();
    const [, caller = "", ...rest] = (incoming.url ?? "/").split("/");
    const body = await buffer(incoming);
    const answer = await this.#send(incoming, `/${rest.join("/")}`, body);
    const answered = await buffer(answer);
    const action = String(incoming.headers["x-amz-target"] ?? "").split(".")[1] ?? "";
    const status = answer.statusCode ?? 502;
    const tookMs = performance.now() - startedAtMs;
    const method = incoming.method ?? "";
    this.#onCall({ caller, method, action, body, status, answered, tookMs });
    return { answer, answered };
  }

  #send(incoming: IncomingMessage, path: string, body: Buffer): Promise<IncomingMessage> {
    const { hostname, port } = this.#target;
    const { method, headers } = incoming;
    return new Promise((resolve, reject) => {
      httpRequest({ hostname, port, path, method, headers, agent: this.#agent }, resolve)
        .once("error", reject)
        .end(body);
    });
  }
}
