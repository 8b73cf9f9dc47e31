import type { IncomingMessage, ServerResponse } from "node:http";
import { readBody } from "../http-body.ts";
import type { EcsFaults } from "./control.ts";
import { EcsApiError, invalidParameter } from "./ecs-errors.ts";
import type { EcsTasks } from "./ecs-tasks.ts";
import type { RunTaskRequest } from "./run-task-request.ts";
import { describeContainerMetadata, describeTaskMetadata } from "./task-metadata.ts";
import type { Tag } from "./task-record.ts";
import type { TaskRegistry } from "./task-registry.ts";

const TARGET_PREFIX = "AmazonEC2ContainerServiceV20141113.";
const CONTENT_TYPE = "application/x-amz-json-1.1";

/** The emulator would accept these and then run nothing. */
const REFUSED_ACTIONS = new Set([
  "StartTask",
  "CreateService",
  "UpdateService",
  "CreateTaskSet",
  "UpdateTaskSet",
  "ExecuteCommand",
]);

/** Answers a call that is not about tasks. */
export type RegistryCall = (
  action: string,
  body: Buffer,
  request: IncomingMessage,
  response: ServerResponse,
) => Promise<void>;

/**
 * The ECS endpoint: tasks are ours, everything else (clusters, task definitions) is the registry's, whose answers and
 * errors are passed on as they are. Also serves the containers' metadata (`/v4/…`) and the faults (`/_control`).
 */
export class EcsEndpoint {
  readonly #tasks: EcsTasks;
  readonly #registry: RegistryCall;

  constructor(tasks: EcsTasks, registry: RegistryCall) {
    this.#tasks = tasks;
    this.#registry = registry;
  }

  /** @returns false when the request is for nobody here */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    const path = new URL(request.url ?? "/", "http://localhost").pathname;
    const target = request.headers["x-amz-target"];
    if (request.method === "POST" && path === "/" && typeof target === "string" && target.startsWith(TARGET_PREFIX)) {
      await this.#answerCall(target.slice(TARGET_PREFIX.length), request, response);
    } else if (request.method === "GET" && path.startsWith("/v4/")) {
      this.#answerMetadata(path, response);
    } else if (path === "/_control") {
      await this.#answerControl(request, response);
    } else {
      return false;
    }
    return true;
  }

  async #answerCall(action: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request);
    try {
      const owned = await this.#callOwn(action, body);
      if (owned === undefined) await this.#registry(action, body, request, response);
      else send(response, 200, owned);
    } catch (error) {
      sendError(response, error);
    }
  }

  async #callOwn(action: string, body: Buffer): Promise<object | undefined> {
    if (REFUSED_ACTIONS.has(action)) {
      throw new EcsApiError("UnsupportedFeatureException", `${action} is not supported by the embedded ECS endpoint.`);
    }
    if (action === "RunTask") return this.#tasks.runTask(parse(body) as RunTaskRequest);
    if (action === "DescribeTasks") return this.#tasks.describeTasks(parse(body));
    if (action === "StopTask") return this.#tasks.stopTask(parse(body));
    if (action === "ListTasks") return this.#tasks.listTasks(parse(body) as Record<string, string>);
    return action.endsWith("Resource") ? this.#callTags(action, parse(body)) : undefined;
  }

  /** TagResource, UntagResource and ListTagsForResource of a task; those of other things are the emulator's. */
  #callTags(action: string, input: { resourceArn?: string; tags?: Tag[]; tagKeys?: string[] }): object | undefined {
    const { resourceArn = "", tags = [], tagKeys = [] } = input;
    if (!resourceArn.includes(":task/")) return undefined;
    if (action === "ListTagsForResource") return { tags: this.#tasks.taskByArn(resourceArn).tags };
    const replaced = new Set(action === "TagResource" ? tags.map(({ key }) => key) : tagKeys);
    this.#tasks.setTags(resourceArn, (old) => [...old.filter(({ key }) => !replaced.has(key)), ...tags]);
    return {};
  }

  #answerMetadata(path: string, response: ServerResponse): void {
    const [, , token = "", part] = path.split("/");
    const found = this.#tasks.byMetadataToken(token);
    if (found === undefined) send(response, 404, { message: "There is no container of this address." });
    else if (part === undefined) send(response, 200, describeContainerMetadata(found.task, found.container));
    else if (part === "task") send(response, 200, describeTaskMetadata(found.task));
    else send(response, 404, { message: `"${part}" is not served by the embedded ECS endpoint.` });
  }

  /** A browser can not send this content type to another origin without asking first, and nobody answers it. */
  async #answerControl(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      if (request.method === "POST") {
        if (request.headers["content-type"] !== "application/json") throw invalidParameter("Send application/json.");
        const { killOutOfMemory, takeSpotAway, ...faults } = parse(await readBody(request)) as Partial<EcsFaults> & {
          killOutOfMemory?: string;
          takeSpotAway?: string;
        };
        this.#tasks.faults = { ...this.#tasks.faults, ...faults };
        if (takeSpotAway !== undefined) this.#tasks.takeSpotAway(takeSpotAway);
        if (killOutOfMemory !== undefined) this.#tasks.killOutOfMemory(killOutOfMemory);
      }
      send(response, 200, this.#tasks.faults);
    } catch (error) {
      sendError(response, error);
    }
  }
}

/** The registry of an engine that has one. */
export const forwardedTo =
  (url: string): RegistryCall =>
  async (_action, body, request, response) => {
    const headers = Object.fromEntries(
      ["content-type", "x-amz-target", "authorization", "x-amz-date"]
        .map((name) => [name, request.headers[name]] as const)
        .filter((entry): entry is [string, string] => typeof entry[1] === "string"),
    );
    const answer = await fetch(url, { method: "POST", headers, body: new Uint8Array(body) });
    response.writeHead(answer.status, { "content-type": answer.headers.get("content-type") ?? CONTENT_TYPE });
    response.end(Buffer.from(await answer.arrayBuffer()));
  };

/** A registry of our own. */
export const keptIn =
  (registry: TaskRegistry): RegistryCall =>
  async (action, body, _request, response) =>
    send(response, 200, registry.answer(action, parse(body)));

function parse(body: Buffer): Record<string, unknown> {
  try {
    return JSON.parse(body.length === 0 ? "{}" : body.toString("utf8")) as Record<string, unknown>;
  } catch {
    throw new EcsApiError("SerializationException", "The request is no JSON.");
  }
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": CONTENT_TYPE });
  response.end(JSON.stringify(body));
}

function sendError(response: ServerResponse, error: unknown): void {
  if (error instanceof EcsApiError) {
    send(response, 400, { __type: error.name, message: error.message, ...error.fields });
  } else {
    send(response, 500, { __type: "ServerException", message: `The embedded ECS endpoint failed: ${String(error)}` });
  }
}
