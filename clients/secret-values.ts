import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { FatalError, ServiceUnavailable } from "#core/errors.ts";
import { unavailable } from "./aws-errors.ts";
import { callSettings } from "./aws-settings.ts";

/** A secret is there and does not hold what it should. */
export class SecretUnusable extends FatalError {
  override readonly name = "SecretUnusable";
}

/**
 * Reads secrets of Secrets Manager by their references (`name`, `name:field`, an ARN with or without a field), each time
 * anew: one that was changed counts at once, and a run's end asks for it once.
 */
export function secretValues(options: { client?: SecretsManagerClient } = {}): (reference: string) => Promise<string> {
  const client = options.client ?? new SecretsManagerClient(callSettings);
  return async (reference) => {
    const { id, field } = partsOf(reference);
    const answer = await client
      .send(new GetSecretValueCommand({ SecretId: id }))
      .catch(unavailable(ServiceUnavailable, `GetSecretValue ${id}`));
    const text = answer.SecretString ?? "";
    const value = field === null ? text : fieldOf(text, field);
    if (value.trim() === "")
      throw new SecretUnusable(`The secret ${id} holds no text${field === null ? "" : ` in its field ${field}`}.`);
    return value.trim();
  };
}

/** The parts of a reference as ECS has them too: an ARN has seven, and a field after it. */
function partsOf(reference: string): { readonly id: string; readonly field: string | null } {
  const parts = reference.split(":");
  const of = reference.startsWith("arn:") ? 7 : 1;
  return { id: parts.slice(0, of).join(":"), field: parts[of] || null };
}

function fieldOf(text: string, field: string): string {
  try {
    const value: unknown = (JSON.parse(text) as Record<string, unknown>)[field];
    return typeof value === "string" ? value : "";
  } catch {
    return "";
  }
}
