import type { Template } from "aws-cdk-lib/assertions";
import { concrete } from "./concrete-template.ts";
import { type Decision, decide, type IamRequest, type PolicyStatement } from "./iam-evaluator.ts";

interface Resource {
  readonly Type: string;
  readonly Properties: Readonly<Record<string, unknown>>;
}

interface Document {
  readonly PolicyDocument: { readonly Statement: readonly PolicyStatement[] };
}

/** A role of a synthesised stack as IAM has it once deployed, with the policies that meet its calls. */
export class DeployedRole {
  readonly #identity: readonly PolicyStatement[];
  readonly #resource: readonly PolicyStatement[];
  readonly #arn: string;

  constructor(template: Template, roleId: string, ...more: readonly PolicyStatement[]) {
    const resources: Readonly<Record<string, Resource>> = template.toJSON().Resources;
    const role = resources[roleId];
    if (role?.Type !== "AWS::IAM::Role") throw new Error(`The template has no role ${roleId}.`);
    const { Policies = [], Path = "/" } = role.Properties as { Policies?: Document[]; Path?: string };
    const documentsOf = (type: string) =>
      Object.values(resources).flatMap(({ Type, Properties }) =>
        Type === type ? [Properties as unknown as Document] : [],
      );
    const attached = documentsOf("AWS::IAM::Policy").filter((policy) =>
      (policy as unknown as { Roles: { Ref?: string }[] }).Roles.some(({ Ref }) => Ref === roleId),
    );
    const statements = (documents: readonly Document[]) =>
      documents.flatMap(({ PolicyDocument }) => concrete(PolicyDocument.Statement, template) as PolicyStatement[]);
    this.#identity = [...statements([...Policies, ...attached]), ...more];
    this.#resource = statements(documentsOf("AWS::S3::BucketPolicy"));
    this.#arn = `arn:aws:iam::123456789012:role${Path}${roleId}`;
  }

  decide(request: IamRequest): Decision {
    const sent = { "aws:PrincipalArn": this.#arn, "aws:SecureTransport": "true" };
    const ofBucket = request.action.startsWith("s3:") ? this.#resource : [];
    const context = { ...sent, ...request.context };
    return decide({ identity: this.#identity, resource: ofBucket }, { ...request, context });
  }
}

/** Logical id of the role of a function, or of a project's tasks. */
export function roleIdOf(template: Template, name: string): string {
  const resources: Readonly<Record<string, Resource>> = template.toJSON().Resources;
  const ofFunction = Object.values(resources).find(
    ({ Properties }) => Properties?.FunctionName === `stepwatch-${name}`,
  );
  if (ofFunction !== undefined) return (ofFunction.Properties.Role as { "Fn::GetAtt": string[] })["Fn::GetAtt"][0]!;
  const [found] = Object.entries(resources).filter(
    ([id, { Type }]) => Type === "AWS::IAM::Role" && new RegExp(`^Project${name}TaskRole`).test(id),
  );
  if (found === undefined) throw new Error(`No role of ${name}.`);
  return found[0];
}
