import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { readBody, sendJson } from "../http-body.ts";
import type { LambdaHost } from "./lambda-host.ts";
import type { Outcome } from "./thread-messages.ts";

/** `Invoke` of the Lambda API: an engine that calls AWS' own path reaches the host without a word of ours. */
const INVOKE_PATH = /^\/2015-03-31\/functions\/([^/]+)\/invocations$/;

/** One invocation of an engine that is patched to send it: who is called stands in headers. */
export async function answerInvocation(
  host: LambdaHost,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const header = (name: string) => String(request.headers[name] ?? "");
  const outcome = await host.invoke({
    functionName: header("x-function-name"),
    functionVersion: header("x-function-version"),
    revision: header("x-function-revision"),
    requestId: header("x-request-id"),
    event: (await readBody(request)).toString("utf8"),
  });
  answer(response, outcome);
}

/**
 * One invocation as the Lambda API has it; false for any other request. `revisionOf` says which revision is deployed: a
 * caller of AWS does not know it. An invocation of type Event is answered before it runs, its outcome seen by nobody.
 */
export async function answerInvoke(
  host: LambdaHost,
  revisionOf: (name: string, version: string) => Promise<string>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  const url = new URL(request.url ?? "/", "http://localhost");
  const named = INVOKE_PATH.exec(url.pathname)?.[1];
  if (request.method !== "POST" || named === undefined) return false;
  const [functionName = "", qualifier] = nameOf(decodeURIComponent(named));
  const functionVersion = url.searchParams.get("Qualifier") ?? qualifier ?? "$LATEST";
  const event = (await readBody(request)).toString("utf8") || "{}";
  const revision = await revisionOf(functionName, functionVersion);
  const invoked = host.invoke({ functionName, functionVersion, revision, requestId: randomUUID(), event });
  if (request.headers["x-amz-invocation-type"] === "Event") response.writeHead(202).end();
  else answer(response, await invoked);
  return true;
}

/** A name, `name:qualifier`, or the ARN of either. */
function nameOf(reference: string): readonly string[] {
  return reference.startsWith("arn:") ? reference.split(":").slice(6) : reference.split(":");
}

function answer(response: ServerResponse, outcome: Outcome): void {
  if ("payload" in outcome) sendJson(response, 200, outcome.payload);
  else
    sendJson(response, 200, outcome.failure, {
      "x-function-error": "Unhandled",
      "x-amz-function-error": "Unhandled",
    });
}
