import { join } from "node:path";
import { RedriveExecutionCommand, SFNClient } from "@aws-sdk/client-sfn";
import { down, up } from "#local/embedded-aws.ts";
import { DEFAULT_STATE_DIR } from "#local/python.ts";
import { endpointEnvironment, endpointFolder } from "../../cli/endpoint.ts";

/** Set by `npm run test:endpoint` for the vitest that it starts. */
export const ENDPOINT_VARIABLES = {
  url: "STEPWATCH_TEST_ENDPOINT",
  turn: "STEPWATCH_TEST_TURN",
  watch: "STEPWATCH_TEST_WATCH",
} as const;

/** What some tests need of an engine, and not each engine has. */
export type Ability = "redrive" | "stop an execution in the middle of a wait";

/** An AWS that the tests know by its URL alone, as `--endpoint` does. */
export interface EndpointPlace {
  readonly url: string;
  /** Of the commands: images lie in its `endpoint`, where the ECS endpoint beside the engine reads them. */
  readonly stateDir: string;
  /** What is deployed there: record and assembly. */
  readonly folder: string;
  /** The AWS_… variables of whoever calls it. */
  readonly environment: Readonly<Record<string, string>>;
  /** Of `deploy`: the endpoint's turn, where it is not the usual one. */
  readonly deployFlags: readonly string[];
  /** Of stepwatch.yaml. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** What it does not do, with how that is known. */
  readonly lacks: Readonly<Partial<Record<Ability, string>>>;
}

/** A turn of an embedded AWS is answered at once. */
const EMBEDDED_TURN_SECONDS = 2;

/**
 * The endpoint that is named; without one, an embedded AWS of its own, which is called as if it were somebody else's.
 * @returns with how it is left
 */
export async function openEndpoint(folder: string): Promise<{ place: EndpointPlace; close: () => Promise<void> }> {
  const given = process.env[ENDPOINT_VARIABLES.url];
  const watch = process.env[ENDPOINT_VARIABLES.watch];
  const settings = watch === undefined ? {} : { watch };
  if (given !== undefined) {
    const stateDir = process.env.STEPWATCH_STATE_DIR || DEFAULT_STATE_DIR;
    return { place: { ...at(given, stateDir), settings }, close: async () => {} };
  }
  const stateDir = join(folder, "state");
  const embedded = { stateDir: join(stateDir, "endpoint") };
  const { awsEndpointUrl, ecsEndpointUrl } = await up({ ...embedded, venvStateDir: DEFAULT_STATE_DIR });
  process.env.AWS_ENDPOINT_URL_ECS = ecsEndpointUrl;
  return {
    place: { ...at(awsEndpointUrl, stateDir, EMBEDDED_TURN_SECONDS), settings },
    close: () => down(embedded),
  };
}

function at(url: string, stateDir: string, usualTurn?: number): Omit<EndpointPlace, "settings"> {
  const turn = process.env[ENDPOINT_VARIABLES.turn] ?? usualTurn;
  const variables = Object.entries(endpointEnvironment(url, process.env));
  return {
    url,
    stateDir,
    folder: endpointFolder({ STEPWATCH_STATE_DIR: stateDir }, url),
    environment: Object.fromEntries(
      variables.flatMap(([name, value]) => (name.startsWith("AWS_") && value !== undefined ? [[name, value]] : [])),
    ),
    deployFlags: ["--endpoint", url, ...(turn === undefined ? [] : ["--turn", String(turn)])],
    lacks: {},
  };
}

/** Asks the endpoint what it does. Its environment must be this process' already. */
export async function lacksOf(url: string, runMachineArn: string): Promise<EndpointPlace["lacks"]> {
  const [redrive, isLocalStack] = await Promise.all([
    refusalOfRedrive(`${runMachineArn.replace(":stateMachine:", ":execution:")}:no-such-execution`),
    fetch(`${url}/_localstack/health`).then(
      (answer) => answer.ok,
      () => false,
    ),
  ]);
  return {
    ...(redrive !== null && { redrive }),
    // Asked by a machine of its own, it would cost more than it says.
    ...(isLocalStack && {
      "stop an execution in the middle of a wait": "LocalStack ends it when its turn does, as timed out",
    }),
  };
}

/** Null where it looks for the execution; else its own words. */
async function refusalOfRedrive(executionArn: string): Promise<string | null> {
  const client = new SFNClient({ maxAttempts: 1 });
  try {
    await client.send(new RedriveExecutionCommand({ executionArn }));
    return null;
  } catch (error) {
    const { name, message } = error as Error;
    return name === "ExecutionDoesNotExist" ? null : `RedriveExecution is answered by ${name}: ${message}`;
  } finally {
    client.destroy();
  }
}
