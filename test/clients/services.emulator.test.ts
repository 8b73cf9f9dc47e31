import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CloudWatchLogsClient,
  CreateLogGroupCommand,
  CreateLogStreamCommand,
  PutLogEventsCommand,
} from "@aws-sdk/client-cloudwatch-logs";
import { EventBridgeClient } from "@aws-sdk/client-eventbridge";
import { CreateBucketCommand, HeadObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { CreateStateMachineCommand, SFNClient } from "@aws-sdk/client-sfn";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { dynamoLedger } from "#clients/dynamo-ledger.ts";
import { eventBridgeEvents } from "#clients/eventbridge-events.ts";
import { cloudWatchLogs } from "#clients/logs.ts";
import { s3Artefacts, s3Client } from "#clients/s3-artefacts.ts";
import { sfnExecutions } from "#clients/sfn-executions.ts";
import { type Emulator, emulatorIdentity, ledgerTable, startEmulator } from "../support/emulator.ts";
import { receiveEvents } from "../support/events.ts";
import { warningEvent } from "../support/fake-clients.ts";
import { runRow } from "../support/ledger-rows.ts";

let emulator: Emulator;
let settings: typeof emulatorIdentity & { endpoint: string };

beforeAll(async () => {
  emulator = await startEmulator();
  settings = { ...emulatorIdentity, endpoint: emulator.endpoint };
});
afterAll(() => emulator?.stop());

describe("artefacts", () => {
  const bucket = "artefacts";
  let client: S3Client;
  let folder: string;
  const artefacts = () => s3Artefacts({ bucket, client });

  beforeAll(async () => {
    client = new S3Client({ ...settings, forcePathStyle: true, requestChecksumCalculation: "WHEN_REQUIRED" });
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
    folder = await mkdtemp(join(tmpdir(), "artefacts-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  const contentType = async (key: string) =>
    (await client.send(new HeadObjectCommand({ Bucket: bucket, Key: key }))).ContentType;

  it("gives back what was put, with a content type that a browser shows", async () => {
    await artefacts().putJson("runs/a/plan.json", { größe: [1, null] });
    await artefacts().putText("runs/a/query.sql", "select 'ü'");
    expect(await artefacts().getJson("runs/a/plan.json")).toEqual({ größe: [1, null] });
    expect(await artefacts().getText("runs/a/query.sql")).toBe("select 'ü'");
    expect(await contentType("runs/a/plan.json")).toBe("application/json");
    expect(await contentType("runs/a/query.sql")).toBe("text/plain; charset=utf-8");
  });

  it("puts a file as it is, and one that is not there is an error", async () => {
    const text = JSON.stringify({ nodes: "x".repeat(1_000_000) });
    await writeFile(join(folder, "manifest.json"), text);
    await artefacts().putFile("runs/a/manifest.json", join(folder, "manifest.json"));
    expect(await artefacts().getText("runs/a/manifest.json")).toBe(text);
    expect(await contentType("runs/a/manifest.json")).toBe("application/json");
    await expect(artefacts().putFile("runs/a/none", join(folder, "none"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("D22: what a container writes is written once, by a header that the bucket's policy demands; again is done", async () => {
    const headers: unknown[] = [];
    client.middlewareStack.add(
      (next) => async (args) => {
        headers.push((args.request as { headers?: Record<string, string> }).headers?.["if-none-match"]);
        return next(args);
      },
      { step: "finalizeRequest", name: "sees-headers", override: true },
    );
    await writeFile(join(folder, "again.json"), JSON.stringify({ second: true }));
    for (const key of ["runs/shop/r/tasks/1/plan.json", "runs/shop/r/partial_parse.msgpack"]) {
      await artefacts().putJson(key, { first: true });
      await artefacts().putJson(key, { second: true });
      await artefacts().putFile(key, join(folder, "again.json"));
    }
    expect(headers).toEqual(Array(6).fill("*"));
    for (const key of ["runs/shop/r/sets/2-h.json", "runs/shop/r/summary-1.json", "runs/shop/silence.json"])
      await artefacts().putJson(key, {});
    expect(headers.slice(6)).toEqual([undefined, undefined, undefined]);
    client.middlewareStack.remove("sees-headers");
  });

  it("D22: an object that is too large is not read", async () => {
    await artefacts().putText("runs/a/large.json", JSON.stringify("x".repeat(1_000)));
    await expect(artefacts().getJson("runs/a/large.json", 1_001)).rejects.toThrow(/1002 bytes, more than 1001/);
    expect(await artefacts().getJson("runs/a/large.json", 1_002)).toBe("x".repeat(1_000));
  });

  it("gets a file byte by byte, and makes none of an object that is not there", async () => {
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 7) % 256));
    await writeFile(join(folder, "parse.msgpack"), bytes);
    await artefacts().putFile("runs/a/parse.msgpack", join(folder, "parse.msgpack"));
    expect(await artefacts().getFile("runs/a/parse.msgpack", join(folder, "got"))).toBe(true);
    expect((await readFile(join(folder, "got"))).equals(bytes)).toBe(true);
    expect(await artefacts().getFile("runs/a/none", join(folder, "none"))).toBe(false);
  });

  it("knows what is not there, and lists by prefix over pages", async () => {
    expect(await artefacts().getJson("runs/none")).toBeNull();
    expect(await artefacts().getText("runs/none")).toBeNull();
    expect(await artefacts().list("none/")).toEqual([]);
    const keys = Array.from({ length: 1_010 }, (_, n) => `many/${String(n).padStart(4, "0")}`);
    for (let start = 0; start < keys.length; start += 50)
      await Promise.all(keys.slice(start, start + 50).map((key) => artefacts().putText(key, "abc")));
    expect(await artefacts().list("many/")).toEqual(keys.map((key) => ({ key, bytes: 3 })));
  });
});

describe("clients as functions and containers make them, from the environment alone", () => {
  const environment = () => ({
    AWS_ENDPOINT_URL: emulator.endpoint,
    AWS_REGION: settings.region,
    AWS_ACCESS_KEY_ID: settings.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: settings.credentials.secretAccessKey,
  });
  beforeAll(() => {
    for (const [name, value] of Object.entries(environment())) vi.stubEnv(name, value);
  });
  afterAll(() => vi.unstubAllEnvs());

  it("reach S3 by path, and by host name without an endpoint", async () => {
    const bucket = "by-path";
    await s3Client().send(new CreateBucketCommand({ Bucket: bucket }));
    await s3Artefacts({ bucket }).putJson("a", { a: 1 });
    expect(await s3Artefacts({ bucket }).getJson("a")).toEqual({ a: 1 });
    expect(await s3Client({}).config.forcePathStyle).toBe(false);
    expect(await s3Client({ AWS_ENDPOINT_URL_S3: emulator.endpoint }).config.forcePathStyle).toBe(true);
  });

  it("reach the ledger, Step Functions and Logs", async () => {
    const run = { project: "shop", runId: "r" };
    await (await ledgerTable(emulator, "defaults")).destroy();
    const ledger = dynamoLedger({ table: "defaults" });
    expect(await ledger.createRun(runRow(run))).toBe(true);
    expect(await ledger.readRun(run)).toEqual(runRow(run));
    expect(await sfnExecutions().succeed("unknown", {})).toBe(false);
    expect(await cloudWatchLogs().readLog("none", "none")).toEqual([]);
  });
});

describe("executions", () => {
  it("D2: starts a name once, describes it, and stops it twice", async () => {
    const client = new SFNClient(settings);
    const definition = { StartAt: "Wait", States: { Wait: { Type: "Wait", Seconds: 600, End: true } } };
    const machine = { name: "waiting", definition: JSON.stringify(definition), roleArn: "arn:aws:iam::0:role/r" };
    const { stateMachineArn = "" } = await client.send(new CreateStateMachineCommand(machine));
    const executions = sfnExecutions({ client });
    const first = await executions.start(stateMachineArn, "one", { n: 1 });
    const second = await executions.start(stateMachineArn, "one", { n: 1 });
    expect(second.executionArn).toBe(first.executionArn);
    const running = { status: "RUNNING", name: "one", input: { n: 1 }, output: null, stoppedAtMs: null };
    expect(await executions.describe(first.executionArn)).toMatchObject(running);
    await executions.stop(first.executionArn, "by hand");
    await executions.stop(first.executionArn, "by hand");
    expect(await executions.describe(first.executionArn)).toMatchObject({ status: "ABORTED", cause: "by hand" });
    expect(await executions.describe(`${first.executionArn}x`)).toBeNull();
  });

  it("a token that nobody gave out answers false", async () => {
    const executions = sfnExecutions({ client: new SFNClient(settings) });
    expect(await executions.succeed("unknown", {})).toBe(false);
    expect(await executions.fail("unknown", { name: "NodeFailed", cause: "c" })).toBe(false);
  });
});

describe("logs", () => {
  it("reads a stream in order over pages, from a moment on, and nothing where there is none", async () => {
    const client = new CloudWatchLogsClient(settings);
    const stream = { logGroupName: "dbt", logStreamName: "dbt/dbt/aaa" };
    await client.send(new CreateLogGroupCommand({ logGroupName: "dbt" }));
    await client.send(new CreateLogStreamCommand(stream));
    const begin = Date.now() - 10_000;
    const lines = Array.from({ length: 25 }, (_, n) => ({ timestamp: begin + n, message: `line ${n}` }));
    await client.send(new PutLogEventsCommand({ ...stream, logEvents: lines }));
    const logs = cloudWatchLogs({ client });
    const all = await logs.readLog("dbt", "dbt/dbt/aaa");
    expect(all).toEqual(lines.map(({ timestamp, message }) => ({ atMs: timestamp, text: message })));
    expect(await logs.readLog("dbt", "dbt/dbt/aaa", { since: begin + 20 })).toHaveLength(5);
    expect(await logs.readLog("dbt", "none")).toEqual([]);
    expect(await logs.readLog("none", "none")).toEqual([]);
  });
});

describe("events", () => {
  it("A5: reach a rule of our source on the default bus, whole, in calls of ten", async () => {
    const bus = new EventBridgeClient(settings);
    const pattern = { "detail-type": ["Warning"], detail: { project: ["shop"] } };
    const received = await receiveEvents({ bus, machines: new SFNClient(settings) }, "warnings", pattern);
    const sent = Array.from({ length: 12 }, (_, n) => warningEvent(`test.shop.größe_${n}`));
    await eventBridgeEvents({ client: bus }).publish([...sent, warningEvent("test.other.x", "other")]);
    const events = await received(sent.length);
    expect(events).toHaveLength(sent.length);
    for (const { detailType, detail, executionArn } of sent)
      expect(events).toContainEqual(
        expect.objectContaining({
          source: "stepwatch",
          "detail-type": detailType,
          resources: [executionArn],
          detail,
        }),
      );
  });
});
