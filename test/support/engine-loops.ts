import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import {
  CreateStateMachineCommand,
  DescribeExecutionCommand,
  SendTaskSuccessCommand,
  type SFNClient,
  StartExecutionCommand,
} from "@aws-sdk/client-sfn";
import { expect, test } from "vitest";
import type { AslDefinition } from "../../infra/state-machines/asl.ts";
import { consumerMachineDefinition } from "../../infra/state-machines/consumer-machine.ts";
import { runMachineDefinition } from "../../infra/state-machines/run-machine.ts";
import { eventually } from "../local/embedded-aws-fixture.ts";
import { exampleSettings } from "./projects.ts";

/** A Step Functions that somebody else has written, and the functions that its machines call. */
export interface Engine {
  readonly sfn: SFNClient;
  readonly roleArn: string;
  /** ARN of a function whose calls come to {@link CalledFunctions} under this name. */
  readonly functionArn: (name: string) => string;
}

type Answer = (payload: { readonly taskToken?: string }) => Promise<unknown>;

/** Functions that an engine calls over HTTP, as `POST /…/<name>/…`: what each was called with is counted here. */
export class CalledFunctions {
  readonly calls = new Map<string, number>();
  readonly #answers = new Map<string, Answer>();
  readonly #server = createServer((request, response) => {
    const name = [...this.#answers.keys()].find((known) => request.url?.includes(known)) ?? "";
    let body = "";
    request.on("data", (chunk) => {
      body += String(chunk);
    });
    request.on("end", () => {
      this.calls.set(name, (this.calls.get(name) ?? 0) + 1);
      void this.#answers
        .get(name)?.(JSON.parse(body))
        .then((answer) => response.end(JSON.stringify(answer ?? null)));
    });
  });

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  answer(name: string, answer: Answer): void {
    this.#answers.set(name, answer);
  }
}

/** Turns that end by their timeout before the one that is answered. */
const TIMED_OUT = 2;

/** Turns of a second, as short as a machine of ours can have them. */
const QUICK = { watch: "poll" as const, pollIntervalSeconds: 1, longestRunMinutes: 20 };

/**
 * The machines as they are deployed, on an engine: a turn that times out leads to the next turn. Engines differ in where
 * a Catch may lead; one that goes on after the first turn instead would end a run green without a consumer.
 */
export function loopTests(engineName: string, engineOf: () => Engine, functions: () => CalledFunctions): void {
  test(`F1: on ${engineName} a consumer's turn that times out is followed by another, until one is answered`, async () => {
    const { functionArn } = engineOf();
    const definition = consumerMachineDefinition({ ...QUICK, watchNodeArn: functionArn("watch-node") });
    answerLate("watch-node", { outcome: "green" });
    const end = await play(definition, { project: "shop", runId: "run-1", uniqueId: "model.shop.orders" });
    expect(end).toMatchObject({ status: "SUCCEEDED", output: { outcome: "green" } });
    expect(functions().calls.get("watch-node")).toBe(TIMED_OUT + 1);
  });

  test(`F1: on ${engineName} a check of the run that times out is followed by another, then by the verdict`, async () => {
    const { functionArn, sfn } = engineOf();
    const definition = runMachineDefinition({
      ...QUICK,
      startRunArn: functionArn("start-run"),
      checkRunArn: functionArn("check-run"),
      settleRunArn: functionArn("settle-run"),
      projects: { shop: exampleSettings() },
    });
    functions().answer("start-run", async ({ taskToken }) => {
      await succeed(sfn, taskToken, { project: "shop", runId: "run-1", waitSeconds: 1 });
    });
    answerLate("check-run", { project: "shop", runId: "run-1", waitSeconds: 1, next: "settle" });
    functions().answer("settle-run", async () => ({ state: "green" }));
    const end = await play(definition, { project: "shop" });
    expect(end).toMatchObject({ status: "SUCCEEDED", output: { state: "green" } });
    expect(functions().calls.get("check-run")).toBe(TIMED_OUT + 1);
    expect(functions().calls.get("settle-run")).toBe(1);
  });

  function answerLate(name: string, output: object): void {
    functions().calls.delete(name);
    functions().answer(name, async ({ taskToken }) => {
      if ((functions().calls.get(name) ?? 0) > TIMED_OUT) await succeed(engineOf().sfn, taskToken, output);
    });
  }

  async function play(definition: AslDefinition, input: object): Promise<{ status: string; output: unknown }> {
    const { sfn, roleArn } = engineOf();
    const name = `loops-${randomUUID()}`;
    const { stateMachineArn } = await sfn.send(
      new CreateStateMachineCommand({ name, roleArn, definition: JSON.stringify(definition) }),
    );
    const { executionArn } = await sfn.send(
      new StartExecutionCommand({ stateMachineArn, name: "execution", input: JSON.stringify(input) }),
    );
    return eventually(async () => {
      const { status = "", output } = await sfn.send(new DescribeExecutionCommand({ executionArn }));
      return status === "RUNNING" ? undefined : { status, output: JSON.parse(output ?? "null") };
    }, 60_000);
  }
}

const succeed = (sfn: SFNClient, taskToken: string | undefined, output: object) =>
  sfn.send(new SendTaskSuccessCommand({ taskToken, output: JSON.stringify(output) }));
