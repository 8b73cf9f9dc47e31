import { Agent, createServer, request as httpRequest, type IncomingMessage } from "node:http";
import { buffer } from "node:stream/consumers";

const WRITES = /\.(UpdateItem|PutItem|DeleteItem|TransactWriteItems)$/;

/**
 * Stands before DynamoDB for those who are given its endpoint. While it `refuses`, every write is answered with an error:
 * half of them have come to nothing, half have taken effect.
 */
export class RefusingProxy {
  refuses = false;
  /** Writes that were answered with an error. */
  refused = 0;
  readonly #target: URL;
  readonly #agent = new Agent({ keepAlive: true, timeout: 2_000 });
  readonly #server = createServer((incoming, outgoing) => {
    this.#answer(incoming).then(
      ({ status, body }) =>
        outgoing.writeHead(status, { "content-type": "application/x-amz-json-1.0", "x-amzn-requestid": "0" }).end(body),
      () => outgoing.destroy(),
    );
  });

  constructor(target: string) {
    this.#target = new URL(target);
  }

  /** @returns its endpoint */
  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#agent.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(incoming: IncomingMessage): Promise<{ status: number; body: string | Buffer }> {
    const body = await buffer(incoming);
    const isRefused = this.refuses && WRITES.test(String(incoming.headers["x-amz-target"]));
    if (isRefused) this.refused += 1;
    if (isRefused && this.refused % 2 === 0) return REFUSAL;
    const answer = await this.#send(incoming, body);
    const answered = await buffer(answer);
    return isRefused ? REFUSAL : { status: answer.statusCode ?? 502, body: answered };
  }

  #send({ method, headers, url }: IncomingMessage, body: Buffer): Promise<IncomingMessage> {
    const { hostname, port } = this.#target;
    return new Promise((resolve, reject) => {
      httpRequest({ hostname, port, path: url, method, headers, agent: this.#agent }, resolve)
        .once("error", reject)
        .end(body);
    });
  }
}

const REFUSAL = {
  status: 500,
  body: JSON.stringify({
    __type: "com.amazonaws.dynamodb.v20120810#InternalServerError",
    message: "refused by a test",
  }),
};
