import { Match, type Template } from "aws-cdk-lib/assertions";
import { describe, expect, test } from "vitest";
import { CONTRACT, stopRunPayloadSchema } from "../../core/contracts/payloads.ts";
import { projectSettingsSchema } from "../../core/contracts/settings.ts";
import { RUN_FUNCTIONS } from "../../infra/deployed-names.ts";
import { RUN_STATES } from "../../infra/state-machines/run-machine.ts";
import { refuseUnknown } from "../support/asl-subset.ts";
import { exampleConfig } from "../support/projects.ts";
import { asText, IMAGE, resourcesOf, synthesise } from "./example-stack.ts";

const { template } = synthesise();

/** Made on AWS alone: infra/watching/watching.ts. */
const SAVED_QUERY = "AWS::Logs::QueryDefinition";
const RESTRICTED_GROUP = "Custom::VpcRestrictDefaultSG";

/** Resource types that MiniStack's CloudFormation makes, of those that such a stack might have. */
const EMULATED = new Set([
  "AWS::CloudWatch::Alarm",
  "AWS::CloudWatch::Dashboard",
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
  "AWS::SQS::Queue",
  "AWS::SQS::QueuePolicy",
  "AWS::SNS::Subscription",
  "AWS::SNS::Topic",
  "AWS::SNS::TopicPolicy",
  "AWS::Scheduler::Schedule",
  "AWS::StepFunctions::StateMachine",
]);

/** Without CDK's own, which empties a security group at the deploy. */
const ourFunctions = (of: typeof template) =>
  Object.values(of.findResources("AWS::Lambda::Function")).filter(({ Properties }) => Properties.FunctionName);

describe("the ledger and the artefacts", () => {
  test("E5: rows expire, artefacts expire after a year", () => {
    template.hasResourceProperties("AWS::DynamoDB::Table", {
      TimeToLiveSpecification: { AttributeName: "expiresAt", Enabled: true },
    });
    template.hasResourceProperties("AWS::S3::Bucket", {
      LifecycleConfiguration: {
        Rules: [
          { ExpirationInDays: 365, Prefix: "runs/", Status: "Enabled" },
          { ExpirationInDays: 365, Prefix: "commits/", Status: "Enabled" },
          Match.objectLike({ AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 } }),
        ],
      },
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
        Statement: Match.arrayWith([
          Match.objectLike({ Effect: "Deny", Condition: { Bool: { "aws:SecureTransport": "false" } } }),
        ]),
      },
    });
  });
});

describe("the functions", () => {
  test("run on Node 24, arm64, with a log group and a role of their own, and nothing in the stack runs Node 20", () => {
    for (const { Properties } of ourFunctions(template))
      expect(Properties).toMatchObject({
        Runtime: "nodejs24.x",
        Architectures: ["arm64"],
        Environment: { Variables: { STEPWATCH_TABLE: expect.anything(), STEPWATCH_BUCKET: expect.anything() } },
      });
    template.allResourcesProperties("AWS::Lambda::Function", { Runtime: "nodejs24.x" });
    expect(JSON.stringify(template.toJSON())).not.toMatch(/nodejs(1\d|20|22)\./);
    const roles = ourFunctions(template).map(({ Properties }) => asText(Properties.Role));
    expect(new Set(roles).size).toBe(RUN_FUNCTIONS.length + 1);
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
      expect(container.LogConfiguration.Options).toMatchObject({
        "awslogs-stream-prefix": "dbt",
        mode: "non-blocking",
        "max-buffer-size": "26214400b",
      });
    }
  });

  test("with readOnly the root file system can not be written, and /tmp and the home folder are volumes", () => {
    const tasks = (image: object) =>
      Object.values(synthesise(exampleConfig({}, { image })).template.findResources("AWS::ECS::TaskDefinition"));
    for (const { Properties } of tasks({ readOnly: true })) {
      const [container] = Properties.ContainerDefinitions;
      expect(container.ReadonlyRootFilesystem).toBe(true);
      expect(container.MountPoints).toEqual([
        { SourceVolume: "tmp", ContainerPath: "/tmp", ReadOnly: false },
        { SourceVolume: "home", ContainerPath: "/home/stepwatch", ReadOnly: false },
      ]);
      expect(Properties.Volumes).toEqual([{ Name: "tmp" }, { Name: "home" }]);
    }
    for (const { Properties } of tasks({}))
      expect(Properties.ContainerDefinitions[0].ReadonlyRootFilesystem).toBe(false);
  });

  test("D21: Spot is a setting of each size, reaches the settings, and the cluster has it only where it is asked for", () => {
    const capacitiesOf = (project: Record<string, unknown>) => {
      const { template: of } = synthesise(exampleConfig({}, project));
      const [cluster] = Object.values(of.findResources("AWS::ECS::Cluster"));
      const machine = Object.values(of.findResources("AWS::StepFunctions::StateMachine")).find(
        ({ Properties }) => Properties.StateMachineName === "stepwatch-run",
      );
      const definition = JSON.parse(asText(machine!.Properties.DefinitionString));
      const settings = projectSettingsSchema.parse(
        definition.States[RUN_STATES.start].Parameters.Payload.projects.shop,
      );
      return [settings.producer.capacity, settings.executionQueue.capacity, cluster!.Properties.CapacityProviders];
    };
    const providers = ["FARGATE", "FARGATE_SPOT"];
    expect(capacitiesOf({})).toEqual([undefined, undefined, undefined]);
    expect(capacitiesOf({ producer: { capacity: "spot_then_on_demand" } })).toEqual([
      "spot_then_on_demand",
      "spot_then_on_demand",
      providers,
    ]);
    expect(capacitiesOf({ producer: { capacity: "spot" }, executionQueue: { capacity: "on_demand" } })).toEqual([
      "spot",
      undefined,
      providers,
    ]);
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
    });
  });

  test("G22: a start that does not come about is kept, in one encrypted queue that all schedules share", () => {
    const queuesOf = (one: Template) => Object.entries(one.findResources("AWS::SQS::Queue"));
    const others = queuesOf(template).map(([id]) => id);
    const projects = {
      a: { projectDir: "a", schedule: "rate(1 day)" },
      b: { projectDir: "b", schedule: "rate(1 day)" },
    };
    const { template: scheduled } = synthesise(exampleConfig({ projects }));
    const queues = queuesOf(scheduled).filter(([id]) => !others.includes(id));
    const [[queue, { Properties }] = ["", { Properties: {} }]] = queues;
    expect(Properties).toMatchObject({ SqsManagedSseEnabled: true, MessageRetentionPeriod: 1_209_600 });
    expect(queues).toHaveLength(1);
    const schedules = Object.values(scheduled.findResources("AWS::Scheduler::Schedule"));
    expect(schedules.map((schedule) => asText(schedule.Properties.Target.DeadLetterConfig.Arn))).toEqual(
      Array(2).fill(`<${queue}.Arn>`),
    );
  });

  test("a project or job that starts after something has a rule of its own, by one role, and a queue for what is not started", () => {
    const projects = {
      raw: { projectDir: "raw" },
      shop: {
        projectDir: "shop",
        startAfter: [{ project: "raw" }, { s3: { bucket: "landing", prefix: "orders/" } }],
        jobs: { daily: { startAfter: [{ event: { source: ["my.app"] } }, { project: "raw" }] } },
      },
    };
    const { template: started } = synthesise(exampleConfig({ projects }));
    const rules = Object.entries(started.findResources("AWS::Events::Rule")).filter(([id]) =>
      id.startsWith("EventStarts"),
    );
    const targets = rules.map(([, { Properties }]) => Properties.Targets[0]);
    expect(targets.map(({ InputTransformer }) => asText(InputTransformer.InputTemplate))).toEqual([
      '{"project":"shop","dedupeKey":<detail-id>}',
      '{"project":"shop","dedupeKey":"<detail-bucket-name> <detail-object-sequencer>"}',
      '{"project":"shop","job":"daily","dedupeKey":"job daily <id>"}',
      // Another key than its project's own start: else one of the two would be left out as a duplicate.
      '{"project":"shop","job":"daily","dedupeKey":"job daily <detail-id>"}',
    ]);
    expect(new Set(targets.map(({ RoleArn }) => asText(RoleArn))).size).toBe(1);
    for (const { DeadLetterConfig, RetryPolicy } of targets) {
      expect(asText(DeadLetterConfig.Arn)).toContain("DeadLetters");
      expect(RetryPolicy).toMatchObject({ MaximumEventAgeInSeconds: 3_600 });
    }
    started.resourcePropertiesCountIs("AWS::Scheduler::Schedule", {}, 0);
  });

  test("rules of a stack with a long name may still assume the role that starts: CloudFormation cuts that name in theirs", () => {
    const stackName = "a-name-of-just-forty-characters-in-total";
    const shop = { projectDir: "shop", startAfter: [{ event: { source: ["my.app"] } }] };
    const { template: started } = synthesise(exampleConfig({ stackName, projects: { shop } }));
    const roles = Object.entries(started.findResources("AWS::IAM::Role"));
    const [, role] = roles.find(([id]) => id.startsWith("EventStarts"))!;
    const [trust] = role.Properties.AssumeRolePolicyDocument.Statement;
    expect(asText(trust.Condition.ArnLike["aws:SourceArn"])).toMatch(/:rule\/a-name-of-just-forty\*$/);
  });

  test("H13: each job that has a schedule has its own, by the project's role, and the sweep looks for its runs", () => {
    const jobs = {
      nightly: { schedule: "cron(0 3 * * ? *)", scheduleTimeZone: "Europe/Berlin", build: { select: ["tag:nightly"] } },
      by_hand: { lock: "none" },
    };
    const { template: scheduled } = synthesise(exampleConfig({}, { schedule: "rate(1 hour)", jobs }));
    const schedules = Object.values(scheduled.findResources("AWS::Scheduler::Schedule")).map(
      ({ Properties }) => Properties,
    );
    const byExpression = new Map(schedules.map((one) => [one.ScheduleExpression, one]));
    const nightly = byExpression.get("cron(0 3 * * ? *)")!;
    expect(nightly.ScheduleExpressionTimezone).toBe("Europe/Berlin");
    expect(JSON.parse(nightly.Target.Input)).toMatchObject({ project: "shop", job: "nightly" });
    expect(JSON.parse(byExpression.get("rate(1 hour)")!.Target.Input)).not.toHaveProperty("job");
    expect(new Set(schedules.map(({ Target }) => JSON.stringify(Target.RoleArn))).size).toBe(1);
    expect(schedules).toHaveLength(2);
    const rules = Object.values(scheduled.findResources("AWS::Events::Rule")).map(({ Properties }) => Properties);
    const [sweep] = rules.flatMap(({ ScheduleExpression, Targets }) =>
      ScheduleExpression === undefined ? [] : [JSON.parse(String(Targets[0].Input))],
    );
    expect(sweep).toEqual({
      contract: CONTRACT,
      sweep: ["shop"],
      schedules: { shop: "rate(1 hour) UTC", "shop/nightly": "cron(0 3 * * ? *) Europe/Berlin" },
    });
  });

  test("H13: a run's start is told the jobs, without what a schedule alone needs", () => {
    const jobs = { nightly: { schedule: "rate(1 day)", policy: { runTimeoutMinutes: 600 }, before: ["seed"] } };
    const machines = synthesise(exampleConfig({}, { jobs })).template.findResources("AWS::StepFunctions::StateMachine");
    const run = Object.values(machines).find(({ Properties }) => Properties.StateMachineName === "stepwatch-run");
    const definition = JSON.parse(asText(run!.Properties.DefinitionString));
    const settings = projectSettingsSchema.parse(definition.States[RUN_STATES.start].Parameters.Payload.projects.shop);
    expect(settings.jobs).toEqual({
      nightly: {
        build: {},
        policy: { runTimeoutMinutes: 600 },
        before: [{ command: "seed", continueOnFailure: false, always: false }],
        after: [],
        lock: "target",
      },
    });
    // The machine's own time is that of its longest job: 10 h of queue, the run, and half an hour.
    expect(definition.TimeoutSeconds).toBe((600 + 600 + 30) * 60);
  });

  test("G22: a schedule names its trigger by what is the same in each of its attempts", () => {
    const { template: scheduled } = synthesise(exampleConfig({}, { schedule: "rate(1 day)" }));
    const [schedule] = Object.values(scheduled.findResources("AWS::Scheduler::Schedule"));
    expect(JSON.parse(schedule!.Properties.Target.Input)).toEqual({
      project: "shop",
      dedupeKey: "<aws.scheduler.schedule-arn> <aws.scheduler.scheduled-time>",
      scheduledTime: "<aws.scheduler.scheduled-time>",
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
    expect(settings.producer.taskDefinitionArn).toMatch(/^<ProjectshopProducer/);
    expect(settings.executionQueue.taskDefinitionArn).toMatch(/^<ProjectshopExecutionQueue/);
    expect(settings.producer.subnets).toHaveLength(2);
  });

  test("a longer run lengthens the turn, and synth says so", () => {
    const config = exampleConfig({ watch: "poll", pollIntervalSeconds: 2 }, { policy: { runTimeoutMinutes: 600 } });
    const { stack } = synthesise(config);
    expect(JSON.stringify(stack.node.metadata)).toContain("pollIntervalSeconds 2 becomes 12");
  });

  test("log the ends of executions alone, without what they carry, and trace nothing: at ERROR each turn is a line", () => {
    template.allResourcesProperties("AWS::StepFunctions::StateMachine", {
      StateMachineType: "STANDARD",
      LoggingConfiguration: Match.objectLike({ Level: "FATAL", IncludeExecutionData: false }),
      TracingConfiguration: { Enabled: false },
    });
  });
});

describe("G33: what calls stop-run", () => {
  const rulesOf = (of: typeof template) =>
    Object.values(of.findResources("AWS::Events::Rule")).map(({ Properties }) => Properties);
  const machineArn = expect.stringMatching(/^<MachinesRun\w+>$/);

  test("the end of the run machine's executions without success, and a person, each of this stack alone", () => {
    const patterns = rulesOf(template).flatMap(({ EventPattern }) => EventPattern ?? []);
    const arns = patterns.map(({ detail }) => detail.stateMachineArn.map(asText));
    expect(arns).toEqual([[machineArn], [machineArn]]);
    expect(patterns.map(({ source, "detail-type": type, detail }) => [source, type, detail.status])).toEqual([
      [["aws.states"], ["Step Functions Execution Status Change"], ["ABORTED", "TIMED_OUT", "FAILED"]],
      [["stepwatch"], ["Stop asked"], undefined],
    ]);
  });

  test("the clock, four times an hour, with every project, in constants that EventBridge takes", () => {
    const names = Array.from({ length: 70 }, (_, n) => `p${"x".repeat(60)}${String(n).padStart(2, "0")}`);
    const many = Object.fromEntries(names.map((name) => [name, { projectDir: name }]));
    const scheduled = rulesOf(synthesise(exampleConfig({ projects: many })).template).filter(
      ({ ScheduleExpression }) => ScheduleExpression !== undefined,
    );
    expect(scheduled.map(({ ScheduleExpression }) => ScheduleExpression)).toEqual(["rate(15 minutes)"]);
    const input = String(scheduled[0]!.Targets[0].Input);
    expect(input.length).toBeLessThan(8_192);
    expect(stopRunPayloadSchema.parse(JSON.parse(input))).toEqual({ contract: CONTRACT, sweep: names });
  });

  test("the clock tells the schedules too, in several sweeps where one constant does not hold all of them", () => {
    const names = Array.from({ length: 50 }, (_, n) => `p${"x".repeat(60)}${String(n).padStart(2, "0")}`);
    const zoned = { schedule: "cron(0 3 * * ? *)", scheduleTimeZone: "America/Argentina/Buenos_Aires" };
    const many = Object.fromEntries(names.map((name) => [name, { projectDir: name, ...zoned }]));
    const inputs = rulesOf(synthesise(exampleConfig({ projects: many })).template).flatMap(
      ({ ScheduleExpression, Targets }) => (ScheduleExpression === undefined ? [] : [String(Targets[0].Input)]),
    );
    expect(inputs).toHaveLength(2);
    for (const input of inputs) expect(input.length).toBeLessThanOrEqual(8_192);
    const payloads = inputs.map((input) => JSON.parse(input));
    expect(payloads.flatMap(({ sweep }) => sweep).sort()).toEqual(names);
    for (const { sweep, schedules } of payloads)
      expect(schedules).toEqual(
        Object.fromEntries(sweep.map((name: string) => [name, "cron(0 3 * * ? *) America/Argentina/Buenos_Aires"])),
      );
  });

  test("has time to wait for tasks that are being stopped", () => {
    template.hasResourceProperties("AWS::Lambda::Function", { FunctionName: "stepwatch-stop-run", Timeout: 420 });
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

  test("leaves no rule in its default security group, unless asked for, or on the embedded AWS, which can not", () => {
    template.resourceCountIs("Custom::VpcRestrictDefaultSG", 1);
    const asked = synthesise(exampleConfig({ vpc: { restrictDefaultSecurityGroup: false } })).template;
    asked.resourceCountIs("Custom::VpcRestrictDefaultSG", 0);
    synthesise(exampleConfig(), { local: true }).template.resourceCountIs("Custom::VpcRestrictDefaultSG", 0);
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

  test("has only resources that the embedded AWS can make, but for saved queries and CDK's custom resource, which it is deployed without", () => {
    const watched = exampleConfig(
      { alarms: { email: "night@example.com" }, dashboard: true },
      { schedule: "rate(1 day)" },
    );
    const unknown = (local: boolean) => {
      const types = Object.values(resourcesOf(synthesise(watched, { local }).template)).map(({ Type }) => Type);
      return [...new Set(types)].filter((type) => !EMULATED.has(type));
    };
    expect(unknown(true)).toEqual([]);
    // It refuses metric math, by which most alarms are a sum.
    synthesise(watched, { local: true }).template.resourceCountIs("AWS::CloudWatch::Alarm", 0);
    expect(unknown(false)).toEqual([RESTRICTED_GROUP, SAVED_QUERY]);
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

  test("carries the tags of stepwatch.yaml on every resource that takes tags, its task definitions among them", () => {
    const tagged = synthesise(exampleConfig({ tags: { team: "data" } })).template;
    for (const { Properties } of Object.values(tagged.findResources("AWS::ECS::TaskDefinition")))
      expect(Properties.Tags).toEqual([{ Key: "team", Value: "data" }]);
    tagged.hasResourceProperties("AWS::DynamoDB::Table", { Tags: [{ Key: "team", Value: "data" }] });
  });

  test("says what the CLI needs to find it", () => {
    const outputs = full.template.toJSON().Outputs;
    expect(Object.keys(outputs).sort()).toEqual([
      "BackfillMachineArn",
      "BucketName",
      "ClusterName",
      "ConsumerMachineArn",
      "ProjectLogGroups",
      "RunMachineArn",
      "TableName",
    ]);
    expect(JSON.parse(outputs.ProjectLogGroups.Value)).toEqual({ shop: "/stepwatch/stepwatch/shop" });
  });

  test("is the same for AWS and for the embedded AWS, but for images, what is retained, saved queries, and CDK's custom resource", () => {
    const withoutRetention = (resources: ReturnType<typeof resourcesOf>) =>
      Object.fromEntries(
        Object.entries(resources)
          .filter(([id, { Type }]) => !id.startsWith("CustomVpcRestrictDefaultSG") && !Type.startsWith("Custom::"))
          .filter(([, { Type }]) => Type !== SAVED_QUERY)
          .map(([id, { Type, Properties }]) => [id, { Type, Properties }]),
      );
    const local = synthesise(exampleConfig({}, { schedule: "rate(1 day)" }), { local: true }).template;
    expect(withoutRetention(resourcesOf(local))).toEqual(withoutRetention(resourcesOf(full.template)));
    full.template.hasResource("AWS::S3::Bucket", { DeletionPolicy: "Retain" });
    full.template.hasResource("AWS::DynamoDB::Table", { DeletionPolicy: "Retain" });
    local.hasResource("AWS::S3::Bucket", { DeletionPolicy: "Delete" });
  });
});
