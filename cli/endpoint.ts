import { join } from "node:path";
import { EMBEDDED_REGION, TEST_KEYS } from "#local/endpoints.ts";
import { InfrastructureError, UsageError } from "./failure.ts";
import { stateDirOf } from "./paths.ts";

type Environment = Record<string, string | undefined>;

/** Names the endpoint of every command that is not given one. */
const ENDPOINT_VARIABLE = "STEPWATCH_ENDPOINT";

/** How long the first answer may take: an engine loads a service when it is first asked. */
const REACHED_WITHIN_MS = 30_000;

/**
 * URL of the AWS that a command means where that is neither the embedded one nor a real account: LocalStack, moto, or
 * another engine that speaks the protocol. Null where none is named.
 * @throws {UsageError} if it is no URL
 */
export function endpointOf(named: string | undefined, environment: Environment): string | null {
  const text = named ?? environment[ENDPOINT_VARIABLE];
  if (text === undefined || text === "") return null;
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || url.pathname !== "/" || url.search !== "")
    throw new UsageError(
      `${named === undefined ? ENDPOINT_VARIABLE : "--endpoint"} is ${JSON.stringify(text)}, which is no URL of an engine.`,
      "Write for example http://127.0.0.1:4566.",
    );
  // A bucket's name stands before a host's, and nobody resolves `bucket.localhost`; before an address it never stands.
  if (url.hostname === "localhost") url.hostname = "127.0.0.1";
  return url.origin;
}

/** Everything that belongs to endpoints: images, runners and work folders, which the ECS endpoint of local/ecs reads. */
export const endpointStateDir = (environment: Environment): string => join(stateDirOf(environment), "endpoint");

/** What was deployed to one of them: assembly, record, logs. */
export const endpointFolder = (environment: Environment, url: string): string =>
  join(endpointStateDir(environment), new URL(url).host.replaceAll(/[^\w.-]/g, "-"));

/** By these a person says who they are; where none is given, what any emulator takes is. */
const CREDENTIALS = [
  "AWS_ACCESS_KEY_ID",
  "AWS_PROFILE",
  "AWS_DEFAULT_PROFILE",
  "AWS_WEB_IDENTITY_TOKEN_FILE",
  "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
  "AWS_CONTAINER_CREDENTIALS_FULL_URI",
] as const;

/**
 * The variables of a process that talks to an endpoint: the person's own with the endpoint in it. Endpoints of single
 * services (`AWS_ENDPOINT_URL_ECS`) stay as they are given, and so do credentials and region.
 */
export function endpointEnvironment(url: string, environment: Environment): Environment {
  const given = (names: readonly string[]) => names.some((name) => environment[name]);
  const { AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: _, ...others } = environment;
  const keys = { AWS_ACCESS_KEY_ID: TEST_KEYS.accessKeyId, AWS_SECRET_ACCESS_KEY: TEST_KEYS.secretAccessKey };
  const region = environment.AWS_REGION || environment.AWS_DEFAULT_REGION || EMBEDDED_REGION;
  const hasRegion = given(["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]) && !given(["AWS_REGION", "AWS_DEFAULT_REGION"]);
  return {
    ...others,
    AWS_ENDPOINT_URL: url,
    AWS_EC2_METADATA_DISABLED: "true",
    ...(given(CREDENTIALS) ? {} : keys),
    // A profile may name its region in a file that only the SDK reads.
    ...(hasRegion ? {} : { AWS_REGION: region, AWS_DEFAULT_REGION: region }),
  };
}

/** Points every AWS client that this process makes from now on to the endpoint. */
export function useEndpoint(url: string): void {
  const wanted = endpointEnvironment(url, process.env);
  for (const name of Object.keys(process.env)) if (!(name in wanted)) delete process.env[name];
  Object.assign(process.env, wanted);
}

/**
 * Whether anybody answers at all, whatever it says: an SDK would try five times and then tell of a socket.
 * @throws {InfrastructureError}
 */
export async function requireReached(url: string): Promise<void> {
  try {
    await fetch(url, { signal: AbortSignal.timeout(REACHED_WITHIN_MS) });
  } catch (cause) {
    throw new InfrastructureError(
      `Nobody answers at the endpoint ${url}.`,
      "Start the engine (docs/localstack.md), correct --endpoint or STEPWATCH_ENDPOINT, or leave them out for the embedded AWS.",
      { cause },
    );
  }
}
