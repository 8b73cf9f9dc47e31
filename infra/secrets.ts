import { ArnFormat, type Stack } from "aws-cdk-lib";
import { Secret } from "aws-cdk-lib/aws-ecs";
import { Grant, type IGrantable, PolicyStatement } from "aws-cdk-lib/aws-iam";

interface SecretPlace {
  /** What ECS calls `valueFrom`. */
  readonly valueFrom: string;
  readonly action: "secretsmanager:GetSecretValue" | "ssm:GetParameters";
  /** What the permission names. */
  readonly resource: string;
}

/** A secret of stepwatch.yaml as a container's secret: readable by the execution role alone, never in the template. */
class ReferencedSecret extends Secret {
  override readonly arn: string;
  override readonly hasField = false;
  readonly #place: SecretPlace;

  constructor(place: SecretPlace) {
    super();
    this.arn = place.valueFrom;
    this.#place = place;
  }

  override grantRead(grantee: IGrantable): Grant {
    return Grant.addToPrincipal({ grantee, actions: [this.#place.action], resourceArns: [this.#place.resource] });
  }
}

/** Container secrets by variable name; the references are those of core/config. */
export function containerSecrets(stack: Stack, references: Readonly<Record<string, string>>): Record<string, Secret> {
  return Object.fromEntries(
    Object.entries(references).map(([variable, reference]) => [
      variable,
      new ReferencedSecret(secretPlace(stack, reference)),
    ]),
  );
}

/**
 * Using the keys that the secrets are encrypted with, through the services that hold them alone: with a stolen ciphertext
 * the role can do nothing.
 */
export function decryptSecrets(
  stack: Stack,
  {
    secrets,
    kmsKeyArns,
  }: { readonly secrets: Readonly<Record<string, string>>; readonly kmsKeyArns: readonly string[] },
): PolicyStatement[] {
  if (kmsKeyArns.length === 0) return [];
  const services = Object.values(secrets).map((reference) => {
    const [, , service = "", region = ""] = reference.startsWith("arn:") ? reference.split(":") : [];
    if (service !== "") return `${service}.${region}.amazonaws.com`;
    return `${reference.startsWith("/") ? "ssm" : "secretsmanager"}.${stack.region}.amazonaws.com`;
  });
  return [
    new PolicyStatement({
      sid: "DecryptSecrets",
      actions: ["kms:Decrypt"],
      resources: [...kmsKeyArns],
      conditions: { StringEquals: { "kms:ViaService": [...new Set(services)].sort() } },
    }),
  ];
}

/** What reading a secret of Secrets Manager takes, by its reference. */
export const readSecret = (stack: Stack, reference: string): PolicyStatement =>
  new PolicyStatement({
    actions: ["secretsmanager:GetSecretValue"],
    resources: [secretPlace(stack, reference).resource],
  });

/** Secrets Manager adds `-` and six characters to a secret's name in its ARN, hence the six question marks. */
function secretPlace(stack: Stack, reference: string): SecretPlace {
  if (reference.startsWith("arn:")) {
    const parts = reference.split(":");
    if (parts[2] === "ssm") return { valueFrom: reference, action: "ssm:GetParameters", resource: reference };
    const secret = parts.slice(0, 7).join(":");
    const complete = /-[A-Za-z0-9]{6}$/.test(secret);
    return {
      // ECS wants field, stage and version, or none of them.
      valueFrom: parts.length > 7 ? [...parts, "", "", ""].slice(0, 10).join(":") : reference,
      action: "secretsmanager:GetSecretValue",
      resource: complete ? secret : `${secret}-??????`,
    };
  }
  if (reference.startsWith("/")) {
    const arn = stack.formatArn({ service: "ssm", resource: "parameter", resourceName: reference.slice(1) });
    return { valueFrom: arn, action: "ssm:GetParameters", resource: arn };
  }
  const [name = "", field] = reference.split(":");
  const arn = stack.formatArn({
    service: "secretsmanager",
    resource: "secret",
    resourceName: name,
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
  return {
    valueFrom: field === undefined ? arn : `${arn}:${field}::`,
    action: "secretsmanager:GetSecretValue",
    resource: `${arn}-??????`,
  };
}
