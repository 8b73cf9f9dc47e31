import { ArnFormat, type Stack } from "aws-cdk-lib";
import { Secret } from "aws-cdk-lib/aws-ecs";
import { Grant, type IGrantable } from "aws-cdk-lib/aws-iam";

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

/** Secrets Manager adds `-` and six characters to a secret's name in its ARN, hence the six question marks. */
function secretPlace(stack: Stack, reference: string): SecretPlace {
  if (reference.startsWith("arn:")) {
    const parts = reference.split(":");
    if (parts[2] === "ssm") return { valueFrom: reference, action: "ssm:GetParameters", resource: reference };
    const secret = parts.slice(0, 7).join(":");
    const complete = /-[A-Za-z0-9]{6}$/.test(secret);
    return {
      valueFrom: reference,
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
