import type { AwsJson } from "../emulator/aws-json.ts";
import { TaskStartError } from "./ecs-errors.ts";

/**
 * The values of a container's `secrets`, read from the emulator's SSM and Secrets Manager.
 *
 * A reference is what ECS takes: the ARN or name of an SSM parameter, or the ARN of a secret with an optional
 * `:json-key:version-stage:version-id`. The Ref of a secret is its bare name in the emulator, so a name that is no
 * parameter is tried as a secret.
 *
 * @throws {TaskStartError} ResourceInitializationError, which names the reference and never a value
 */
export async function resolveSecrets(
  aws: AwsJson,
  references: Readonly<Record<string, string>>,
): Promise<Record<string, string>> {
  const entries = Object.entries(references).map(async ([name, reference]) => {
    return [name, await resolve(aws, reference)] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

async function resolve(aws: AwsJson, reference: string): Promise<string> {
  try {
    if (reference.includes(":secretsmanager:")) return await readSecretArn(aws, reference);
    if (reference.includes(":ssm:")) return await readParameter(aws, parameterName(reference));
    return await readParameter(aws, reference).catch(() => readSecret(aws, reference, ""));
  } catch (error) {
    throw new TaskStartError(
      `ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secret ${reference}: ${(error as Error).message}`,
    );
  }
}

/** `arn:aws:ssm:region:account:parameter/a/b` is the parameter `/a/b`, and so is one with a double slash. */
export function parameterName(arn: string): string {
  const path = arn.slice(arn.indexOf(":parameter/") + ":parameter".length).replace(/^\/+/, "/");
  // A parameter without a leading slash has an ARN like one with a single level.
  return path.lastIndexOf("/") === 0 ? path.slice(1) : path;
}

async function readParameter(aws: AwsJson, name: string): Promise<string> {
  const read = (Name: string) =>
    aws.call<{ Parameter: { Value: string } }>("ssm", "GetParameter", { Name, WithDecryption: true });
  const answer = await read(name).catch((error: Error) => {
    if (name.startsWith("/") || !("code" in error) || error.code !== "ParameterNotFound") throw error;
    return read(`/${name}`);
  });
  return answer.Parameter.Value;
}

/** An ARN has seven fields; ECS lets three more follow. */
async function readSecretArn(aws: AwsJson, reference: string): Promise<string> {
  const fields = reference.split(":");
  const [jsonKey = "", versionStage = "", versionId = ""] = fields.slice(7);
  return readSecret(aws, fields.slice(0, 7).join(":"), jsonKey, versionStage, versionId);
}

async function readSecret(aws: AwsJson, id: string, jsonKey: string, stage = "", version = ""): Promise<string> {
  const { SecretString } = await aws.call<{ SecretString?: string }>("secretsmanager", "GetSecretValue", {
    SecretId: id,
    ...(stage === "" ? {} : { VersionStage: stage }),
    ...(version === "" ? {} : { VersionId: version }),
  });
  if (SecretString === undefined) throw new Error("the secret holds no text");
  if (jsonKey === "") return SecretString;
  const value = readKey(SecretString, jsonKey);
  if (value === undefined) throw new Error(`the secret has no key "${jsonKey}"`);
  return value;
}

/** JSON.parse names a part of what it can not read, which here would be the secret. */
function readKey(secret: string, key: string): string | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(secret);
  } catch {
    throw new Error("the secret is no JSON, but a key of it was asked for");
  }
  const value = typeof parsed === "object" && parsed !== null ? (parsed as Record<string, unknown>)[key] : undefined;
  return value === undefined || typeof value === "string" ? value : JSON.stringify(value);
}
