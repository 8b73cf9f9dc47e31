import type { Stack } from "aws-cdk-lib";
import { CfnServiceLinkedRole, ManagedPolicy, PermissionsBoundary, PolicyStatement } from "aws-cdk-lib/aws-iam";
import type { Construct } from "constructs";
import type { StepwatchConfig } from "#core/config.ts";

/** A policy of IAM by its ARN, or by the name that AWS or the account gives it. */
export const policyNamed = (scope: Construct, id: string, name: string) =>
  name.startsWith("arn:")
    ? ManagedPolicy.fromManagedPolicyArn(scope, id, name)
    : ManagedPolicy.fromManagedPolicyName(scope, id, name);

/** Gives every role of the stack, those of CDK's own functions among them, the boundary that the account asks for. */
export function boundRoles(stack: Stack, { permissionsBoundary }: StepwatchConfig["deployment"]): void {
  if (permissionsBoundary === undefined) return;
  PermissionsBoundary.of(stack).apply(policyNamed(stack, "PermissionsBoundary", permissionsBoundary));
}

/**
 * The role that ECS works with in an account. It is there once an account has had a cluster; made here in a new account,
 * where ECS would make it in the moment in which it needs it, and may fail. In an account that has it, making it fails.
 */
export function ecsServiceLinkedRole(scope: Construct, create: boolean): CfnServiceLinkedRole | null {
  if (!create) return null;
  return new CfnServiceLinkedRole(scope, "EcsServiceLinkedRole", { awsServiceName: "ecs.amazonaws.com" });
}

/** Using the key that ledger and bucket are encrypted with, through these services alone. */
export function useDataKey(stack: Stack, keyArn: string | undefined): PolicyStatement[] {
  if (keyArn === undefined) return [];
  const services = ["dynamodb", "s3"].map((service) => `${service}.${stack.region}.amazonaws.com`);
  return [
    new PolicyStatement({
      sid: "UseDataKey",
      actions: [
        "kms:Decrypt",
        "kms:Encrypt",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
        "kms:GenerateDataKey",
        "kms:DescribeKey",
      ],
      resources: [keyArn],
      conditions: { StringEquals: { "kms:ViaService": services } },
    }),
  ];
}
