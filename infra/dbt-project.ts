import { Duration, RemovalPolicy, Size, Stack, Validations } from "aws-cdk-lib";
import {
  AwsLogDriverMode,
  type ContainerDefinition,
  type ContainerImage,
  CpuArchitecture,
  FargateTaskDefinition,
  LinuxParameters,
  LogDrivers,
  OperatingSystemFamily,
} from "aws-cdk-lib/aws-ecs";
import { type IRole, ManagedPolicy, PolicyDocument, Role } from "aws-cdk-lib/aws-iam";
import type { IKey } from "aws-cdk-lib/aws-kms";
import { LogGroup, type RetentionDays } from "aws-cdk-lib/aws-logs";
import { Construct } from "constructs";
import type { ProjectConfig } from "#core/config.ts";
import type { Capacity, LaunchTarget, ProjectSettings, TaskSize } from "#core/contracts/settings.ts";
import { stateSourceOf } from "#core/dbt/state-source.ts";
import type { Artefacts } from "./artefacts.ts";
import { embeddedDatabase } from "./database-place.ts";
import { defaultProfile } from "./default-target.ts";
import { CONTAINER_NAME, deployedNames, type TaskRole } from "./deployed-names.ts";
import { singleWriter } from "./early-problem.ts";
import { useDataKey } from "./identity.ts";
import type { Ledger } from "./ledger.ts";
import type { LockSharing } from "./lock-sharing.ts";
import {
  artefactNames,
  artefactObjects,
  ledgerRows,
  nothingElseOfLedger,
  ownArtefacts,
  readStates,
  TOLD_BY,
} from "./permissions.ts";
import { containerSecrets, decryptSecrets } from "./secrets.ts";
import { mountShared, useShared } from "./shared-files.ts";
import { ProjectTaskRole } from "./task-role.ts";
import { trustedTasks } from "./trust.ts";

export interface DbtProjectProps {
  readonly stackName: string;
  readonly project: ProjectConfig;
  /** Where its locks stand, and what it builds when no target is named. */
  readonly sharing: LockSharing;
  /** By digest: a run's later tasks run the code of its first. Called with the project's own scope for assets. */
  readonly image: (scope: Construct, project: ProjectConfig) => ContainerImage;
  readonly clusterName: string;
  readonly placement: Pick<LaunchTarget, "subnets" | "securityGroups" | "assignPublicIp">;
  readonly ledger: Ledger;
  readonly artefacts: Artefacts;
  /** Of ledger, artefacts and logs, where it is the account's own. */
  readonly key: IKey | undefined;
}

/** Fargate's maximum. dbt needs it to cancel queries after SIGINT, the supervisor to flush what it saw. */
const STOP_TIMEOUT_SECONDS = 120;

/** Of the task's memory, filled only while CloudWatch Logs is away: some 100,000 lines of dbt. AWS advises 25 MiB. */
const LOG_BUFFER = Size.mebibytes(25);

/**
 * One dbt project: its two task definitions (the producer's, and the execution queue's for everything that recovers),
 * the roles of their tasks, and their log. Revisions are retained on deploy: a live run goes on with its own.
 */
export class DbtProject extends Construct {
  /** What the run machine hands to start-run. */
  readonly settings: ProjectSettings;
  readonly config: ProjectConfig;
  /** What dbt's containers write. */
  readonly logGroup: LogGroup;
  /** Of dbt's containers: what your adapter needs is granted to it. */
  readonly taskRole: IRole;
  readonly #props: DbtProjectProps;
  readonly #image: ContainerImage;
  readonly #executionRole: Role;

  constructor(scope: Construct, id: string, props: DbtProjectProps) {
    super(scope, id);
    const { project, sharing, stackName } = props;
    this.#props = props;
    this.config = project;
    this.#image = props.image(this, project);
    this.logGroup = new LogGroup(this, "Log", {
      logGroupName: deployedNames.projectLogGroup(stackName, project.name),
      retention: project.logRetentionDays as RetentionDays,
      ...(props.key && { encryptionKey: props.key }),
      removalPolicy: RemovalPolicy.DESTROY,
    });
    this.taskRole = this.#makeTaskRole();
    this.#executionRole = this.#makeExecutionRole();
    const ownProfile = defaultProfile(project);
    const writer = singleWriter(project);
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
      ...(writer !== null && { singleWriter: writer }),
      ...(embeddedDatabase(project)?.place === "server" && { manyWriters: true }),
      defaultTarget: sharing.defaultTarget,
      ...deployedJobs(project),
      ...deployedDates(project.dates, project.dates?.zone ?? project.scheduleTimeZone),
    };
  }

  #launchTarget(role: TaskRole, size: TaskSize & { readonly capacity: Capacity }): LaunchTarget {
    const { clusterName, placement } = this.#props;
    return {
      cluster: clusterName,
      taskDefinitionArn: this.#taskDefinition(role, size).taskDefinitionArn,
      containerName: CONTAINER_NAME,
      ...placement,
      ...(size.capacity !== "on_demand" && { capacity: size.capacity }),
      ...{ cpu: size.cpu, memoryMiB: size.memoryMiB },
    };
  }

  #taskDefinition(role: TaskRole, size: TaskSize): FargateTaskDefinition {
    const { project, stackName, ledger, artefacts } = this.#props;
    const definition = new FargateTaskDefinition(this, role === "producer" ? "Producer" : "ExecutionQueue", {
      family: deployedNames.taskFamily(stackName, project.name, role),
      cpu: size.cpu,
      memoryLimitMiB: size.memoryMiB,
      runtimePlatform: { cpuArchitecture: CpuArchitecture.X86_64, operatingSystemFamily: OperatingSystemFamily.LINUX },
      taskRole: this.taskRole,
      executionRole: this.#executionRole,
    });
    definition.applyRemovalPolicy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE);
    const container = definition.addContainer(CONTAINER_NAME, {
      containerName: CONTAINER_NAME,
      image: this.#image,
      essential: true,
      readonlyRootFilesystem: project.image.readOnly,
      linuxParameters: new LinuxParameters(this, `${role}-linux`, { initProcessEnabled: true }),
      stopTimeout: Duration.seconds(STOP_TIMEOUT_SECONDS),
      logging: LogDrivers.awsLogs({
        logGroup: this.logGroup,
        streamPrefix: "dbt",
        // Blocking, dbt would stand still while CloudWatch Logs is away. What does not fit into the buffer is lost.
        mode: AwsLogDriverMode.NON_BLOCKING,
        maxBufferSize: LOG_BUFFER,
      }),
      environment: {
        ...project.environment,
        STEPWATCH_TABLE: ledger.table.tableName,
        STEPWATCH_BUCKET: artefacts.bucket.bucketName,
        STEPWATCH_PROJECT: project.name,
        STEPWATCH_STOP_TIMEOUT_SECONDS: String(STOP_TIMEOUT_SECONDS),
      },
      secrets: containerSecrets(Stack.of(this), project.secrets),
    });
    if (project.image.readOnly) mountWritable(definition, container);
    if (project.efs !== undefined) mountShared(definition, container, project.efs);
    Validations.of(definition).acknowledge({
      id: "AwsSolutions-ECS2",
      reason: "Plain variables hold names of resources and what the user calls no secret; secrets have their own key.",
    });
    return definition;
  }

  /**
   * What dbt and its supervisor may do (behaviour D22): read this project's rows and objects, and write what a container
   * tells, where nothing is decided; nothing of another project, whatever else the role is given for dbt's adapter.
   */
  #makeTaskRole(): IRole {
    const { project, stackName, ledger, artefacts, key } = this.#props;
    const prefixes = ["runs", "latest", "latest-green", "commits"].map((kind) => `${kind}/${project.name}/`);
    const [told, runs] = [`BUILD#${project.name}#*`, `RUN#${project.name}#*`] as const;
    const lockPartitions = [...new Set([project.name, this.#props.sharing.lockProject])].map(
      (name) => `PROJECT#${name}`,
    );
    const statements = [
      // What containers tell, and the only rows that they write: nothing is decided there (docs/adr/0043).
      ledgerRows(ledger.table, [told], ["GetItem", ...TOLD_BY], "TellOfBuilds"),
      ledgerRows(ledger.table, [runs], ["GetItem"], "ReadRuns"),
      // The lock, which each heartbeat looks at: dbt's own code must not be able to take or free it.
      // Both: a run that is live while an entry of the same folder is added goes on with the lock that it has.
      ledgerRows(ledger.table, lockPartitions, ["GetItem"], "ReadLock"),
      ...nothingElseOfLedger(ledger.table, told),
      artefactObjects(artefacts.bucket, prefixes, ["GetObject"]),
      ownArtefacts(artefacts.bucket, project.name),
      artefactNames(artefacts.bucket, prefixes),
      ...readStates(Stack.of(this), statesElsewhere(project)),
      ...useShared(Stack.of(this), project.efs),
      ...useDataKey(Stack.of(this), key?.keyArn),
    ];
    return new ProjectTaskRole(this, "TaskRole", { stackName, project, statements }).role;
  }

  /** What ECS does for the task before it runs: pull the image, fetch secrets, write the log. */
  #makeExecutionRole(): Role {
    const keys = decryptSecrets(Stack.of(this), this.#props.project);
    const role = new Role(this, "ExecutionRole", {
      assumedBy: trustedTasks(Stack.of(this)),
      path: deployedNames.taskRolePath(this.#props.stackName),
      ...(keys.length > 0 && { inlinePolicies: { keys: new PolicyDocument({ statements: keys }) } }),
      managedPolicies: [ManagedPolicy.fromAwsManagedPolicyName("service-role/AmazonECSTaskExecutionRolePolicy")],
    });
    Validations.of(role).acknowledge({
      id: "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy]",
      reason: "AWS keeps this policy in step with what Fargate's agents pull, GuardDuty's sidecar among them.",
    });
    return role;
  }
}

/** Places in S3 that the project's own options name: a run's may name others, which `taskRole` lets its tasks read. */
const statesElsewhere = ({ build, jobs }: ProjectConfig) =>
  [build, ...Object.values(jobs).map((job) => job.build)]
    .flatMap(({ state, deferState }) => [state, deferState])
    .flatMap((place) => (place === undefined ? [] : [stateSourceOf(place)]))
    .filter((source) => source.kind === "s3");

/** The zone stands in the settings alone where nothing else is set: the environment has the scheduled date by it. */
const deployedDates = (dates: ProjectConfig["dates"], zone: string | undefined): Pick<ProjectSettings, "dates"> =>
  dates === undefined && zone === undefined ? {} : { dates: { format: "date", ...dates, ...(zone && { zone }) } };

/** Its jobs without what only a schedule needs. */
function deployedJobs({ jobs, dates, scheduleTimeZone }: ProjectConfig): Pick<ProjectSettings, "jobs"> {
  const deployed = Object.entries(jobs).map(
    ([name, { schedule: _, scheduleTimeZone: own, startAfter: __, ...job }]) => {
      const zone = job.dates?.zone ?? dates?.zone ?? own ?? scheduleTimeZone;
      return [name, { ...job, ...deployedDates(job.dates ?? dates, zone) }];
    },
  );
  return deployed.length === 0 ? {} : { jobs: Object.fromEntries(deployed) };
}

/**
 * The two folders that the image declares as volumes: a volume of the task begins with the owner that they have there.
 * dbt, its adapters (token caches, drivers) and Python write nowhere else.
 */
function mountWritable(definition: FargateTaskDefinition, container: ContainerDefinition): void {
  for (const [name, containerPath] of Object.entries({ tmp: "/tmp", home: "/home/stepwatch" })) {
    definition.addVolume({ name });
    container.addMountPoints({ sourceVolume: name, containerPath, readOnly: false });
  }
}
