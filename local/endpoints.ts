import { HOST } from "./emulator/ports.ts";

/** What the embedded AWS takes itself for. An engine of somebody else's has a region and an account of its own. */
export const EMBEDDED_REGION = "us-east-1";
export const EMBEDDED_ACCOUNT_ID = "000000000000";

/** Keys by which a process calls an AWS. Emulators check none; some take the account from the first. */
export interface Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** Of the embedded AWS, and of an engine where a person gives none. */
export const TEST_KEYS: Keys = { accessKeyId: "test", secretAccessKey: "test" };

/** Where the embedded AWS answers. */
export interface Endpoints {
  /** All of AWS but ECS. */
  readonly awsEndpointUrl: string;
  readonly ecsEndpointUrl: string;
  readonly region: string;
  readonly accountId: string;
  /** Process id of the supervisor. */
  readonly pid: number;
  /** ISO 8601. */
  readonly startedAt: string;
}

/** The variables by which every AWS SDK, the CDK and the AWS CLI reach these endpoints and nothing else. */
export function clientEnvironment(
  endpoints: Pick<Endpoints, "awsEndpointUrl" | "ecsEndpointUrl" | "region">,
  keys: Keys = TEST_KEYS,
): Record<string, string> {
  return {
    AWS_ENDPOINT_URL: endpoints.awsEndpointUrl,
    AWS_ENDPOINT_URL_ECS: endpoints.ecsEndpointUrl,
    AWS_ACCESS_KEY_ID: keys.accessKeyId,
    AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
    ...(keys.sessionToken === undefined ? {} : { AWS_SESSION_TOKEN: keys.sessionToken }),
    AWS_REGION: endpoints.region,
    AWS_DEFAULT_REGION: endpoints.region,
    AWS_EC2_METADATA_DISABLED: "true",
  };
}

export function urlOf(port: number): string {
  return `http://${HOST}:${port}`;
}
