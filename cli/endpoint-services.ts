import { setTimeout as sleep } from "node:timers/promises";
import { unsignedAuthorization } from "#local/emulator/aws-json.ts";
import { InfrastructureError } from "./failure.ts";

type Environment = Record<string, string | undefined>;

/** One harmless call of a service: how it is asked, and the SDK's name of it in AWS_ENDPOINT_URL_<name>. */
interface Probe {
  readonly service: string;
  readonly variable: string;
  readonly method?: "GET";
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

const json = (service: string, variable: string, target: string, version: "1.0" | "1.1"): Probe => ({
  service,
  variable,
  headers: { "content-type": `application/x-amz-json-${version}`, "x-amz-target": target },
  body: "{}",
});

const query = (service: string, variable: string, action: string, version: string): Probe => ({
  service,
  variable,
  headers: { "content-type": "application/x-www-form-urlencoded; charset=utf-8" },
  body: `Action=${action}&Version=${version}`,
});

/** All that the stack's resources, its functions, its containers and these commands call. */
const PROBES: readonly Probe[] = [
  query("sts", "STS", "GetCallerIdentity", "2011-06-15"),
  query("cloudformation", "CLOUDFORMATION", "ListStacks", "2010-05-15"),
  query("iam", "IAM", "ListRoles", "2010-05-08"),
  query("ec2", "EC2", "DescribeVpcs", "2016-11-15"),
  { service: "s3", variable: "S3", method: "GET", path: "/" },
  { service: "lambda", variable: "LAMBDA", method: "GET", path: "/2015-03-31/functions/" },
  json("dynamodb", "DYNAMODB", "DynamoDB_20120810.ListTables", "1.0"),
  json("states", "SFN", "AWSStepFunctions.ListStateMachines", "1.0"),
  json("events", "EVENTBRIDGE", "AWSEvents.ListRules", "1.1"),
  json("logs", "CLOUDWATCH_LOGS", "Logs_20140328.DescribeLogGroups", "1.1"),
  json("ssm", "SSM", "AmazonSSM.DescribeParameters", "1.1"),
  json("ecs", "ECS", "AmazonEC2ContainerServiceV20141113.ListClusters", "1.1"),
];

/** What `watch: wake` needs beside it: the ledger's stream, and functions that it calls. */
const WAKE_PROBES: readonly Probe[] = [
  { service: "lambda", variable: "LAMBDA", method: "GET", path: "/2015-03-31/event-source-mappings/" },
  json("dynamodb", "DYNAMODB_STREAMS", "DynamoDBStreams_20120810.ListStreams", "1.0"),
];

const ANSWERED_WITHIN_MS = 60_000;
/** An engine's own error may pass, as AWS's may; that it lacks a service (501) does not. */
const PASSING: ReadonlySet<number> = new Set([500, 502, 503, 504]);
const TRIES = 3;
const NOBODY_ANSWERS = "(nobody answers)";

/**
 * Asks each service that a deployed stack needs for something harmless. What is missing would show in the middle of a
 * deploy otherwise, or as a run that waits for ever.
 * @throws {InfrastructureError} that names every service which is missing, with its own words
 */
export async function requireServices(
  url: string,
  environment: Environment,
  watch: "wake" | "poll",
  pauseMs = 1_000,
): Promise<void> {
  // One after the other: LocalStack loads a service when it is first asked for, and two that are loaded at once may
  // block each other.
  const missingOf = async (probes: readonly Probe[]) => {
    const refusals: string[] = [];
    for (const probe of probes) {
      const refusal = await refusalOf(probe, url, environment, pauseMs);
      if (refusal !== null) refusals.push(refusal);
      // Of an address where nobody answers the others say nothing else, each after its minute.
      if (refusal?.endsWith(NOBODY_ANSWERS)) break;
    }
    return refusals;
  };
  const missing = await missingOf(PROBES);
  const forWakes = await missingOf(watch === "wake" ? WAKE_PROBES : []);
  if (missing.length === 0 && forWakes.length > 0)
    throw new InfrastructureError(
      `The endpoint ${url} lacks what watch: wake needs, a table's stream that calls a function: ${forWakes.join("; ")}.`,
      "Set watch: poll in stepwatch.yaml.",
    );
  if (missing.length === 0) return;
  throw new InfrastructureError(
    `The endpoint ${url} lacks what stepwatch needs: ${missing.join("; ")}.`,
    "docs/localstack.md says what fills it in: a plugin of the engine, or AWS_ENDPOINT_URL_<service>.",
  );
}

/** Null where the service answers as it should. */
async function refusalOf(probe: Probe, url: string, environment: Environment, pauseMs: number): Promise<string | null> {
  const { service, variable, method = "POST", path = "/", headers = {}, body } = probe;
  const own = environment[`AWS_ENDPOINT_URL_${variable}`];
  const region = environment.AWS_REGION ?? "";
  const authorization = unsignedAuthorization(service, region, environment.AWS_ACCESS_KEY_ID);
  const ask = () =>
    fetch(`${(own ?? url).replace(/\/+$/, "")}${path}`, {
      method,
      headers: { ...headers, authorization },
      ...(body === undefined ? {} : { body }),
      signal: AbortSignal.timeout(ANSWERED_WITHIN_MS),
    });
  try {
    let answer = await ask();
    for (let again = 1; again < TRIES && PASSING.has(answer.status); again += 1) {
      await sleep(again * pauseMs);
      answer = await ask();
    }
    const text = await answer.text();
    return answer.ok ? null : `${service} (HTTP ${answer.status}${wordsOf(text)})`;
  } catch {
    return `${service} ${own === undefined ? NOBODY_ANSWERS : `(nobody answers at ${own})`}`;
  }
}

/** The sentence in an error's JSON or XML. */
function wordsOf(text: string): string {
  const words = /"?[Mm]essage"?\s*[:>]\s*"?([^"<]{1,200})/.exec(text)?.[1]?.trim();
  return words ? `: ${words}` : "";
}
