import type { Template } from "aws-cdk-lib/assertions";

const REGION = "us-east-1";
const ACCOUNT = "123456789012";

interface Resource {
  readonly Type: string;
  readonly Properties?: Readonly<Record<string, unknown>>;
}

/** ARNs of resources as they are once deployed, by type: where they name themselves, under that name. */
const ARNS: Readonly<Record<string, (name: string) => string>> = {
  "AWS::DynamoDB::Table": (name) => `arn:aws:dynamodb:${REGION}:${ACCOUNT}:table/${name}`,
  "AWS::S3::Bucket": (name) => `arn:aws:s3:::${name.toLowerCase()}`,
  "AWS::Lambda::Function": (name) => `arn:aws:lambda:${REGION}:${ACCOUNT}:function:${name}`,
  "AWS::Logs::LogGroup": (name) => `arn:aws:logs:${REGION}:${ACCOUNT}:log-group:${name}:*`,
  "AWS::IAM::Role": (name) => `arn:aws:iam::${ACCOUNT}:role/${name}`,
  "AWS::IAM::ManagedPolicy": (name) => `arn:aws:iam::${ACCOUNT}:policy/${name}`,
  "AWS::ECS::Cluster": (name) => `arn:aws:ecs:${REGION}:${ACCOUNT}:cluster/${name}`,
  "AWS::ECS::TaskDefinition": (name) => `arn:aws:ecs:${REGION}:${ACCOUNT}:task-definition/${name}:1`,
  "AWS::StepFunctions::StateMachine": (name) => `arn:aws:states:${REGION}:${ACCOUNT}:stateMachine:${name}`,
  "AWS::SQS::Queue": (name) => `arn:aws:sqs:${REGION}:${ACCOUNT}:${name}`,
  "AWS::SNS::Topic": (name) => `arn:aws:sns:${REGION}:${ACCOUNT}:${name}`,
  "AWS::KMS::Key": (name) => `arn:aws:kms:${REGION}:${ACCOUNT}:key/${name}`,
  "AWS::ECR::Repository": (name) => `arn:aws:ecr:${REGION}:${ACCOUNT}:repository/${name.toLowerCase()}`,
};

/** Types whose Ref is their ARN. */
const REF_IS_ARN: ReadonlySet<string> = new Set([
  "AWS::StepFunctions::StateMachine",
  "AWS::ECS::TaskDefinition",
  "AWS::SNS::Topic",
  "AWS::IAM::ManagedPolicy",
]);

const NAME_PROPERTIES = [
  "TableName",
  "BucketName",
  "FunctionName",
  "LogGroupName",
  "RoleName",
  "ClusterName",
  "Family",
  "StateMachineName",
  "QueueName",
  "TopicName",
];

const PSEUDO: Readonly<Record<string, string>> = {
  "AWS::Partition": "aws",
  "AWS::Region": REGION,
  "AWS::AccountId": ACCOUNT,
  "AWS::URLSuffix": "amazonaws.com",
  "AWS::StackName": "stepwatch",
};

/**
 * A value of a template with its CloudFormation functions carried out, as far as policies use them: what IAM would get.
 * @throws on a function or a resource that it does not know: a policy that is not understood must not pass
 */
export function concrete(value: unknown, template: Template): unknown {
  const resources: Readonly<Record<string, Resource>> = template.toJSON().Resources;
  const nameOf = (id: string): string => {
    const properties = resources[id]?.Properties ?? {};
    const own = NAME_PROPERTIES.map((name) => properties[name]).find((name) => name !== undefined);
    return own === undefined ? id : String(carriedOut(own));
  };
  const arnOf = (id: string): string => {
    const arn = ARNS[resources[id]?.Type ?? ""];
    if (arn === undefined) throw new Error(`The ARN of ${id} (${resources[id]?.Type}) is not known here.`);
    return arn(nameOf(id));
  };
  function carriedOut(one: unknown): unknown {
    if (Array.isArray(one)) return one.map(carriedOut);
    if (typeof one !== "object" || one === null) return one;
    const entries = Object.entries(one);
    const [[name, argument] = ["", undefined]] = entries;
    if (entries.length !== 1 || !(name === "Ref" || name.startsWith("Fn::")))
      return Object.fromEntries(entries.map(([key, inner]) => [key, carriedOut(inner)]));
    if (name === "Ref") {
      const id = String(argument);
      if (PSEUDO[id] !== undefined) return PSEUDO[id];
      return REF_IS_ARN.has(resources[id]?.Type ?? "") ? arnOf(id) : nameOf(id);
    }
    if (name === "Fn::Join") {
      const [separator, parts] = argument as [string, unknown[]];
      return parts.map(carriedOut).join(separator);
    }
    if (name === "Fn::GetAtt") {
      const [id = "", attribute] = argument as string[];
      if (attribute === "Arn" || attribute === "TopicArn") return arnOf(id);
      if (attribute === "DefaultSecurityGroup") return "sg-0a1b2c3d";
      if (attribute === "StreamArn") return `${arnOf(id)}/stream/2026-01-01T00:00:00.000`;
    }
    if (name === "Fn::Select" || name === "Fn::Split") return carriedOutPart(name, argument as unknown[]);
    throw new Error(`${name} ${JSON.stringify(argument)} is not known here.`);
  }
  function carriedOutPart(name: string, argument: unknown[]): unknown {
    if (name === "Fn::Split") return String(carriedOut(argument[1])).split(String(argument[0]));
    return (carriedOut(argument[1]) as unknown[])[Number(argument[0])];
  }
  return carriedOut(value);
}

export interface NamedPolicy {
  readonly policy: string;
  readonly document: { readonly Version?: string; readonly Statement: readonly object[] };
}

/** Every policy of an identity: inline in a role, attached by CDK, or managed; carried out. */
export function identityPolicies(template: Template): NamedPolicy[] {
  const resources: Readonly<Record<string, Resource>> = template.toJSON().Resources;
  return Object.entries(resources).flatMap(([id, { Type, Properties = {} }]) => {
    const inline = (Properties.Policies ?? []) as { PolicyName: string; PolicyDocument: object }[];
    const own = /^AWS::IAM::(Policy|ManagedPolicy)$/.test(Type)
      ? [{ PolicyName: "", PolicyDocument: Properties.PolicyDocument }]
      : [];
    return [...(Type === "AWS::IAM::Role" ? inline : []), ...own].map(({ PolicyName, PolicyDocument }) => ({
      policy: [id, PolicyName].filter(Boolean).join("/"),
      document: concrete(PolicyDocument, template) as NamedPolicy["document"],
    }));
  });
}
