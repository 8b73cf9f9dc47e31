import { Match } from "aws-cdk-lib/assertions";
import { describe, expect, test } from "vitest";
import { projectSettingsSchema } from "../../core/contracts/settings.ts";
import { RUN_STATES } from "../../infra/state-machines/run-machine.ts";
import { refuseUnknown } from "../support/asl-subset.ts";
import { exampleConfig } from "../support/projects.ts";
import { asText, IMAGE, resourcesOf, synthesise } from "./example-stack.ts";

const { template } = synthesise();

/** Resource types that MiniStack's CloudFormation makes, of those that such a stack might have. */
const EMULATED = new Set([
  "AWS::CloudWatch::Alarm",
  "AWS::DynamoDB::Table",
  "AWS::EC2::InternetGateway",
  "AWS::EC2::Route",
  "AWS::EC2::RouteTable",
  "AWS::EC2::SecurityGroup",
  "AWS::EC2::Subnet",
  "AWS::EC2::SubnetRouteTableAssociation",
  "AWS::EC2::VPC",
  "AWS::EC2::VPCEndpoint",
  "AWS::EC2::VPCGatewayAttachment",
  "AWS::ECS::Cluster",
  "AWS::ECS::TaskDefinition",
  "AWS::Events::Rule",
  "AWS::IAM::Policy",
  "AWS::IAM::Role",
  "AWS::Lambda::EventSourceMapping",
  "AWS::Lambda::Function",
  "AWS::Lambda::Permission",
  "AWS::Logs::LogGroup",
  "AWS::S3::Bucket",
  "AWS::S3::BucketPolicy",
  "AWS::Scheduler::Schedule",
  "AWS::StepFunctions::StateMachine",
]);

describe("the ledger and the artefacts", () => {
  test("E5: rows expire, artefacts expire after a year", () => {
    template.hasResourceProperties("AWS::DynamoDB::Table", {
      TimeToLiveSpecification: { AttributeName: "expiresAt", Enabled: true },
    });
    template.hasResourceProperties("AWS::S3::Bucket", {
      LifecycleConfiguration: { Rules: [Match.objectLike({ ExpirationInDays: 365, Status: "Enabled" })] },
    });
  });

  test("the table is on demand, recoverable to a point in time, keyed pk and sk, and has a stream", () => {
    template.hasResourceProperties("AWS::DynamoDB::Table", {
      BillingMode: "PAY_PER_REQUEST",
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
      KeySchema: [
        { AttributeName: "pk", KeyType: "HASH" },
        { AttributeName: "sk", KeyType: "RANGE" },
      ],
      StreamSpecification: { StreamViewType: "NEW_AND_OLD_IMAGES" },
    });
  });

  test("the bucket is encrypted, closed to the public and to plain HTTP", () => {
    template.hasResourceProperties("AWS::S3::Bucket", {
      BucketEncryption: {
        ServerSideEncryptionConfiguration: [{ ServerSideEncryptionByDefault: { SSEAlgorithm: "AES256" } }],
      },
      PublicAccessBlockConfiguration: {
        BlockPublicAcls: true,
        BlockPublicPolicy: true,
        IgnorePublicAcls: true,
        RestrictPublicBuckets: true,
      },
    });
    template.hasResourceProperties("AWS::S3::BucketPolicy", {
      PolicyDocument: {
        Statement: [Match.objectLike({ Effect: "Deny", Condition: { Bool: { "aws:SecureTransport": "false" } } })],
      },
    });
  });
});

describe("the functions", () => {
  test("run on Node 24, arm64, with a log group and a role of their own, and nothing in the stack runs Node 20", () => {
    template.allResourcesProperties("AWS::Lambda::Function", {
      Runtime: "nodejs24.x",
      Architectures: ["arm64"],
      Environment: {
        Variables: Match.objectLike({ STEPWATCH_TABLE: Match.anyValue(), STEPWATCH_BUCKET: Match.anyValue() }),
      },
    });
    expect(JSON.stringify(template.toJSON())).not.toMatch(/nodejs(1\d|20|22)\./);
    const roles = Object.values(template.findResources("AWS::Lambda::Function")).map(({ Properties }) =>
      asText(Properties.Role),
    );
    expect(new Set(roles).size).toBe(4);
  });

  test("live at least a minute: one call of a client may take 37.5 s", () => {
    for (const { Properties } of Object.values(template.findResources("AWS::Lambda::Function")))
      expect(Properties.Timeout).toBeGreaterThanOrEqual(60);
  });
});

describe("a project", () => {
  const definitions = Object.values(template.findResources("AWS::ECS::TaskDefinition"));

  test("G3: the execution queue has its own size and cap; unset, the producer's size", () => {
    const sizes = (project: Record<string, unknown>) =>
      Object.fromEntries(
        Object.values(synthesise(exampleConfig({}, project)).template.findResources("AWS::ECS::TaskDefinition")).map(
          ({ Properties }) => [Properties.Family, `${Properties.Cpu}/${Properties.Memory}`],
        ),
      );
    const producer = { cpu: 2048, memoryMiB: 8192 };
    expect(sizes({ producer })).toEqual({
      "stepwatch-shop-producer": "2048/8192",
      "stepwatch-shop-queue": "2048/8192",
    });
    expect(sizes({ producer, executionQueue: { cpu: 4096, memoryMiB: 16_384 } })).toEqual({
      "stepwatch-shop-producer": "2048/8192",
      "stepwatch-shop-queue": "4096/16384",
    });
  });

  test("D14: task definitions name an image by digest and outlive a deploy", () => {
    for (const definition of definitions) {
      expect(definition.Properties.ContainerDefinitions[0].Image).toBe(IMAGE);
      expect(definition.UpdateReplacePolicy).toBe("Retain");
      expect(definition.DeletionPolicy).toMatch(/^Retain/);
    }
  });

  test("the container has an init process, the longest stop timeout, and is told only ids", () => {
    const { template: custom } = synthesise(
      exampleConfig({}, { environment: { REGION: "eu", LEVEL: 3 }, secrets: { PASSWORD: "warehouse:password" } }),
    );
    for (const { Properties } of Object.values(custom.findResources("AWS::ECS::TaskDefinition"))) {
      const [container] = Properties.ContainerDefinitions;
      expect(container).toMatchObject({
        Name: "dbt-runner",
        StopTimeout: 120,
        LinuxParameters: { InitProcessEnabled: true },
      });
      expect(container.Environment.map(({ Name }: { Name: string }) => Name).sort()).toEqual([
        "LEVEL",
        "REGION",
        "STEPWATCH_BUCKET",
        "STEPWATCH_PROJECT",
        "STEPWATCH_STOP_TIMEOUT_SECONDS",
        "STEPWATCH_TABLE",
      ]);
      expect(
        container.Secrets.map(({ Name, ValueFrom }: { Name: string; ValueFrom: unknown }) => [Name, asText(ValueFrom)]),
      ).toEqual([
        ["PASSWORD", "arn:<AWS::Partition>:secretsmanager:<AWS::Region>:<AWS::AccountId>:secret:warehouse:password::"],
      ]);
      expect(container.LogConfiguration.Options).toMatchObject({ "awslogs-stream-prefix": "dbt" });
    }
  });

  test("D9: two projects share code alone: families, logs and roles are apart", () => {
    const config = exampleConfig({ projects: { a_b: { projectDir: "x" }, "a-b": { projectDir: "y" } } });
    const { template: two } = synthesise(config);
    expect(
      Object.values(two.findResources("AWS::ECS::TaskDefinition"))
        .map(({ Properties }) => Properties.Family)
        .sort(),
    ).toEqual(["stepwatch-a-b-producer", "stepwatch-a-b-queue", "stepwatch-a_b-producer", "stepwatch-a_b-queue"]);
    const taskRoles = Object.values(two.findResources("AWS::ECS::TaskDefinition")).map(({ Properties }) =>
      asText(Properties.TaskRoleArn),
    );
    expect(new Set(taskRoles).size).toBe(2);
  });

  test("a schedule is made only where one is set", () => {
    template.resourceCountIs("AWS::Scheduler::Schedule", 0);
    const { template: scheduled } = synthesise(
      exampleConfig({}, { schedule: "cron(0 3 * * ? *)", scheduleTimeZone: "Europe/Berlin" }),
    );
    scheduled.hasResourceProperties("AWS::Scheduler::Schedule", {
      ScheduleExpression: "cron(0 3 * * ? *)",
      ScheduleExpressionTimezone: "Europe/Berlin",
      Target: { Input: '{"project":"shop"}' },
    });
  });
});

describe("the machines", () => {
  const rendered = (name: string) => {
    const found = Object.values(template.findResources("AWS::StepFunctions::StateMachine")).find(
      ({ Properties }) => Properties.StateMachineName === name,
    );
    return JSON.parse(asText(found!.Properties.DefinitionString));
  };

  test("are rendered as our interpreter reads them, and hand start-run the settings of every project", () => {
    refuseUnknown(rendered("stepwatch-run"));
    refuseUnknown(rendered("stepwatch-consumer"));
    const { shop } = rendered("stepwatch-run").States[RUN_STATES.start].Parameters.Payload.projects;
    const settings = projectSettingsSchema.parse(shop);
    expect(settings).toMatchObject({
      project: "shop",
      target: "prod",
      producer: { cluster: "<Cluster>", assignPublicIp: true },
    });
    expect(settings.producer.taskDefinitionArn).toMatch(/^<shopProducer/);
    expect(settings.executionQueue.taskDefinitionArn).toMatch(/^<shopExecutionQueue/);
    expect(settings.producer.subnets).toHaveLength(2);
  });

  test("a longer run lengthens the turn, and synth says so", () => {
    const config = exampleConfig({ pollIntervalSeconds: 2 }, { policy: { runTimeoutMinutes: 600 } });
    const { stack } = synthesise(config);
    expect(JSON.stringify(stack.node.metadata)).toContain("pollIntervalSeconds 2 becomes 12");
  });

  test("log failures alone, without what they carry, and trace nothing", () => {
    template.allResourcesProperties("AWS::StepFunctions::StateMachine", {
      StateMachineType: "STANDARD",
      LoggingConfiguration: Match.objectLike({ Level: "ERROR", IncludeExecutionData: false }),
      TracingConfiguration: { Enabled: false },
    });
  });
});

describe("the network", () => {
  test("costs nothing while nothing runs, and lets nothing in", () => {
    template.resourceCountIs("AWS::EC2::NatGateway", 0);
    template.resourceCountIs("AWS::EC2::EIP", 0);
    template.allResourcesProperties("AWS::EC2::VPCEndpoint", { VpcEndpointType: "Gateway" });
    template.resourceCountIs("AWS::EC2::VPCEndpoint", 2);
    for (const { Properties } of Object.values(template.findResources("AWS::EC2::SecurityGroup")))
      expect(Properties.SecurityGroupIngress).toBeUndefined();
  });

  test("asks no account: zones come at deploy time or from the file", () => {
    const { template: zoned } = synthesise(
      exampleConfig({ vpc: { availabilityZones: ["eu-west-1a", "eu-west-1b", "eu-west-1c"] } }),
    );
    const zones = Object.values(zoned.findResources("AWS::EC2::Subnet")).map(
      ({ Properties }) => Properties.AvailabilityZone,
    );
    expect(zones).toEqual(["eu-west-1a", "eu-west-1b", "eu-west-1c"]);
  });

  test("may be the user's own", () => {
    const own = synthesise(exampleConfig({ vpc: { vpcId: "vpc-0a1b2c3d", subnetIds: ["subnet-0a1b2c3d"] } })).template;
    own.resourceCountIs("AWS::EC2::VPC", 0);
    own.hasResourceProperties("AWS::EC2::SecurityGroup", { VpcId: "vpc-0a1b2c3d" });
    const given = synthesise(
      exampleConfig({
        vpc: { subnetIds: ["subnet-0a1b2c3d"], securityGroupIds: ["sg-0a1b2c3d"], assignPublicIp: true },
      }),
    ).template;
    given.resourceCountIs("AWS::EC2::SecurityGroup", 0);
  });
});

describe("the stack", () => {
  const full = synthesise(exampleConfig({}, { schedule: "rate(1 day)" }));

  test("has only resources that the embedded AWS can make", () => {
    const types = new Set(Object.values(resourcesOf(full.template)).map(({ Type }) => Type));
    expect([...types].filter((type) => !EMULATED.has(type))).toEqual([]);
  });

  test("names nothing longer than AWS takes, with the longest stack and project names", () => {
    const config = exampleConfig({ stackName: "s".repeat(40), projects: { ["p".repeat(63)]: { projectDir: "x" } } });
    const resources = Object.values(resourcesOf(synthesise(config).template));
    const lengths = (type: string, property: string) =>
      resources.filter(({ Type }) => Type === type).map(({ Properties }) => String(Properties[property]).length);
    expect(Math.max(...lengths("AWS::Lambda::Function", "FunctionName"))).toBeLessThanOrEqual(64);
    expect(Math.max(...lengths("AWS::StepFunctions::StateMachine", "StateMachineName"))).toBeLessThanOrEqual(80);
    expect(Math.max(...lengths("AWS::ECS::TaskDefinition", "Family"))).toBeLessThanOrEqual(255);
  });

  test("says what the CLI needs to find it", () => {
    const outputs = full.template.toJSON().Outputs;
    expect(Object.keys(outputs).sort()).toEqual([
      "BucketName",
      "ClusterName",
      "ConsumerMachineArn",
      "ProjectLogGroups",
      "RunMachineArn",
      "TableName",
    ]);
    expect(JSON.parse(outputs.ProjectLogGroups.Value)).toEqual({ shop: "/stepwatch/stepwatch/shop" });
  });

  test("is the same for AWS and for the embedded AWS, but for images and for what is retained", () => {
    const withoutRetention = (resources: ReturnType<typeof resourcesOf>) =>
      Object.fromEntries(Object.entries(resources).map(([id, { Type, Properties }]) => [id, { Type, Properties }]));
    const local = synthesise(exampleConfig({}, { schedule: "rate(1 day)" }), { local: true }).template;
    expect(withoutRetention(resourcesOf(local))).toEqual(withoutRetention(resourcesOf(full.template)));
    full.template.hasResource("AWS::S3::Bucket", { DeletionPolicy: "Retain" });
    full.template.hasResource("AWS::DynamoDB::Table", { DeletionPolicy: "Retain" });
    local.hasResource("AWS::S3::Bucket", { DeletionPolicy: "Delete" });
  });
});
