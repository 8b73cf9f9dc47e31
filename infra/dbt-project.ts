import { Duration, RemovalPolicy, Stack, Validations } from "aws-cdk-lib";
import {
  type ContainerImage,
  CpuArchitecture,
  FargateTaskDefinition,
  LinuxParameters,
  LogDrivers,
  OperatingSystemFamily,
} from "aws-cdk-lib/aws-ecs";
import { ManagedPolicy, PolicyDocument, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { LogGroup, type RetentionDays } from "aws-cdk-lib/aws-logs";
import { Construct } from "constructs";
import type { ProjectConfig } from "#core/config.ts";
import type { LaunchTarget, ProjectSettings, TaskSize } from "#core/contracts/settings.ts";
import type { Artefacts } from "./artefacts.ts";
import { defaultProfile } from "./default-target.ts";
import { CONTAINER_NAME, deployedNames, type TaskRole } from "./deployed-names.ts";
import type { Ledger } from "./ledger.ts";
import type { LockSharing } from "./lock-sharing.ts";
import { artefactNames, artefactObjects, ledgerRows } from "./permissions.ts";
import { containerSecrets } from "./secrets.ts";

export interface DbtProjectProps {
  readonly stackName: string;
  readonly project: ProjectConfig;
  /** Where its locks stand, and what it builds when no target is named. */
  readonly sharing: LockSharing;
  /** By digest: a run's later tasks run the code of its first. */
  readonly image: ContainerImage;
  readonly clusterName: string;
  readonly placement: Pick<LaunchTarget, "subnets" | "securityGroups" | "assignPublicIp">;
  readonly ledger: Ledger;
  readonly artefacts: Artefacts;
}

/** Fargate's maximum. dbt needs it to cancel queries after SIGINT, the supervisor to flush what it saw. */
const STOP_TIMEOUT_SECONDS = 120;

/**
 * One dbt project: its two task definitions (the producer's, and the execution queue's for everything that recovers),
 * the roles of their tasks, and their log. Revisions are retained on deploy: a live run goes on with its own.
 */
export class DbtProject extends Construct {
  /** What the run machine hands to start-run. */
  readonly settings: ProjectSettings;
  readonly families: readonly string[];
  readonly roles: readonly Role[];
  readonly #props: DbtProjectProps;
  readonly #logGroup: LogGroup;
  readonly #taskRole: Role;
  readonly #executionRole: Role;

  constructor(scope: Construct, id: string, props: DbtProjectProps) {
    super(scope, id);
    const { project, sharing, stackName } = props;
    this.#props = props;
    this.#logGroup = new LogGroup(this, "Log", {
      logGroupName: deployedNames.projectLogGroup(stackName, project.name),
      retention: project.logRetentionDays as RetentionDays,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    this.#taskRole = this.#makeTaskRole();
    this.#executionRole = this.#makeExecutionRole();
    this.roles = [this.#taskRole, this.#executionRole];
    this.families = (["producer", "queue"] as const).map((role) =>
      deployedNames.taskFamily(stackName, project.name, role),
    );
    const ownProfile = defaultProfile(project);
    this.settings = {
      project: project.name,
      producer: this.#launchTarget("producer", project.producer),
      executionQueue: {
        ...this.#launchTarget("queue", project.executionQueue),
        maxTasks: project.executionQueue.maxTasks,
      },
      policy: project.policy,
      build: project.build,
      ...(project.threads !== undefined && { threads: project.threads }),
      ...(project.target !== undefined && { target: project.target }),
      ...(sharing.lockProject !== project.name && { lockProject: sharing.lockProject }),
      ...(ownProfile !== null && { defaultProfile: ownProfile }),
      defaultTarget: sharing.defaultTarget,
    };
  }

  #launchTarget(role: TaskRole, size: TaskSize): LaunchTarget {
    const { clusterName, placement } = this.#props;
    return {
      cluster: clusterName,
      taskDefinitionArn: this.#taskDefinition(role, size).taskDefinitionArn,
      containerName: CONTAINER_NAME,
      ...placement,
    };
  }

  #taskDefinition(role: TaskRole, size: TaskSize): FargateTaskDefinition {
    const { project, stackName, image, ledger, artefacts } = this.#props;
    const definition = new FargateTaskDefinition(this, role === "producer" ? "Producer" : "ExecutionQueue", {
      family: deployedNames.taskFamily(stackName, project.name, role),
      cpu: size.cpu,
      memoryLimitMiB: size.memoryMiB,
      runtimePlatform: { cpuArchitecture: CpuArchitecture.X86_64, operatingSystemFamily: OperatingSystemFamily.LINUX },
      taskRole: this.#taskRole,
      executionRole: this.#executionRole,
    });
    definition.applyRemovalPolicy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE);
    definition.addContainer(CONTAINER_NAME, {
      containerName: CONTAINER_NAME,
      image,
      essential: true,
      // Adapters write below HOME (token caches, driver downloads): a read-only image would break them one by one.
      readonlyRootFilesystem: false,
      linuxParameters: new LinuxParameters(this, `${role}-linux`, { initProcessEnabled: true }),
      stopTimeout: Duration.seconds(STOP_TIMEOUT_SECONDS),
      logging: LogDrivers.awsLogs({ logGroup: this.#logGroup, streamPrefix: "dbt" }),
      environment: {
        ...project.environment,
        STEPWATCH_TABLE: ledger.table.tableName,
        STEPWATCH_BUCKET: artefacts.bucket.bucketName,
        STEPWATCH_PROJECT: project.name,
        STEPWATCH_STOP_TIMEOUT_SECONDS: String(STOP_TIMEOUT_SECONDS),
      },
      secrets: containerSecrets(Stack.of(this), project.secrets),
    });
    Validations.of(definition).acknowledge({
      id: "AwsSolutions-ECS2",
      reason: "Plain variables hold names of resources and what the user calls no secret; secrets have their own key.",
    });
    return definition;
  }

  /** What dbt and its supervisor may do: this project's rows and objects, and nothing of another project. */
  #makeTaskRole(): Role {
    const { project, ledger, artefacts } = this.#props;
    const prefix = `runs/${project.name}/`;
    const lockPartitions = [...new Set([project.name, this.#props.sharing.lockProject])].map(
      (name) => `PROJECT#${name}`,
    );
    const statements = [
      ledgerRows(ledger.table, [`RUN#${project.name}#*`], ["GetItem", "UpdateItem"]),
      // The lock, which each heartbeat looks at: dbt's own code must not be able to take or free it.
      // Both: a run that is live while an entry of the same folder is added goes on with the lock that it has.
      ledgerRows(ledger.table, lockPartitions, ["GetItem"], "ReadLock"),
      artefactObjects(artefacts.bucket, prefix, ["GetObject", "PutObject"]),
      artefactNames(artefacts.bucket, prefix),
    ];
    return new Role(this, "TaskRole", {
      assumedBy: new ServicePrincipal("ecs-tasks.amazonaws.com"),
      description: `dbt of project ${project.name}: attach here what its adapter needs`,
      inlinePolicies: { stepwatch: new PolicyDocument({ statements }) },
    });
  }

  /** What ECS does for the task before it runs: pull the image, fetch secrets, write the log. */
  #makeExecutionRole(): Role {
    const role = new Role(this, "ExecutionRole", {
      assumedBy: new ServicePrincipal("ecs-tasks.amazonaws.com"),
      managedPolicies: [ManagedPolicy.fromAwsManagedPolicyName("service-role/AmazonECSTaskExecutionRolePolicy")],
    });
    Validations.of(role).acknowledge({
      id: "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy]",
      reason: "AWS keeps this policy in step with what Fargate's agents pull, GuardDuty's sidecar among them.",
    });
    return role;
  }
}
