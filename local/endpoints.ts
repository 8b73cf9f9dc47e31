import { HOST } from "./emulator/ports.ts";

export const REGION = "us-east-1";
export const ACCOUNT_ID = "000000000000";

/** Where the embedded AWS answers. */
export interface Endpoints {
  /** All of AWS but ECS. */
  readonly awsEndpointUrl: string;
  readonly ecsEndpointUrl: string;
  readonly region: typeof REGION;
  readonly accountId: typeof ACCOUNT_ID;
  /** Process id of the supervisor. */
  readonly pid: number;
  /** ISO 8601. */
  readonly startedAt: string;
}

/** The variables by which every AWS SDK, the CDK and the AWS CLI reach the embedded AWS and nothing else. */
export function clientEnvironment(
  endpoints: Pick<Endpoints, "awsEndpointUrl" | "ecsEndpointUrl" | "region">,
): Record<string, string> {
  return {
    AWS_ENDPOINT_URL: endpoints.awsEndpointUrl,
    AWS_ENDPOINT_URL_ECS: endpoints.ecsEndpointUrl,
    AWS_ACCESS_KEY_ID: "test",
    AWS_SECRET_ACCESS_KEY: "test",
    AWS_REGION: endpoints.region,
    AWS_DEFAULT_REGION: endpoints.region,
    AWS_EC2_METADATA_DISABLED: "true",
  };
}

export function urlOf(port: number): string {
  return `http://${HOST}:${port}`;
}
