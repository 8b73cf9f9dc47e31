import { App } from "aws-cdk-lib";
import type { Template } from "aws-cdk-lib/assertions";
import { describe, expect, test } from "vitest";
import { exampleConfig } from "../support/projects.ts";
import { asText, listOf, resourcesOf, statementsOf, synthesise } from "./example-stack.ts";

const KEY = "arn:aws:kms:eu-west-1:123456789012:key/0a1b2c3d-4e5f-6789-abcd-0123456789ab";
const BOUNDARY = "arn:aws:iam::123456789012:policy/boundary";
const SCHEDULED = { schedule: "rate(1 day)" };

const typesOf = (template: Template, type: string) =>
  Object.values(resourcesOf(template)).filter(({ Type }) => Type === type);

describe("how the stack is deployed", () => {
  test("every role has the permissions boundary, those of CDK's own functions among them", () => {
    const config = exampleConfig(
      { deployment: { permissionsBoundary: BOUNDARY }, data: { removal: "destroy" } },
      SCHEDULED,
    );
    const roles = typesOf(synthesise(config).template, "AWS::IAM::Role");
    expect(roles.length).toBeGreaterThan(9);
    for (const { Properties } of roles) expect(Properties.PermissionsBoundary).toBe(BOUNDARY);
    const named = exampleConfig({ deployment: { permissionsBoundary: "boundary" } });
    for (const { Properties } of typesOf(synthesise(named).template, "AWS::IAM::Role"))
      expect(asText(Properties.PermissionsBoundary)).toBe("arn:<AWS::Partition>:iam::<AWS::AccountId>:policy/boundary");
  });

  test("the bootstrap qualifier names the roles and the bucket of the deploy", () => {
    const { app } = synthesise(exampleConfig({ deployment: { bootstrapQualifier: "data1" } }));
    const artefact = app.synth().getStackByName("stepwatch");
    expect(artefact.assumeRoleArn).toContain(":role/cdk-data1-deploy-role-");
    const { app: local } = synthesise(exampleConfig({ deployment: { bootstrapQualifier: "data1" } }), { local: true });
    expect(local.synth().getStackByName("stepwatch").assumeRoleArn).toContain(":role/cdk-hnb659fds-deploy-role-");
    expect(new App().node.tryGetContext("@aws-cdk/core:bootstrapQualifier")).toBeUndefined();
  });

  test("in a new account ECS' service-linked role is made before the cluster, if it is asked for", () => {
    const config = exampleConfig(
      { deployment: { ecsServiceLinkedRole: "create" } },
      { producer: { capacity: "spot" } },
    );
    const { template } = synthesise(config);
    template.hasResourceProperties("AWS::IAM::ServiceLinkedRole", { AWSServiceName: "ecs.amazonaws.com" });
    template.hasResource("AWS::ECS::Cluster", { DependsOn: ["EcsServiceLinkedRole"] });
    synthesise(exampleConfig()).template.resourceCountIs("AWS::IAM::ServiceLinkedRole", 0);
    synthesise(config, { local: true }).template.resourceCountIs("AWS::IAM::ServiceLinkedRole", 0);
  });
});

describe("what becomes of the data", () => {
  const tableOf = (template: Template) => typesOf(template, "AWS::DynamoDB::Table")[0]!;
  const bucketOf = (template: Template) => typesOf(template, "AWS::S3::Bucket")[0]!;

  test("it stays by default; with removal: destroy the stack empties its bucket and all goes", () => {
    const kept = synthesise(exampleConfig()).template;
    expect([tableOf(kept).DeletionPolicy, bucketOf(kept).DeletionPolicy]).toEqual(["Retain", "Retain"]);
    kept.resourceCountIs("Custom::S3AutoDeleteObjects", 0);
    const gone = synthesise(exampleConfig({ data: { removal: "destroy" } })).template;
    expect([tableOf(gone).DeletionPolicy, bucketOf(gone).DeletionPolicy]).toEqual(["Delete", "Delete"]);
    gone.resourceCountIs("Custom::S3AutoDeleteObjects", 1);
  });

  test("what stays has no fixed name: a second first deploy makes its own", () => {
    const { template } = synthesise(exampleConfig({}, SCHEDULED));
    const retained = Object.values(resourcesOf(template)).filter(({ DeletionPolicy }) =>
      DeletionPolicy?.startsWith("Retain"),
    );
    expect(new Set(retained.map(({ Type }) => Type))).toEqual(
      new Set(["AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::ECS::TaskDefinition"]),
    );
    expect(tableOf(template).Properties.TableName).toBeUndefined();
    expect(bucketOf(template).Properties.BucketName).toBeUndefined();
  });

  test("the table can be protected from deletion", () => {
    expect(tableOf(synthesise(exampleConfig()).template).Properties.DeletionProtectionEnabled).toBe(false);
    const config = exampleConfig({ data: { deletionProtection: true } });
    expect(tableOf(synthesise(config).template).Properties.DeletionProtectionEnabled).toBe(true);
    expect(tableOf(synthesise(config, { local: true }).template).Properties.DeletionProtectionEnabled).toBe(false);
  });

  test("a key of the account encrypts table, bucket, logs and queue, and who reaches them may use it, through them alone", () => {
    const { template } = synthesise(exampleConfig({ data: { kmsKeyArn: KEY } }, SCHEDULED));
    expect(tableOf(template).Properties.SSESpecification).toEqual({
      KMSMasterKeyId: KEY,
      SSEEnabled: true,
      SSEType: "KMS",
    });
    expect(JSON.stringify(bucketOf(template).Properties)).toContain(`"KMSMasterKeyID":"${KEY}"`);
    expect(typesOf(template, "AWS::SQS::Queue")[0]!.Properties.KmsMasterKeyId).toBe(KEY);
    const logs = typesOf(template, "AWS::Logs::LogGroup");
    expect(logs.length).toBeGreaterThan(6);
    for (const { Properties } of logs) expect(Properties.KmsKeyId).toBe(KEY);
    const users = statementsOf(template).filter(({ statement }) => statement.Sid === "UseDataKey");
    const functions = typesOf(template, "AWS::Lambda::Function").filter(({ Properties }) => Properties.FunctionName);
    expect(users).toHaveLength(functions.length + 1);
    for (const { statement } of users) {
      expect(statement.Resource).toBe(KEY);
      const via = (statement.Condition as { StringEquals: { "kms:ViaService": unknown[] } }).StringEquals[
        "kms:ViaService"
      ];
      expect(via.map(asText)).toEqual(["dynamodb.<AWS::Region>.amazonaws.com", "s3.<AWS::Region>.amazonaws.com"]);
    }
  });
});

describe("a project's task role", () => {
  const ARN = "arn:aws:iam::123456789012:role/team/dbt";
  const of = (taskRole: object) => synthesise(exampleConfig({}, { taskRole })).template;
  const roleOf = (template: Template) =>
    Object.entries(resourcesOf(template)).find(([id]) => id.startsWith("ProjectshopTaskRole"))!;

  test("has the policies and statements that stepwatch.yaml adds for the adapter, as IAM writes them", () => {
    const statement = {
      Sid: "Redshift",
      Action: ["redshift:GetClusterCredentials", "redshift-serverless:GetCredentials"],
      Resource: "arn:aws:redshift:eu-west-1:123456789012:dbuser:shop/dbt",
      Condition: { StringEquals: { "aws:ResourceTag/team": "data" } },
    };
    const managed = "arn:aws:iam::aws:policy/AmazonAthenaFullAccess";
    const template = of({ managedPolicies: [managed], statements: [statement] });
    const [id, { Properties }] = roleOf(template);
    expect(Properties.ManagedPolicyArns).toEqual([managed]);
    const found = statementsOf(template).filter(({ owner, statement: { Sid } }) => owner === id && Sid === "Redshift");
    expect(found.map((one) => one.statement)).toEqual([{ ...statement, Effect: "Allow" }]);
  });

  test("may be one of the account's: it is used, may be passed, and gets stepwatch's rights as a policy of its own", () => {
    const template = of({ arn: ARN });
    template.allResourcesProperties("AWS::ECS::TaskDefinition", { TaskRoleArn: ARN });
    const passed = statementsOf(template).find(({ statement }) => statement.Sid === "PassTaskRoles")!.statement;
    expect(listOf(passed.Resource).map(asText)).toEqual([
      "arn:<AWS::Partition>:iam::<AWS::AccountId>:role/stepwatch/stepwatch/*",
      ARN,
    ]);
    const attached = typesOf(template, "AWS::IAM::Policy").filter(
      ({ Properties }) => JSON.stringify(Properties.Roles) === '["dbt"]',
    );
    expect(attached).toHaveLength(1);
    expect(JSON.stringify(attached[0]!.Properties.PolicyDocument)).toContain("RUN#shop#*");
  });

  test("is made for this account alone, below the path that may be passed", () => {
    const [, { Properties }] = roleOf(of({}));
    expect(Properties.Path).toBe("/stepwatch/stepwatch/");
  });
});
