/**
 * The one background process of the embedded AWS: it owns MiniStack, runs the functions and the containers, and ends
 * with all of them. Started by `embedded-aws.ts`, detached:
 *
 *     node supervisor.ts '{"stateDir":…,"python":…,"nonce":…}'
 *
 * Says once on file descriptor 3 how its start went: `{"ready":true}` or `{"error":…}`.
 */
import { closeSync, writeSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { join } from "node:path";
import { traceFolderOf } from "../ecs/container-launch.ts";
import { EcsEndpoint, forwardedTo } from "../ecs/ecs-endpoint.ts";
import { EcsTasks } from "../ecs/ecs-tasks.ts";
import { endLeftoverContainers } from "../ecs/leftover-containers.ts";
import { clientEnvironment, EMBEDDED_ACCOUNT_ID, EMBEDDED_REGION, type Endpoints, urlOf } from "../endpoints.ts";
import { sendJson } from "../http-body.ts";
import { answerInvocation } from "../lambda/invocations.ts";
import { LambdaHost } from "../lambda/lambda-host.ts";
import { ownIdentity } from "../process-identity.mjs";
import { awsJson } from "./aws-json.ts";
import { LogShipper } from "./log-shipper.ts";
import { type MiniStack, startMiniStack } from "./ministack.ts";
import { AWS_PORT_VARIABLE, ECS_PORT_VARIABLE, listen, portFrom, reservePort } from "./ports.ts";
import { removeRecord, writeRecord } from "./supervisor-files.ts";

export interface SupervisorSettings {
  readonly stateDir: string;
  readonly python: string;
  readonly nonce: string;
}

const READY_DESCRIPTOR = 3;
/** Between SIGTERM and SIGKILL of the containers when everything is to end. */
const STOP_GRACE_SECONDS = 10;

class Supervisor {
  readonly #settings: SupervisorSettings;
  readonly #server: Server;
  #ministack: MiniStack | undefined;
  #host: LambdaHost | undefined;
  #tasks: EcsTasks | undefined;
  #ecs: EcsEndpoint | undefined;
  #logs: LogShipper | undefined;
  #endpoints: Endpoints | undefined;
  #stopping: Promise<void> | undefined;

  constructor(settings: SupervisorSettings) {
    this.#settings = settings;
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => sendJson(response, 500, { message: String(error) }));
    });
  }

  async start(): Promise<void> {
    const { stateDir, python } = this.#settings;
    endLeftoverContainers(traceFolderOf(stateDir));
    const ownUrl = urlOf(await listen(this.#server, portFrom(process.env, ECS_PORT_VARIABLE), ECS_PORT_VARIABLE));
    const port = await reservePort(portFrom(process.env, AWS_PORT_VARIABLE), AWS_PORT_VARIABLE);
    this.#build(urlOf(port), ownUrl);
    this.#ministack = await startMiniStack({
      python,
      port,
      region: EMBEDDED_REGION,
      stateDir,
      lambdaHostUrl: `${ownUrl}/_lambda`,
    });
    void this.#ministack.ended.then(() => this.#ministackEnded());
    this.#endpoints = {
      awsEndpointUrl: urlOf(port),
      ecsEndpointUrl: ownUrl,
      region: EMBEDDED_REGION,
      accountId: EMBEDDED_ACCOUNT_ID,
      pid: process.pid,
      startedAt: new Date().toISOString(),
    };
    this.#writeRecord(this.#ministack, this.#endpoints);
  }

  /** Ends containers, functions, MiniStack and this process, in this order. Asked again, it is the same stop. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stopEverything();
    return this.#stopping;
  }

  #ministackEnded(): void {
    if (this.#stopping !== undefined) return;
    console.error(
      `${new Date().toISOString()} MiniStack has ended by itself, and with it everything else: see ministack.log.`,
    );
    void this.stop();
  }

  async #stopEverything(): Promise<void> {
    await this.#tasks?.stopAll("The embedded AWS was stopped", STOP_GRACE_SECONDS);
    await this.#host?.close();
    await this.#ministack?.stop();
    removeRecord(this.#settings.stateDir);
    process.exit(0);
  }

  #build(emulatorUrl: string, ownUrl: string): void {
    const { stateDir } = this.#settings;
    const region = EMBEDDED_REGION;
    const aws = awsJson(emulatorUrl, region);
    const logs = new LogShipper(aws);
    const baseEnvironment = clientEnvironment({ awsEndpointUrl: emulatorUrl, ecsEndpointUrl: ownUrl, region });
    this.#logs = logs;
    this.#host = new LambdaHost({
      emulatorUrl,
      region,
      codeRoot: join(stateDir, "functions"),
      baseEnvironment,
      logs,
    });
    this.#tasks = new EcsTasks({
      stateDir,
      aws,
      registry: aws,
      logs,
      baseEnvironment,
      region,
      accountId: EMBEDDED_ACCOUNT_ID,
      metadataBaseUrl: () => ownUrl,
    });
    this.#ecs = new EcsEndpoint(this.#tasks, forwardedTo(emulatorUrl));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method === "POST" && request.url === "/_lambda") await this.#answerInvocation(request, response);
    else if (request.method === "GET" && request.url === "/_health") sendJson(response, 200, this.#health());
    else if (request.method === "POST" && request.url === "/_reset") await this.#reset(request, response);
    else if ((await this.#ecs?.answer(request, response)) !== true) {
      sendJson(response, 404, { message: "Nothing is served at this address." });
    }
  }

  #health(): object {
    const { rss } = process.memoryUsage();
    return {
      nonce: this.#settings.nonce,
      ready: this.#endpoints !== undefined,
      runningTasks: this.#tasks?.runningCount() ?? 0,
      rssBytes: rss,
      functions: this.#host?.calls ?? {},
    };
  }

  async #answerInvocation(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.#host === undefined) sendJson(response, 503, { errorType: "Lambda.ServiceException" });
    else await answerInvocation(this.#host, request, response);
  }

  /** Forgets everything that was deployed and stored. The nonce keeps a page in a browser from asking for it. */
  async #reset(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.headers["x-nonce"] !== this.#settings.nonce) {
      sendJson(response, 403, { message: "The nonce of embedded-aws.json is needed for this." });
      return;
    }
    await this.#tasks?.stopAll("The embedded AWS was reset", STOP_GRACE_SECONDS);
    await this.#host?.close();
    await this.#logs?.flushAll();
    const answer = await fetch(`${this.#endpoints?.awsEndpointUrl}/_ministack/reset`, { method: "POST" });
    this.#tasks?.forgetAll();
    sendJson(response, answer.ok ? 200 : 500, { reset: answer.ok });
  }

  #writeRecord(ministack: MiniStack, endpoints: Endpoints): void {
    const { stateDir, nonce } = this.#settings;
    writeRecord(stateDir, { nonce, supervisor: ownIdentity(), ministack: ministack.identity, endpoints });
  }
}

function report(message: object): void {
  try {
    writeSync(READY_DESCRIPTOR, `${JSON.stringify(message)}\n`);
    closeSync(READY_DESCRIPTOR);
  } catch {
    // EPIPE: whoever started us is gone, and we stay up for the next one.
  }
}

const supervisor = new Supervisor(JSON.parse(process.argv[2] ?? "{}") as SupervisorSettings);
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => void supervisor.stop());
try {
  await supervisor.start();
  report({ ready: true });
} catch (error) {
  report({ error: error instanceof Error ? error.message : String(error) });
  await supervisor.stop();
}
