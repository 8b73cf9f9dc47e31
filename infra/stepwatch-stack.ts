import {
  Annotations,
  CfnOutput,
  DefaultStackSynthesizer,
  Fn,
  type IStackSynthesizer,
  Stack,
  type StackProps,
  Tags,
} from "aws-cdk-lib";
import type { ContainerImage } from "aws-cdk-lib/aws-ecs";
import type { Code } from "aws-cdk-lib/aws-lambda";
import type { IStateMachine } from "aws-cdk-lib/aws-stepfunctions";
import type { Construct } from "constructs";
import type { ProjectConfig, StepwatchConfig, StepwatchSettings } from "#core/config.ts";
import { longestRunMinutes } from "#core/contracts/run-job.ts";
import { InputError } from "#core/errors.ts";
import { Alerts } from "./alerts.ts";
import { Artefacts } from "./artefacts.ts";
import { Cluster } from "./cluster.ts";
import { dataSettings } from "./data-settings.ts";
import { DbtProject } from "./dbt-project.ts";
import { DeadLetters } from "./dead-letters.ts";
import { deployedNames, type FunctionName } from "./deployed-names.ts";
import { type EventStarted, EventStarts } from "./event-starts.ts";
import { Functions, type FunctionsProps } from "./functions.ts";
import { boundRoles, ecsServiceLinkedRole } from "./identity.ts";
import { Ledger } from "./ledger.ts";
import { Lineage } from "./lineage.ts";
import { lockSharing } from "./lock-sharing.ts";
import { Machines } from "./machines.ts";
import { Network } from "./network.ts";
import { PublishedEvents } from "./published-events.ts";
import { Schedules, scheduledStarts } from "./schedule.ts";
import { PROJECT_SCOPE } from "./stack-limits.ts";
import { type StackChoices, stackProps } from "./stack-props.ts";
import { turnSeconds } from "./state-machines/turns.ts";
import { StepwatchRun } from "./stepwatch-run.ts";
import { StopRules } from "./stop-rules.ts";
import { Wakes } from "./wakes.ts";
import { Watching } from "./watching/watching.ts";

export interface StepwatchStackProps {
  readonly config: StepwatchConfig;
  /** The embedded AWS: images that need no container engine, data that goes with the stack, and no custom resource. */
  readonly local: boolean;
  readonly functionCode: (name: FunctionName) => Code;
  /** A project's image, by digest or by content hash. Called with the project's own scope for assets. */
  readonly image: (scope: Construct, project: ProjectConfig) => ContainerImage;
  /** What any CDK stack may be told: account and region, protection from deletion, a synthesizer of one's own. */
  readonly stack?: Omit<StackProps, "stackName" | "description">;
}

/** stepwatch for the dbt projects of one stepwatch.yaml. No account is asked at synth; the same code for AWS and local. */
export class StepwatchStack extends Stack {
  /** Runs are started here; it is a state machine like any other. */
  readonly runMachine: IStateMachine;
  /** The same for a state machine of one's own: `stack.run.asTask(…)`. */
  readonly run: StepwatchRun;
  readonly #projects: ReadonlyMap<string, DbtProject>;

  /**
   * The stack of a stepwatch.yaml, with the functions and images that belong to it; an account is asked only where
   * `image.uri` names a tag.
   * @param source path of stepwatch.yaml, or the same settings as a value, whose paths begin in the working directory.
   * @throws {InputError} with one sentence per problem.
   */
  static async fromConfig(
    scope: Construct,
    source: string | StepwatchSettings,
    choices: StackChoices = {},
  ): Promise<StepwatchStack> {
    return new StepwatchStack(scope, await stackProps(source, choices));
  }

  constructor(scope: Construct, props: StepwatchStackProps) {
    const { config, local } = props;
    const { stackName, deployment } = config;
    super(scope, stackName, {
      ...props.stack,
      stackName,
      description: "stepwatch: dbt builds watched node by node",
      // Indented, the template of 50 projects is larger than CloudFormation takes.
      suppressTemplateIndentation: true,
      ...(!local && bootstrappedAs(deployment.bootstrapQualifier)),
    });

    const data = dataSettings(this, config.data, local);
    const ledger = new Ledger(this, "Ledger", { data });
    const artefacts = new Artefacts(this, "Artefacts", { data, stackName });
    const network = new Network(this, "Network", { vpc: config.vpc, local });
    const cluster = new Cluster(this, "TaskCluster", {
      clusterName: deployedNames.cluster(stackName),
      spot: Object.values(config.projects).some(usesSpot),
    });

    const serviceLinked = ecsServiceLinkedRole(this, deployment.ecsServiceLinkedRole === "create" && !local);
    if (serviceLinked !== null) cluster.node.addDependency(serviceLinked);

    const sharing = lockSharing(Object.values(config.projects));
    const projects = Object.values(config.projects).map((project) => {
      const { placement } = network;
      // With a prefix: a project may be called Ledger, or Default, which CDK leaves out of ids.
      return new DbtProject(this, `${PROJECT_SCOPE}${project.name}`, {
        stackName,
        project,
        sharing: sharing.get(project.name)!,
        image: props.image,
        clusterName: cluster.name,
        placement,
        ledger,
        artefacts,
        key: data.key,
      });
    });

    this.#projects = new Map(projects.map((project) => [project.config.name, project]));

    const alerts =
      config.alerts === undefined ? null : new Alerts(this, "Alerts", { stackName, settings: config.alerts });

    const { openLineage } = config;
    const lineage =
      openLineage === undefined
        ? null
        : new Lineage(this, "Lineage", {
            ...{ stackName, settings: openLineage, projects: Object.values(config.projects) },
          });

    const functions = new Functions(this, "Functions", {
      stackName,
      ledger,
      artefacts,
      key: data.key,
      launch: {
        clusterName: cluster.name,
        clusterArn: cluster.arn,
        stackName,
        givenRoleArns: givenRoles(config),
      },
      code: props.functionCode,
      telling: {
        ...publishing(config),
        ...(alerts && { alert: alerts.ofFunction }),
        ...(lineage && { lineage: lineage.ofFunction }),
      },
    });

    const machines = new Machines(this, "Machines", {
      stackName,
      functions,
      projects: projects.map((project) => project.settings),
      key: data.key,
      watch: config.watch,
      pollIntervalSeconds: config.pollIntervalSeconds,
    });

    this.runMachine = machines.run;
    this.run = new StepwatchRun(machines.run.stateMachineArn, Object.keys(config.projects));

    const wakes =
      config.watch === "wake"
        ? new Wakes(this, "Wakes", { wake: functions.byName.wake, table: ledger.table, key: data.key })
        : null;

    const { publish } = functions.byName;
    const events =
      publish === undefined
        ? null
        : new PublishedEvents(this, "Events", { publish, table: ledger.table, key: data.key });

    if (alerts !== null && functions.byName.alert !== undefined) alerts.callOnEvents(functions.byName.alert);
    if (lineage !== null && functions.byName.lineage !== undefined) lineage.callOnEvents(functions.byName.lineage);

    new StopRules(this, "StopRules", {
      stopRun: functions.byName["stop-run"],
      runMachineArn: machines.run.stateMachineArn,
      projects: projects.map((project) => project.settings.project),
      schedules: schedulesOf(config),
    });

    const scheduled = projects.filter(({ config: project }) => scheduledStarts(project).length > 0);
    const startedByEvents = eventStartsOf(config);
    const deadLetters =
      scheduled.length + startedByEvents.length === 0
        ? null
        : new DeadLetters(this, "DeadLetters", { key: data.key }).queue;
    for (const project of scheduled)
      new Schedules(project, "Schedule", {
        project: project.config,
        runMachine: machines.run,
        deadLetters: deadLetters!,
      });

    if (startedByEvents.length > 0)
      new EventStarts(this, "EventStarts", {
        ...{ stackName, starts: startedByEvents, runMachine: machines.run },
        deadLetters: deadLetters!,
      });

    if (!local) boundRoles(this, deployment);
    for (const [key, value] of Object.entries(config.tags)) Tags.of(this).add(key, value);

    new Watching(this, "Watching", {
      config,
      local,
      stackName,
      runMachine: machines.run,
      functions: functions.byName,
      deadLetters: [deadLetters, wakes?.failed, events?.failed, ...functions.deadLetters].filter(
        (queue) => queue != null,
      ),
    });

    this.#sayLengthenedTurn(config);
    const output = (name: string, value: string, description: string) =>
      new CfnOutput(this, name, { value, description });
    output("RunMachineArn", machines.run.stateMachineArn, 'Start a run here: {"project": …}');
    output("ConsumerMachineArn", machines.consumer.stateMachineArn, "One execution per dbt node of a run");
    output("BackfillMachineArn", machines.backfill.stateMachineArn, "Starts one run for each window of a range");
    output("TableName", ledger.table.tableName, "The ledger");
    output("BucketName", artefacts.bucket.bucketName, "Artefacts of runs");
    output("ClusterName", cluster.name, "Where tasks run");
    if (data.key !== undefined) output("DataKeyArn", data.key.keyArn, "The key of table and bucket");
    output("ProjectLogGroups", this.toJsonString(logGroupsOf(config)), "Log group of each project's tasks, as JSON");
  }

  /** As of a stack whose account is not known at synth: with a known one CDK would ask it which zones there are. */
  override get availabilityZones(): string[] {
    return [0, 1].map((n) => Fn.select(n, Fn.getAzs()));
  }

  /** A project of the stack, for what else its dbt may do or needs. @throws {InputError} if there is none of this name */
  project(name: string): DbtProject {
    const project = this.#projects.get(name);
    if (project !== undefined) return project;
    const known = [...this.#projects.keys()].join(", ");
    throw new InputError("No such project", [`${name}: the stack ${this.stackName} has ${known}.`]);
  }

  #sayLengthenedTurn({ watch, pollIntervalSeconds, projects }: StepwatchConfig): void {
    if (watch === "wake") return;
    const longest = longestRunMinutes(Object.values(projects));
    const turn = turnSeconds(longest, pollIntervalSeconds);
    if (turn === pollIntervalSeconds) return;
    Annotations.of(this).addInfo(
      `pollIntervalSeconds ${pollIntervalSeconds} becomes ${turn}: a run of ${longest} minutes (policy.runTimeoutMinutes) ` +
        "would fill an execution's history otherwise.",
    );
  }
}

/** Events of runs and nodes are published where they are asked for. */
const publishing = ({ events }: StepwatchConfig): FunctionsProps["telling"] =>
  events.publish === "all" ? { publish: { environment: { STEPWATCH_DATASETS: events.datasets ? "on" : "off" } } } : {};

const eventStartsOf = ({ projects }: StepwatchConfig): EventStarted[] =>
  Object.values(projects).flatMap(({ name: project, startAfter, jobs }) => [
    ...(startAfter === undefined ? [] : [{ project, startAfter }]),
    ...Object.entries(jobs).flatMap(([job, { startAfter: after }]) =>
      after === undefined ? [] : [{ project, job, startAfter: after }],
    ),
  ]);

/** Each with its time zone behind it, as the sweep reads them; those of jobs by `project/job`. */
const schedulesOf = ({ projects }: StepwatchConfig): Record<string, string> =>
  Object.fromEntries(
    Object.values(projects).flatMap((project) =>
      scheduledStarts(project).map(({ job, expression, timeZone = "UTC" }) => [
        job === undefined ? project.name : `${project.name}/${job}`,
        `${expression} ${timeZone}`,
      ]),
    ),
  );

/** Where assets go and who deploys; unset, what CDK's own context says. The embedded AWS is bootstrapped by stepwatch. */
const bootstrappedAs = (qualifier: string | undefined): Pick<StackProps, "synthesizer"> =>
  qualifier === undefined ? {} : { synthesizer: new DefaultStackSynthesizer({ qualifier }) as IStackSynthesizer };

const givenRoles = ({ projects }: StepwatchConfig): string[] =>
  [...new Set(Object.values(projects).flatMap(({ taskRole }) => taskRole.arn ?? []))].sort();

const usesSpot = ({ producer, executionQueue }: ProjectConfig) =>
  producer.capacity !== "on_demand" || executionQueue.capacity !== "on_demand";

const logGroupsOf = (config: StepwatchConfig) =>
  Object.fromEntries(
    Object.keys(config.projects).map((project) => [project, deployedNames.projectLogGroup(config.stackName, project)]),
  );
