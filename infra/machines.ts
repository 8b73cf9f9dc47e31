import { RemovalPolicy, Stack, Validations } from "aws-cdk-lib";
import { PolicyDocument, PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import type { IFunction } from "aws-cdk-lib/aws-lambda";
import { LogGroup, RetentionDays } from "aws-cdk-lib/aws-logs";
import { DefinitionBody, LogLevel, StateMachine, StateMachineType } from "aws-cdk-lib/aws-stepfunctions";
import { Construct } from "constructs";
import type { ProjectSettings } from "#core/contracts/settings.ts";
import { deployedNames } from "./deployed-names.ts";
import type { Functions } from "./functions.ts";
import type { AslDefinition } from "./state-machines/asl.ts";
import { consumerMachineDefinition } from "./state-machines/consumer-machine.ts";
import { runMachineDefinition } from "./state-machines/run-machine.ts";

export interface MachinesProps {
  readonly stackName: string;
  readonly functions: Functions;
  readonly projects: readonly ProjectSettings[];
  readonly pollIntervalSeconds: number;
}

/** The run machine and the consumer machine: Standard, JSONPath, functions only. */
export class Machines extends Construct {
  readonly run: StateMachine;
  readonly consumer: StateMachine;

  constructor(scope: Construct, id: string, props: MachinesProps) {
    super(scope, id);
    const { byName } = props.functions;
    const timing = {
      pollIntervalSeconds: props.pollIntervalSeconds,
      longestRunMinutes: Math.max(...props.projects.map((project) => project.policy.runTimeoutMinutes)),
    };
    const run = runMachineDefinition({
      ...timing,
      startRunArn: byName["start-run"].functionArn,
      checkRunArn: byName["check-run"].functionArn,
      settleRunArn: byName["settle-run"].functionArn,
      projects: Object.fromEntries(props.projects.map((settings) => [settings.project, settings])),
    });
    const consumer = consumerMachineDefinition({ ...timing, watchNodeArn: byName["watch-node"].functionArn });
    const runFunctions = [byName["start-run"], byName["check-run"], byName["settle-run"]];
    this.run = this.#machine("Run", deployedNames.runMachine(props.stackName), run, runFunctions);
    this.consumer = this.#machine("Consumer", deployedNames.consumerMachine(props.stackName), consumer, [
      byName["watch-node"],
    ]);
  }

  #machine(id: string, name: string, definition: AslDefinition, functions: readonly IFunction[]): StateMachine {
    const invoke = new PolicyStatement({
      sid: "InvokeFunctions",
      actions: ["lambda:InvokeFunction"],
      resources: functions.map((called) => called.functionArn),
    });
    const role = new Role(this, `${id}Role`, {
      assumedBy: new ServicePrincipal("states.amazonaws.com"),
      inlinePolicies: { invoke: new PolicyDocument({ statements: [invoke] }) },
    });
    const machine = new StateMachine(this, id, {
      stateMachineName: name,
      stateMachineType: StateMachineType.STANDARD,
      definitionBody: DefinitionBody.fromString(Stack.of(this).toJsonString(definition)),
      role,
      tracingEnabled: false,
      logs: {
        // Failures alone: Step Functions keeps the whole history for 90 days, and a run has thousands of events.
        level: LogLevel.ERROR,
        // Input may hold dbt variables, and every token wait its token.
        includeExecutionData: false,
        destination: new LogGroup(this, `${id}Log`, {
          logGroupName: deployedNames.machineLogGroup(name),
          retention: RetentionDays.ONE_MONTH,
          removalPolicy: RemovalPolicy.DESTROY,
        }),
      },
    });
    Validations.of(machine).acknowledge(
      { id: "AwsSolutions-SF1", reason: "Errors are logged; the full history is kept by Step Functions for 90 days." },
      { id: "AwsSolutions-SF2", reason: "A trace of a wait-and-poll loop says nothing; each turn would be billed." },
    );
    return machine;
  }
}
