import { spawn } from "node:child_process";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { EventBridgeClient } from "@aws-sdk/client-eventbridge";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventBridgeEvents } from "#clients/eventbridge-events.ts";
import { STOP_ASKED } from "#core/contracts/events.ts";
import { status } from "#local/embedded-aws.ts";
import { clientEnvironment } from "#local/endpoints.ts";
import { POLICY_LEVELS, type PolicyLevel, type PolicyStatement } from "../../cli/people-policy.ts";
import { emulatorIdentity } from "../support/emulator.ts";
import { decide } from "../support/iam-evaluator.ts";
import { ownStack } from "../support/own-stack.ts";
import { type RecordedCall, RecordingProxy } from "../support/recorded-calls.ts";

const deployed = ownStack();
const main = join(import.meta.dirname, "../../cli/main.ts");
const STACK = ["--stack", "stepwatch-slow"];
const PROJECT = "no_tests";

/** Before the ECS endpoint, and before the rest. */
let proxies: readonly RecordingProxy[];
let environment: Record<string, string>;
const policies = {} as Record<PolicyLevel, readonly PolicyStatement[]>;

beforeAll(async () => {
  const endpoints = (await status({ stateDir: deployed.stateDir })).endpoints!;
  proxies = [new RecordingProxy(endpoints.ecsEndpointUrl), new RecordingProxy(endpoints.awsEndpointUrl)];
  const [ecsEndpointUrl, awsEndpointUrl] = await Promise.all(proxies.map((proxy) => proxy.listen()));
  environment = clientEnvironment({
    ...endpoints,
    ecsEndpointUrl: ecsEndpointUrl!,
    awsEndpointUrl: awsEndpointUrl!,
  });
  for (const level of POLICY_LEVELS) {
    const { code, stdout, stderr } = await command("policy", "--for", level);
    expect(code, stderr).toBe(0);
    policies[level] = JSON.parse(stdout).Statement;
  }
});
afterAll(() => Promise.all(proxies.map((proxy) => proxy.close())));

/** Calls since the last time that this was asked. */
const taken = () => proxies.flatMap((proxy) => proxy.take());

/** A command on the stack as it is in AWS: by its name, with an environment, and every call through the proxy. */
async function command(...args: string[]) {
  const env = { ...process.env, ...environment, STEPWATCH_STATE_DIR: join(deployed.folder, "nobody"), NO_COLOR: "1" };
  const child = spawn(process.execPath, [main, ...args, ...STACK], { env, stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await ended, stdout, stderr };
}

/** A task token stands for the machine whose execution waits by it: here the run machine. */
function isAllowed({ action, resource, context }: RecordedCall, identity: readonly PolicyStatement[]): boolean {
  const runMachine = policies.run.find(({ Sid }) => Sid === "StartRuns")!.Resource[0]!;
  return decide({ identity, resource: [] }, { action, resource: resource ?? runMachine, context }) === "allowed";
}

const made: RecordedCall[] = [];

/** Runs a command; every call of it must be allowed to people of this level, and one at least to nobody below. */
async function by(level: PolicyLevel, codes: readonly number[], ...args: string[]): Promise<string> {
  taken();
  const { code, stdout, stderr } = await command(...args);
  const calls = taken();
  made.push(...calls);
  expect(codes, `${args.join(" ")}\n${stderr}`).toContain(code);
  expect(calls.length).toBeGreaterThan(0);
  expect(calls.filter((call) => !isAllowed(call, policies[level]))).toEqual([]);
  const below = policies[POLICY_LEVELS[POLICY_LEVELS.indexOf(level) - 1]!] ?? [];
  expect(
    calls.some((call) => !isAllowed(call, below)),
    `${args.join(" ")} needs ${level}`,
  ).toBe(true);
  return stdout;
}

const started = async (...options: string[]): Promise<string> =>
  JSON.parse(await by("run", [0], "run", PROJECT, "--no-follow", "--json", ...options)).runId;

test("people's policies allow every call that the commands make, level by level, and hold nothing that no command uses", async () => {
  const red = ["--vars", '{"break":"model"}'];
  const summary = JSON.parse(await by("run", [1], "run", PROJECT, "--json", ...red));
  const { runId } = summary;
  await by("read", [0], "runs", PROJECT);
  for (const look of ["status", "why", "tasks"]) await by("read", [0, 1], look, runId);
  await by("read", [0], "logs", runId);
  await by("run", [1], "retry", runId, "--force");
  const days = ["--from", "2026-01-01", "--to", "2026-01-03"];
  const begun = await by("run", [0], "backfill", PROJECT, ...days, "--no-follow", "--json");
  const { backfill } = JSON.parse(begun);
  await by("read", [0], "backfill", PROJECT);
  await by("read", [0, 1], "backfill", "status", backfill);
  await by("run", [0], "backfill", "stop", backfill, "--reason", "looked at");
  const node = summary.nodes.find((one: { class: string }) => one.class === "failed").uniqueId;
  await by("operate", [0], "mark", runId, "good", "--node", node, "--reason", "looked at it");
  await by("operate", [0], "pause", PROJECT, "--reason", "the warehouse moves");
  await by("operate", [0], "resume", PROJECT);

  const { deployed: image } = JSON.parse(await by("release", [0], "image", PROJECT, "--json"));
  const release = ["image", PROJECT, `${image.split("@")[0]}@sha256:${"1".repeat(64)}`, "--reason", "a fix"];
  await by("release", [0], ...release);
  await by("release", [0], "image", PROJECT, "--deployed");

  const holds = await started();
  const waits = await started();
  const next = await started();
  await by("run", [0, 1], "stop", waits, "--reason", "one too many");
  await by("operate", [0], "unlock", PROJECT, "--force", "--reason", "it hangs");
  for (const left of [holds, next]) await command("stop", left, "--reason", "enough");

  // What `stop` does of a run whose execution is gone while its row says running, which stop-run soon ends.
  taken();
  const event = { detailType: STOP_ASKED, detail: { executionArn: "arn", stateMachineArn: "arn" } } as const;
  const client = new EventBridgeClient({ endpoint: environment.AWS_ENDPOINT_URL!, ...emulatorIdentity });
  await eventBridgeEvents({ client }).publish([{ ...event, atMs: Date.now(), executionArn: "arn" }]);
  const asked = taken();
  expect(asked.map((call) => [call.action, isAllowed(call, policies.run)])).toEqual([["events:PutEvents", true]]);

  const unused = policies.release
    .flatMap(({ Action, Sid }) => Action.map((action) => `${Sid} ${action}`))
    .filter((named) => ![...made, ...asked].some(({ action }) => named.endsWith(` ${action}`)));
  // No call of its own: S3 says 404 of what is not there only to those who may list. The image was named by its digest, and
  // the emulator keeps no tags of definitions.
  expect(unused).toEqual([
    "ListArtefacts s3:ListBucket",
    "KeepTheirTags ecs:TagResource",
    "LookUpTags ecr:DescribeImages",
  ]);
});
