import { Ajv } from "ajv";
import { z } from "zod";
import type { Ledger } from "#clients/ledger.ts";
import { parseConfig, type StepwatchConfig } from "#core/config.ts";
import type { RunRow, TaskRow, VertexRow } from "#core/contracts/ledger.ts";
import { executionArn } from "#core/names.ts";
import type { Plan } from "#core/run/planning/plan.ts";
import type { CommonOptions, Context, DeployedStack } from "../../cli/context.ts";
import { failureOf } from "../../cli/failure.ts";
import { answerSchema } from "../../cli/json-contracts.ts";
import { runCommandLine } from "../../cli/program.ts";
import { FakeExecutions } from "../support/fake-clients.ts";
import { memoryLedger } from "../support/memory-ledger.ts";
import { exampleSettings } from "../support/projects.ts";

export const BACKFILL_MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:stepwatch-backfill";
export const RUN_MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:stepwatch-run";

/** One look at a run; the last of a list stays. */
export interface Look {
  readonly run: RunRow | null;
  readonly plan?: Plan;
  readonly tasks?: readonly TaskRow[];
  readonly vertices?: readonly VertexRow[];
}

export interface FakeStack extends DeployedStack {
  readonly executions: FakeExecutions;
}

/** A stack whose ledger shows these looks one after the other: each read of the run row is the next one. */
export function fakeStack(looks: readonly Look[], overrides: Partial<Ledger> = {}): FakeStack {
  let next = 0;
  let look: Look = looks[0] ?? { run: null };
  const ledger: Ledger = {
    ...memoryLedger(),
    readRun: async () => {
      look = looks[Math.min(next, looks.length - 1)] ?? { run: null };
      next += 1;
      return look.run;
    },
    readTasks: async () => [...(look.tasks ?? [])],
    readVertices: async () => [...(look.vertices ?? [])],
    ...overrides,
  };
  return {
    projects: null,
    outdated: false,
    resources: {
      stackName: "stepwatch",
      table: "t",
      bucket: "b",
      runMachineArn: RUN_MACHINE,
      consumerMachineArn: "c",
      backfillMachineArn: BACKFILL_MACHINE,
    },
    place: "embedded",
    ledger,
    artefacts: {
      putJson: never,
      putFile: never,
      putText: never,
      getFile: never,
      getJson: async () => null,
      readPieces: async () => false,
      copy: async () => false,
      getText: async () => null,
      list: never,
    },
    executions: new FakeExecutions(),
    executionNames: async () => [],
    askToStop: async () => undefined,
    readSettings: async (project) => (project === "shop" ? exampleSettings() : null),
    taskDefinitions: {
      imageOf: async (arn) => `image of ${arn}`,
      withImage: async (arn, container, image) => `${arn} with ${container} = ${image}`,
    },
    readPlan: async () => look.plan ?? null,
    logs: {
      readLog: async (group, stream) => [{ atMs: 1_700_000_000_000, text: `${group} ${stream} model.shop.orders` }],
    },
  };
}

async function never(): Promise<never> {
  throw new Error("No command may write artefacts.");
}

/** An execution of a run of the project `shop`, so that commands find it by its id. */
export function known(stack: FakeStack, runId: string, description: Parameters<FakeExecutions["set"]>[1] = {}): void {
  stack.executions.set(executionArn(RUN_MACHINE, runId), { input: { project: "shop" }, ...description });
}

export interface CommandEnd {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface FakeOutside {
  readonly stack?: DeployedStack;
  readonly openStack?: (options: CommonOptions) => Promise<DeployedStack>;
  readonly config?: StepwatchConfig;
  readonly loadConfig?: Context["loadConfig"];
  readonly environment?: Record<string, string>;
  readonly listProject?: Context["listProject"];
  readonly interrupted?: AbortSignal;
  readonly cwd?: string;
}

const shop = parseConfig({ projects: { shop: { projectDir: "shop" } } }, "/", (_folder, path) => `/${path}`);

/** Runs one command line with a clock that sleeping moves on. */
export async function stepwatch(commandLine: readonly string[], outside: FakeOutside = {}): Promise<CommandEnd> {
  const out: string[] = [];
  const err: string[] = [];
  let nowMs = 1_700_000_200_000;
  const interrupted = outside.interrupted ?? new AbortController().signal;
  const exitCode = await runCommandLine(commandLine, {
    out: { write: (text) => out.push(text) },
    err: { write: (text) => err.push(text) },
    environment: outside.environment ?? {},
    cwd: outside.cwd ?? "/",
    person: "jane",
    now: () => nowMs,
    sleep: async (milliseconds) => {
      interrupted.throwIfAborted();
      nowMs += milliseconds;
    },
    interrupted,
    loadConfig: outside.loadConfig ?? (() => outside.config ?? shop),
    checkProject: () => {},
    listProject: outside.listProject ?? never,
    openStack: outside.openStack ?? (async () => outside.stack ?? fakeStack([])),
  });
  if (commandLine.includes("--json")) holdsSchema(commandLine, out.join(""));
  return { exitCode, stdout: out.join(""), stderr: err.join("") };
}

const ajv = new Ajv({ strict: false, validateFormats: false });
const schemas = new Map<string, ReturnType<Ajv["compile"]>>();

/** Whatever a command prints with `--json` is what the package's schema says of it. */
function holdsSchema([command = ""]: readonly string[], stdout: string): void {
  const schema = answerSchema(command);
  if (schema === null || stdout === "") return;
  const holds = schemas.get(command) ?? ajv.compile(z.toJSONSchema(schema, { target: "draft-7" }));
  schemas.set(command, holds);
  if (!holds(JSON.parse(stdout)))
    throw new Error(`${command} --json does not hold its schema: ${ajv.errorsText(holds.errors)}\n${stdout}`);
}

/** How the command line would end by what a check throws; null if it throws nothing. */
export function refusal(check: () => unknown): ReturnType<typeof failureOf> | null {
  try {
    check();
  } catch (error) {
    return failureOf(error);
  }
  return null;
}
