import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, expect, test } from "vitest";
import { postJson, WebhookRefused } from "#clients/webhook.ts";
import { ServiceUnavailable } from "#core/errors.ts";

let server: Server | null = null;
afterEach(() => void server?.close());

/** A server that answers with these, one after the other; the last one for good. */
async function answering(...answers: readonly { status: number; headers?: Record<string, string> }[]) {
  const bodies: string[] = [];
  server = createServer(async (request, response) => {
    bodies.push(await text(request));
    const { status, headers = {} } = answers[Math.min(bodies.length, answers.length) - 1]!;
    response.writeHead(status, headers).end("said so");
  });
  await new Promise<void>((resolve) => server!.listen(0, "127.0.0.1", resolve));
  return { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}/services/T0/secret`, bodies };
}
const waits: number[] = [];
const sleep = async (ms: number) => void waits.push(ms);

test("H4: a message is posted as JSON, once where it is taken", async () => {
  const { address, bodies } = await answering({ status: 200 });
  await postJson(address, { text: "é" }, { sleep });
  expect(bodies).toEqual(['{"text":"é"}']);
});

test("H4: load is waited for, as long as the other side says and the function lives", async () => {
  waits.length = 0;
  const { address, bodies } = await answering(
    { status: 429, headers: { "retry-after": "3" } },
    { status: 503 },
    { status: 200 },
  );
  await postJson(address, {}, { sleep });
  expect(bodies).toHaveLength(3);
  expect(waits).toEqual([3_000, 2_000]);
});

test("H4: what stays away is an error that is repeated; what refuses is not, and no error holds the address", async () => {
  const away = await answering({ status: 500 });
  const failed = await postJson(away.address, {}, { sleep }).catch((error: unknown) => error);
  expect(failed).toBeInstanceOf(ServiceUnavailable);
  expect(away.bodies).toHaveLength(3);
  server!.close();
  const refusing = await answering({ status: 404 });
  const refused = await postJson(refusing.address, {}, { sleep }).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(WebhookRefused);
  expect(refusing.bodies).toHaveLength(1);
  for (const error of [failed, refused]) expect(String(error)).not.toContain("secret");
});

test("H4: a redirect is not followed, and no address but https is called, this machine's own apart", async () => {
  const { address } = await answering({ status: 302, headers: { location: "http://127.0.0.1:1/" } });
  await expect(postJson(address, {}, { sleep })).rejects.toThrow(WebhookRefused);
  for (const wrong of ["http://hooks.example.com/secret", "file:///etc/passwd", "secret"])
    await expect(postJson(wrong, {}, { sleep })).rejects.toThrow("holds no https address");
});
