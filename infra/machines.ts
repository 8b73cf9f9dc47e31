import { RemovalPolicy, Stack, Validations } from "aws-cdk-lib";
import { PolicyDocument, PolicyStatement, Role } from "aws-cdk-lib/aws-iam";
import type { IKey } from "aws-cdk-lib/aws-kms";
import type { IFunction } from "aws-cdk-lib/aws-lambda";
import { LogGroup, RetentionDays } from "aws-cdk-lib/aws-logs";
import { DefinitionBody, LogLevel, StateMachine, StateMachineType } from "aws-cdk-lib/aws-stepfunctions";
import { Construct } from "constructs";
import { longestRunMinutes } from "#core/contracts/run-job.ts";
import type { ProjectSettings } from "#core/contracts/settings.ts";
import { backfillStates } from "./backfills.ts";
import { deployedNames } from "./deployed-names.ts";
import type { Functions } from "./functions.ts";
import { machineArn, nestedExecutions } from "./permissions.ts";
import type { AslDefinition } from "./state-machines/asl.ts";
import { consumerMachineDefinition } from "./state-machines/consumer-machine.ts";
import { runMachineDefinition } from "./state-machines/run-machine.ts";
import { turnSeconds } from "./state-machines/turns.ts";
import { trusted } from "./trust.ts";

export interface MachinesProps {
  readonly stackName: string;
  readonly functions: Functions;
  readonly projects: readonly ProjectSettings[];
  readonly watch: "wake" | "poll";
  readonly pollIntervalSeconds: number;
  /** Of the machines' logs. */
  readonly key: IKey | undefined;
}

/** The run machine and the consumer machine: Standard, JSONPath, functions only; and the one that starts runs of windows. */
export class Machines extends Construct {
  readonly run: StateMachine;
  readonly backfill: StateMachine;
  readonly #key: IKey | undefined;
  readonly consumer: StateMachine;

  constructor(scope: Construct, id: string, props: MachinesProps) {
    super(scope, id);
    this.#key = props.key;
    const { byName } = props.functions;
    const timing = {
      watch: props.watch,
      pollIntervalSeconds: props.pollIntervalSeconds,
      longestRunMinutes: longestRunMinutes(props.projects),
    };
    const seconds = turnSeconds(timing.longestRunMinutes, timing.pollIntervalSeconds);
    const polls = props.watch === "poll" ? { pollSeconds: seconds } : {};
    const run = runMachineDefinition({
      ...timing,
      startRunArn: byName["start-run"].functionArn,
      checkRunArn: byName["check-run"].functionArn,
      settleRunArn: byName["settle-run"].functionArn,
      projects: Object.fromEntries(props.projects.map((settings) => [settings.project, { ...settings, ...polls }])),
    });
    const consumer = consumerMachineDefinition({ ...timing, watchNodeArn: byName["watch-node"].functionArn });
    const runFunctions = [byName["start-run"], byName["check-run"], byName["settle-run"]];
    this.run = this.#machine("Run", deployedNames.runMachine(props.stackName), ...this.#written(run, runFunctions));
    this.consumer = this.#machine(
      "Consumer",
      deployedNames.consumerMachine(props.stackName),
      ...this.#written(consumer, [byName["watch-node"]]),
    );
    const backfill = DefinitionBody.fromChainable(backfillStates(this, this.run.stateMachineArn));
    const startRuns = new PolicyDocument({ statements: nestedExecutions(Stack.of(this), this.run.stateMachineArn) });
    this.backfill = this.#machine("Backfill", deployedNames.backfillMachine(props.stackName), backfill, { startRuns });
  }

  /** A definition that is written out, and the right to call its functions. */
  #written(
    definition: AslDefinition,
    functions: readonly IFunction[],
  ): [DefinitionBody, Record<string, PolicyDocument>] {
    const invoke = new PolicyStatement({
      sid: "InvokeFunctions",
      actions: ["lambda:InvokeFunction"],
      resources: functions.map((called) => called.functionArn),
    });
    return [
      DefinitionBody.fromString(Stack.of(this).toJsonString(definition)),
      { invoke: new PolicyDocument({ statements: [invoke] }) },
    ];
  }

  #machine(
    id: string,
    name: string,
    definitionBody: DefinitionBody,
    inlinePolicies: Record<string, PolicyDocument>,
  ): StateMachine {
    const stack = Stack.of(this);
    const role = new Role(this, `${id}Role`, {
      assumedBy: trusted(stack, "states.amazonaws.com", machineArn(stack, name)),
      inlinePolicies,
    });
    const machine = new StateMachine(this, id, {
      stateMachineName: name,
      stateMachineType: StateMachineType.STANDARD,
      definitionBody,
      role,
      tracingEnabled: false,
      logs: {
        // The ends of executions alone: at ERROR each turn of a loop is logged as TaskTimedOut, thousands a run. Step
        // Functions keeps the whole history for 90 days.
        level: LogLevel.FATAL,
        // Input may hold dbt variables, and every token wait its token.
        includeExecutionData: false,
        destination: new LogGroup(this, `${id}Log`, {
          logGroupName: deployedNames.machineLogGroup(name),
          retention: RetentionDays.ONE_MONTH,
          ...(this.#key && { encryptionKey: this.#key }),
          removalPolicy: RemovalPolicy.DESTROY,
        }),
      },
    });
    Validations.of(machine).acknowledge(
      {
        id: "AwsSolutions-SF1",
        reason: "Failed ends are logged; the full history is kept by Step Functions for 90 days.",
      },
      { id: "AwsSolutions-SF2", reason: "A trace of a wait-and-poll loop says nothing; each turn would be billed." },
    );
    return machine;
  }
}
