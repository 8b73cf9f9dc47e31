/**
 * The few calls that the embedded AWS itself makes to the emulator, in the JSON protocol. The SDK would do as well, at
 * 40 MB of memory for the background process.
 */

import { TEST_KEYS } from "../endpoints.ts";

const SERVICES = {
  logs: { targetPrefix: "Logs_20140328", contentType: "application/x-amz-json-1.1" },
  ssm: { targetPrefix: "AmazonSSM", contentType: "application/x-amz-json-1.1" },
  secretsmanager: { targetPrefix: "secretsmanager", contentType: "application/x-amz-json-1.1" },
  ecs: { targetPrefix: "AmazonEC2ContainerServiceV20141113", contentType: "application/x-amz-json-1.1" },
} as const;

/** The emulator answered with an error; `code` is the AWS name of it. */
export class EmulatorCallError extends Error {
  override readonly name = "EmulatorCallError";
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export interface AwsJson {
  /** @throws {EmulatorCallError} when the service answers with an error */
  call<Answer>(service: keyof typeof SERVICES, action: string, input: object): Promise<Answer>;
}

export function awsJson(emulatorUrl: string, region: string, accessKeyId: string = TEST_KEYS.accessKeyId): AwsJson {
  return {
    async call<Answer>(service: keyof typeof SERVICES, action: string, input: object): Promise<Answer> {
      const { targetPrefix, contentType } = SERVICES[service];
      const response = await fetch(emulatorUrl, {
        method: "POST",
        headers: {
          "content-type": contentType,
          "x-amz-target": `${targetPrefix}.${action}`,
          authorization: unsignedAuthorization(service, region, accessKeyId),
        },
        body: JSON.stringify(input),
      });
      const text = await response.text();
      if (!response.ok) throw callError(action, response.status, text);
      return JSON.parse(text === "" ? "{}" : text) as Answer;
    },
  };
}

/** The emulator reads account, region and service from the credential scope and checks no signature. */
export function unsignedAuthorization(service: string, region: string, accessKeyId = TEST_KEYS.accessKeyId): string {
  const scope = `${accessKeyId}/20260101/${region}/${service}/aws4_request`;
  return `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=0`;
}

/**
 * The account of whoever has these keys, as the engine sees it.
 * @throws {EmulatorCallError} when nobody there knows
 */
export async function accountOf(emulatorUrl: string, region: string, accessKeyId: string): Promise<string> {
  const response = await fetch(emulatorUrl, {
    method: "POST",
    headers: {
      "content-type": "application/x-www-form-urlencoded; charset=utf-8",
      authorization: unsignedAuthorization("sts", region, accessKeyId),
    },
    body: "Action=GetCallerIdentity&Version=2011-06-15",
  });
  const text = await response.text();
  const account = /<Account>\s*(\d{12})\s*<\/Account>/.exec(text)?.[1];
  if (account === undefined) throw callError("GetCallerIdentity", response.status, text);
  return account;
}

function callError(action: string, status: number, text: string): EmulatorCallError {
  try {
    const body = JSON.parse(text) as { __type?: string; message?: string; Message?: string };
    const code = (body.__type ?? `Http${status}`).split("#").at(-1) ?? "";
    return new EmulatorCallError(code, body.message ?? body.Message ?? `${action} failed with HTTP ${status}`);
  } catch {
    return new EmulatorCallError(`Http${status}`, `${action} failed with HTTP ${status}: ${text.slice(0, 200)}`);
  }
}
