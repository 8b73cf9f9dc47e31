import { Annotations, CfnOutput, Stack, Validations } from "aws-cdk-lib";
import type { ContainerImage } from "aws-cdk-lib/aws-ecs";
import { CfnCluster } from "aws-cdk-lib/aws-ecs";
import type { Code } from "aws-cdk-lib/aws-lambda";
import type { Construct } from "constructs";
import type { ProjectConfig, StepwatchConfig } from "#core/config.ts";
import { Artefacts } from "./artefacts.ts";
import { DbtProject } from "./dbt-project.ts";
import { deployedNames, type FunctionName } from "./deployed-names.ts";
import { Functions } from "./functions.ts";
import { Ledger } from "./ledger.ts";
import { lockSharing } from "./lock-sharing.ts";
import { Machines } from "./machines.ts";
import { Network } from "./network.ts";
import { Schedule } from "./schedule.ts";
import { turnSeconds } from "./state-machines/turns.ts";

export interface StepwatchStackProps {
  readonly config: StepwatchConfig;
  /** The embedded AWS: images that need no container engine, and data that goes with the stack. */
  readonly local: boolean;
  readonly functionCode: (name: FunctionName) => Code;
  /** A project's image, by digest or by content hash. Called with a scope for assets. */
  readonly image: (scope: Construct, project: ProjectConfig) => ContainerImage;
}

/** stepwatch for the dbt projects of one stepwatch.yaml. No account is asked at synth; the same code for AWS and local. */
export class StepwatchStack extends Stack {
  constructor(scope: Construct, props: StepwatchStackProps) {
    const { config, local } = props;
    const { stackName } = config;
    super(scope, stackName, { stackName, description: "stepwatch: dbt builds watched node by node" });

    const ledger = new Ledger(this, "Ledger", { local });
    const artefacts = new Artefacts(this, "Artefacts", { local });
    const network = new Network(this, "Network", { vpc: config.vpc });
    const clusterName = deployedNames.cluster(stackName);
    const cluster = new CfnCluster(this, "Cluster", {
      clusterName,
      clusterSettings: [{ name: "containerInsights", value: "disabled" }],
    });

    Validations.of(cluster).acknowledge({
      id: "AwsSolutions-ECS4",
      reason: "Container Insights is billed per task; the runner reports memory, exit codes and time to the ledger.",
    });

    const sharing = lockSharing(Object.values(config.projects));
    const projects = Object.values(config.projects).map((project) => {
      const image = props.image(this, project);
      const { placement } = network;
      return new DbtProject(this, project.name, {
        stackName,
        project,
        sharing: sharing.get(project.name)!,
        image,
        clusterName: cluster.ref,
        placement,
        ledger,
        artefacts,
      });
    });

    const functions = new Functions(this, "Functions", {
      stackName,
      ledger,
      artefacts,
      launch: {
        clusterName: cluster.ref,
        clusterArn: cluster.attrArn,
        families: projects.flatMap((project) => project.families),
        roleArns: projects.flatMap((project) => project.roles.map((role) => role.roleArn)),
      },
      code: props.functionCode,
    });

    const machines = new Machines(this, "Machines", {
      stackName,
      functions,
      projects: projects.map((project) => project.settings),
      pollIntervalSeconds: config.pollIntervalSeconds,
    });

    for (const { name: project, schedule: expression, scheduleTimeZone: timeZone } of Object.values(config.projects)) {
      if (expression)
        new Schedule(this, `${project}-schedule`, { project, expression, timeZone, runMachine: machines.run });
    }

    this.#sayLengthenedTurn(config);
    const output = (name: string, value: string, description: string) =>
      new CfnOutput(this, name, { value, description });
    output("RunMachineArn", machines.run.stateMachineArn, 'Start a run here: {"project": …}');
    output("ConsumerMachineArn", machines.consumer.stateMachineArn, "One execution per dbt node of a run");
    output("TableName", ledger.table.tableName, "The ledger");
    output("BucketName", artefacts.bucket.bucketName, "Artefacts of runs");
    output("ClusterName", cluster.ref, "Where tasks run");
    output("ProjectLogGroups", this.toJsonString(logGroupsOf(config)), "Log group of each project's tasks, as JSON");
  }

  #sayLengthenedTurn({ pollIntervalSeconds, projects }: StepwatchConfig): void {
    const longest = Math.max(...Object.values(projects).map((project) => project.policy.runTimeoutMinutes));
    const turn = turnSeconds(longest, pollIntervalSeconds);
    if (turn === pollIntervalSeconds) return;
    Annotations.of(this).addInfo(
      `pollIntervalSeconds ${pollIntervalSeconds} becomes ${turn}: a run of ${longest} minutes (policy.runTimeoutMinutes) ` +
        "would fill an execution's history otherwise.",
    );
  }
}

const logGroupsOf = (config: StepwatchConfig) =>
  Object.fromEntries(
    Object.keys(config.projects).map((project) => [project, deployedNames.projectLogGroup(config.stackName, project)]),
  );
