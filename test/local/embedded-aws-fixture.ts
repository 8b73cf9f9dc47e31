import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { CloudWatchLogsClient, FilterLogEventsCommand } from "@aws-sdk/client-cloudwatch-logs";
import { ECSClient } from "@aws-sdk/client-ecs";
import { CreateStateMachineCommand, DescribeExecutionCommand, SFNClient } from "@aws-sdk/client-sfn";
import { down, up } from "#local/embedded-aws.ts";
import type { Endpoints } from "#local/endpoints.ts";
import { DEFAULT_STATE_DIR } from "#local/python.ts";
import { zipArchive } from "./zip-archive.ts";

/** A fresh embedded AWS in a folder of its own, with real SDK clients for it. */
export class EmbeddedAwsFixture {
  readonly stateDir: string;
  readonly endpoints: Endpoints;
  readonly sfn: SFNClient;
  readonly ecs: ECSClient;
  readonly logs: CloudWatchLogsClient;

  private constructor(stateDir: string, endpoints: Endpoints) {
    const { region, awsEndpointUrl, ecsEndpointUrl } = endpoints;
    const credentials = { accessKeyId: "test", secretAccessKey: "test" };
    this.stateDir = stateDir;
    this.endpoints = endpoints;
    this.sfn = new SFNClient({ region, credentials, endpoint: awsEndpointUrl });
    this.logs = new CloudWatchLogsClient({ region, credentials, endpoint: awsEndpointUrl });
    this.ecs = new ECSClient({ region, credentials, endpoint: ecsEndpointUrl });
  }

  static async start(): Promise<EmbeddedAwsFixture> {
    const stateDir = mkdtempSync(join(tmpdir(), "embedded-aws-"));
    return new EmbeddedAwsFixture(stateDir, await up({ stateDir, venvStateDir: DEFAULT_STATE_DIR }));
  }

  async end(): Promise<void> {
    await down({ stateDir: this.stateDir });
    rmSync(this.stateDir, { recursive: true, force: true });
  }

  /** Creates a Node function from the text of its `index.mjs`, or gives an existing one new code. */
  async deployFunction(
    name: string,
    source: string,
    settings: object = {},
    headers: Record<string, string> = {},
  ): Promise<string> {
    const functions = `${this.endpoints.awsEndpointUrl}/2015-03-31/functions`;
    const ZipFile = zipArchive({ "index.mjs": source }).toString("base64");
    const existing = await fetch(`${functions}/${name}`, { headers });
    const [url, method, body] = existing.ok
      ? [`${functions}/${name}/code`, "PUT", { ZipFile }]
      : [functions, "POST", { FunctionName: name, ...functionDefaults, Code: { ZipFile }, ...settings }];
    const answer = await fetch(url as string, { method: method as string, headers, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`The function ${name} was not deployed: ${await answer.text()}`);
    return ((await answer.json()) as { FunctionArn: string }).FunctionArn;
  }

  async invoke(name: string, event: unknown): Promise<{ error: string | null; payload: unknown }> {
    const url = `${this.endpoints.awsEndpointUrl}/2015-03-31/functions/${name}/invocations`;
    const answer = await fetch(url, { method: "POST", body: JSON.stringify(event) });
    return { error: answer.headers.get("x-amz-function-error"), payload: await answer.json() };
  }

  async createStateMachine(name: string, definition: object): Promise<string> {
    const created = await this.sfn.send(
      new CreateStateMachineCommand({
        name,
        definition: JSON.stringify(definition),
        roleArn: "arn:aws:iam::000000000000:role/machine",
      }),
    );
    return created.stateMachineArn ?? "";
  }

  async executionWhen(executionArn: string, isSo: (status: string) => boolean) {
    return eventually(async () => {
      const described = await this.sfn.send(new DescribeExecutionCommand({ executionArn }));
      return isSo(described.status ?? "") ? described : undefined;
    });
  }

  ended(executionArn: string) {
    return this.executionWhen(executionArn, (status) => status !== "RUNNING");
  }

  async logLines(group: string): Promise<string[]> {
    const { events = [] } = await this.logs.send(new FilterLogEventsCommand({ logGroupName: group }));
    return events.map((event) => event.message ?? "");
  }
}

const functionDefaults = {
  Runtime: "nodejs24.x",
  Handler: "index.handler",
  Role: "arn:aws:iam::000000000000:role/function",
  Timeout: 10,
};

/** Asks again until there is an answer. */
export async function eventually<T>(ask: () => Promise<T | undefined>, withinMs = 20_000): Promise<T> {
  const deadline = Date.now() + withinMs;
  while (Date.now() < deadline) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    await setTimeout(50);
  }
  throw new Error(`Nothing happened within ${withinMs} ms.`);
}
