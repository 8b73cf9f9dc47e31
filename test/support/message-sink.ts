import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** What somebody has posted. */
export interface ReceivedMessage {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** A server on this machine that stands for Slack, Teams and others: keeps what is posted, and shows it to who asks. */
export async function startMessageSink(): Promise<{ readonly url: string; close(): Promise<void> }> {
  const received: ReceivedMessage[] = [];
  const server = createServer(async (request, response) => {
    if (request.method === "GET") {
      response.setHeader("content-type", "application/json").end(JSON.stringify(received));
      return;
    }
    const body = JSON.parse(await text(request)) as unknown;
    received.push({ path: request.url ?? "", headers: request.headers as Record<string, string>, body });
    response.end("ok");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** What was posted to a path so far, oldest first. */
export async function messagesTo(url: string, path: string): Promise<ReceivedMessage[]> {
  const all = (await (await fetch(url)).json()) as ReceivedMessage[];
  return all.filter((message) => message.path === path);
}
