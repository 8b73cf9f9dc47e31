import { createHash, createHmac } from "node:crypto";
import { SFNClient } from "@aws-sdk/client-sfn";
import { SignatureV4 } from "@smithy/signature-v4";
import { InfrastructureError } from "./failure.ts";

/**
 * Outputs of a deployed CloudFormation stack, by DescribeStacks. One signed request: the SDK's client for
 * CloudFormation would be a dependency for this call alone. Credentials, region and endpoint are those of every other
 * client (AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL).
 *
 * @throws {InfrastructureError} if there is no such stack, or no answer
 */
export async function stackOutputs(
  stackName: string,
  environment: Record<string, string | undefined>,
): Promise<Record<string, string>> {
  const { region, credentials } = new SFNClient({}).config;
  const regionName = await region();
  const base =
    environment.AWS_ENDPOINT_URL_CLOUDFORMATION ??
    environment.AWS_ENDPOINT_URL ??
    `https://cloudformation.${regionName}.amazonaws.com`;
  const url = new URL(base);
  const body = new URLSearchParams({
    Action: "DescribeStacks",
    Version: "2010-05-15",
    StackName: stackName,
  }).toString();
  const signer = new SignatureV4({ service: "cloudformation", region: regionName, credentials, sha256: Sha256 });
  const signed = await signer.sign({
    method: "POST",
    protocol: url.protocol,
    hostname: url.hostname,
    ...(url.port === "" ? {} : { port: Number(url.port) }),
    path: "/",
    headers: { host: url.host, "content-type": "application/x-www-form-urlencoded; charset=utf-8" },
    body,
  });
  const answer = await fetch(url, {
    method: "POST",
    headers: signed.headers,
    body,
    signal: AbortSignal.timeout(30_000),
  });
  return readOutputs(stackName, answer.status, await answer.text());
}

/** The outputs in an answer of DescribeStacks. CloudFormation writes them as flat elements without attributes. */
export function readOutputs(stackName: string, status: number, xml: string): Record<string, string> {
  if (status !== 200) throw refusal(stackName, status, xml);
  const outputs: Record<string, string> = {};
  for (const [, member = ""] of xml.matchAll(/<member>((?:(?!<member>)[\s\S])*?<OutputKey>[\s\S]*?)<\/member>/g)) {
    const key = element(member, "OutputKey");
    const value = element(member, "OutputValue");
    if (key !== null && value !== null) outputs[key] = value;
  }
  return outputs;
}

function refusal(stackName: string, status: number, xml: string): InfrastructureError {
  const code = element(xml, "Code") ?? `HTTP ${status}`;
  const message = element(xml, "Message") ?? "no explanation";
  if (/does not exist/.test(message)) {
    return new InfrastructureError(
      `There is no stack ${stackName} in this account and region.`,
      "npx stepwatch deploy, or name another stack with --stack",
    );
  }
  return new InfrastructureError(
    `CloudFormation did not describe the stack ${stackName}: ${code}: ${message}`,
    "Check the credentials (AWS_PROFILE) and AWS_REGION.",
  );
}

function element(xml: string, name: string): string | null {
  const text = new RegExp(`<${name}>([\\s\\S]*?)</${name}>`).exec(xml)?.[1];
  return text === undefined
    ? null
    : text.replace(/&(lt|gt|quot|apos|amp);/g, (_, entity: string) => ENTITIES[entity] ?? "");
}

const ENTITIES: Readonly<Record<string, string>> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };

/** SHA-256 in the shape that the signer asks for. */
class Sha256 {
  readonly #hash;
  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash("sha256") : createHmac("sha256", bytes(secret));
  }
  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(bytes(data));
  }
  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }
  reset(): void {
    throw new Error("A hash of this class is used once.");
  }
}

function bytes(data: string | ArrayBuffer | ArrayBufferView): string | Uint8Array {
  if (typeof data === "string") return data;
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
}
