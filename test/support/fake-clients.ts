import { readFile, writeFile } from "node:fs/promises";
import type { Artefacts } from "#clients/artefacts.ts";
import type { Events } from "#clients/events.ts";
import type { Executions } from "#clients/executions.ts";
import type { Launch, TaskDescription, Tasks } from "#clients/tasks.ts";
import { AWS_LIMITS, atMost, bytesOf, checkExecutionName, checkObjectKey } from "#core/aws-limits.ts";
import type { RunEvent, WarningEvent } from "#core/contracts/events.ts";
import { ObjectTooLarge, ServiceUnavailable } from "#core/errors.ts";
import { executionArn, isWrittenOnce } from "#core/names.ts";

/** Calls that fail before anything happens, by the name of the method; counted down to none. */
class Failures {
  readonly #left = new Map<string, number>();

  set(method: string, times: number): void {
    this.#left.set(method, times);
  }

  check(method: string): void {
    const left = this.#left.get(method) ?? 0;
    if (left === 0) return;
    this.#left.set(method, left - 1);
    throw new ServiceUnavailable(`The test made ${method} fail: call again in a moment.`);
  }
}

/** ECS that runs nothing: tasks are launched under their token and end when the test says so. */
export class FakeTasks implements Tasks {
  /** Every launch that took, in order, once per token. */
  readonly launched: (Launch & { readonly taskArn: string })[] = [];
  /** Every call, refused ones among them. */
  readonly asked: Launch[] = [];
  readonly stopped: { readonly taskArn: string; readonly reason: string }[] = [];
  readonly #descriptions = new Map<string, TaskDescription>();
  readonly #refusals: string[] = [];
  readonly #failures = new Failures();

  /** The next launches are refused, one a reason. */
  refuseLaunches(...reasons: readonly string[]): void {
    this.#refusals.push(...reasons);
  }

  failNext(method: keyof Tasks, times = 1): void {
    this.#failures.set(method, times);
  }

  /** What DescribeTasks says of a task from now on; a launched task is `starting` until then. */
  set(taskArn: string, description: TaskDescription): void {
    this.#descriptions.set(taskArn, description);
  }

  async launch(launch: Launch) {
    this.#failures.check("launch");
    this.asked.push(launch);
    const refused = this.#refusals.shift();
    if (refused !== undefined) return { refused };
    const known = this.launched.find(({ clientToken }) => clientToken === launch.clientToken);
    if (known) return { taskArn: known.taskArn };
    const taskArn = `arn:aws:ecs:us-east-1:000000000000:task/stepwatch/${this.launched.length + 1}`;
    this.launched.push({ ...launch, taskArn });
    this.#descriptions.set(taskArn, { state: "starting" });
    return { taskArn };
  }

  async describe(_cluster: string, _containerName: string, taskArns: readonly string[]) {
    this.#failures.check("describe");
    const missing: TaskDescription = { state: "missing" };
    return new Map(taskArns.map((taskArn) => [taskArn, this.#descriptions.get(taskArn) ?? missing]));
  }

  async stop(_cluster: string, taskArn: string, reason: string) {
    this.#failures.check("stop");
    this.stopped.push({ taskArn, reason });
  }
}

type Description = NonNullable<Awaited<ReturnType<Executions["describe"]>>>;

/** Step Functions that only keeps what it was told. */
export class FakeExecutions implements Executions {
  readonly started: { readonly executionArn: string; readonly name: string; readonly input: unknown }[] = [];
  /** Waits that were ended, in order: with an output or with an error. */
  readonly answered: { readonly taskToken: string; readonly output?: unknown; readonly error?: unknown }[] = [];
  readonly stopped: { readonly executionArn: string; readonly cause: string }[] = [];
  readonly redriven: string[] = [];
  readonly #descriptions = new Map<string, Description>();
  readonly #closed = new Set<string>();
  readonly #failures = new Failures();

  failNext(method: keyof Executions, times = 1): void {
    this.#failures.set(method, times);
  }

  /** The wait of this token has timed out: answers to it are false. */
  close(taskToken: string): void {
    this.#closed.add(taskToken);
  }

  /** What DescribeExecution says from now on; a started execution is RUNNING until then. */
  set(arn: string, description: Partial<Description>): void {
    const unknown = { status: "RUNNING", name: arn.split(":").at(-1) ?? "", startedAtMs: 0, stoppedAtMs: null };
    const nothing = { input: null, output: null, error: null, cause: null, redriveCount: 0 };
    const before = this.#descriptions.get(arn) ?? { ...unknown, ...nothing };
    this.#descriptions.set(arn, { ...before, ...description });
  }

  async start(stateMachineArn: string, name: string, input: unknown) {
    checkExecutionName(name);
    atMost("input", bytesOf(JSON.stringify(input)), AWS_LIMITS.payloadBytes);
    this.#failures.check("start");
    const arn = executionArn(stateMachineArn, name);
    if (this.#descriptions.has(arn)) return { executionArn: arn, started: false };
    this.started.push({ executionArn: arn, name, input });
    this.set(arn, { input });
    return { executionArn: arn, started: true };
  }

  async succeed(taskToken: string, output: unknown) {
    this.#failures.check("succeed");
    return this.#answer({ taskToken, output });
  }

  async fail(taskToken: string, error: { name: string; cause: string }) {
    this.#failures.check("fail");
    return this.#answer({ taskToken, error });
  }

  async describe(arn: string) {
    this.#failures.check("describe");
    return this.#descriptions.get(arn) ?? null;
  }

  async redrive(arn: string) {
    this.#failures.check("redrive");
    const known = this.#descriptions.get(arn);
    if (known === undefined || !["FAILED", "ABORTED", "TIMED_OUT"].includes(known.status)) return false;
    this.redriven.push(arn);
    this.set(arn, { status: "RUNNING", redriveCount: known.redriveCount + 1 });
    return true;
  }

  async stop(arn: string, cause: string) {
    this.#failures.check("stop");
    this.stopped.push({ executionArn: arn, cause });
    if (this.#descriptions.get(arn)?.status === "RUNNING") this.set(arn, { status: "ABORTED", cause });
  }

  #answer(answer: { taskToken: string; output?: unknown; error?: unknown }): boolean {
    if (this.#closed.has(answer.taskToken)) return false;
    this.#closed.add(answer.taskToken);
    this.answered.push(answer);
    return true;
  }
}

/** The artefact bucket as a map of texts. */
export class FakeArtefacts implements Artefacts {
  readonly texts = new Map<string, string>();
  readonly #failures = new Failures();

  failNext(method: keyof Artefacts, times = 1): void {
    this.#failures.set(method, times);
  }

  async putJson(key: string, value: unknown) {
    this.#failures.check("putJson");
    checkObjectKey(key);
    if (!isWrittenOnce(key) || !this.texts.has(key)) this.texts.set(key, JSON.stringify(value));
  }

  async putText(key: string, text: string) {
    this.#failures.check("putText");
    this.texts.set(key, text);
  }

  async putFile(key: string, path: string) {
    this.#failures.check("putFile");
    this.texts.set(key, await readFile(path, "utf8"));
  }

  async getFile(key: string, path: string) {
    this.#failures.check("getFile");
    const text = this.texts.get(key);
    if (text !== undefined) await writeFile(path, text);
    return text !== undefined;
  }

  async readPieces(key: string, take: (bytes: Uint8Array) => void) {
    this.#failures.check("readPieces");
    const text = this.texts.get(key);
    if (text !== undefined) take(new TextEncoder().encode(text));
    return text !== undefined;
  }

  async copy(from: string, to: string) {
    this.#failures.check("copy");
    const text = this.texts.get(from);
    if (text !== undefined) await this.putText(to, text);
    return text !== undefined;
  }

  async getJson(key: string, mostBytes = Number.POSITIVE_INFINITY) {
    this.#failures.check("getJson");
    const text = this.texts.get(key);
    if (text !== undefined && bytesOf(text) > mostBytes) throw new ObjectTooLarge(key, bytesOf(text), mostBytes);
    return text === undefined ? null : JSON.parse(text);
  }

  async getText(key: string) {
    this.#failures.check("getText");
    return this.texts.get(key) ?? null;
  }

  async list(prefix: string) {
    this.#failures.check("list");
    const keys = [...this.texts.keys()].filter((key) => key.startsWith(prefix)).sort();
    return keys.map((key) => ({ key, bytes: Buffer.byteLength(this.texts.get(key) ?? "") }));
  }
}

/** The event bus as a list of what was published. */
export class FakeEvents implements Events {
  readonly published: RunEvent[] = [];
  readonly #failures = new Failures();

  failNext(): void {
    this.#failures.set("publish", 1);
  }

  async publish(events: readonly RunEvent[]) {
    this.#failures.check("publish");
    this.published.push(...events);
  }
}

/** A warning as a run publishes it. */
export const warningEvent = (uniqueId: string, project = "shop"): WarningEvent => ({
  detailType: "Warning",
  atMs: Date.parse("2026-01-02T03:04:05Z"),
  executionArn: "arn:run-1",
  detail: {
    contract: 1,
    id: `id of ${uniqueId}`,
    project,
    runId: "run-1",
    round: 1,
    state: "green",
    sentence: `${uniqueId}: Got 2 results, configured to warn if != 0`,
    uniqueId,
    nodes: ["model.shop.orders"],
    failures: 2,
    relation: null,
  },
});
