import { Duration, RemovalPolicy, Stack } from "aws-cdk-lib";
import { PolicyDocument, PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import {
  Architecture,
  type Code,
  Function as LambdaFunction,
  LoggingFormat,
  Runtime,
  Tracing,
} from "aws-cdk-lib/aws-lambda";
import { LogGroup, RetentionDays } from "aws-cdk-lib/aws-logs";
import { Construct } from "constructs";
import { EVENT_SOURCE } from "#core/contracts/events.ts";
import type { Artefacts } from "./artefacts.ts";
import { deployedNames, FUNCTION_NAMES, type FunctionName } from "./deployed-names.ts";
import type { Ledger } from "./ledger.ts";
import {
  answerTokens,
  artefactNames,
  artefactObjects,
  describeExecutions,
  type LaunchScope,
  launchTasks,
  ledgerRows,
  machineArn,
  publishEvents,
  startExecutions,
  tasks,
} from "./permissions.ts";

export interface FunctionsProps {
  readonly stackName: string;
  readonly ledger: Ledger;
  readonly artefacts: Artefacts;
  readonly launch: LaunchScope;
  readonly code: (name: FunctionName) => Code;
}

/**
 * One call of a client may take 37.5 s with all its attempts (clients/aws-settings.ts): no timeout is below a minute.
 * Lambda gives CPU by memory (1,769 MiB are one vCPU) and bills their product: what a person waits for gets more than
 * it needs, what is called thousands of times gets what it needs.
 */
const SIZES: Readonly<Record<FunctionName, { memoryMiB: number; timeoutSeconds: number }>> = {
  /** Once a run, and once a minute in the queue. */
  "start-run": { memoryMiB: 512, timeoutSeconds: 60 },
  /** Reads all vertices of a run after a task's end, and starts up to a hundred consumers a turn at 40/s at worst. */
  "check-run": { memoryMiB: 1024, timeoutSeconds: 120 },
  /** Reads a few rows, once a turn and open node: most of all calls. */
  "watch-node": { memoryMiB: 256, timeoutSeconds: 60 },
  /** Reads 10,000 vertices and writes their summary; shorter than the state's timeout, so that its own error is seen. */
  "settle-run": { memoryMiB: 1024, timeoutSeconds: 300 },
};

/** The Lambda functions, each with a role of its own that reaches what its state needs. */
export class Functions extends Construct {
  readonly byName: Readonly<Record<FunctionName, LambdaFunction>>;

  constructor(scope: Construct, id: string, props: FunctionsProps) {
    super(scope, id);
    const permissions = this.#permissions(props);
    const entries = FUNCTION_NAMES.map((name) => [name, this.#function(name, permissions[name], props)] as const);
    this.byName = Object.fromEntries(entries) as Record<FunctionName, LambdaFunction>;
  }

  #permissions({ stackName, ledger, artefacts, launch }: FunctionsProps): Record<FunctionName, PolicyStatement[]> {
    const stack = Stack.of(this);
    const { table } = ledger;
    const { bucket } = artefacts;
    const runMachine = deployedNames.runMachine(stackName);
    const consumerMachine = deployedNames.consumerMachine(stackName);
    const runsAndProjects = ["RUN#*", "PROJECT#*"];
    const readWriteArtefacts = [artefactObjects(bucket, "runs/", ["GetObject", "PutObject"]), artefactNames(bucket)];
    return {
      "start-run": [
        ledgerRows(table, runsAndProjects, ["GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem"]),
        answerTokens(stack, runMachine),
        // Is the holder of the lock, or who stands before us in its queue, still there?
        describeExecutions(stack, runMachine),
      ],
      "check-run": [
        ledgerRows(table, ["RUN#*"], ["GetItem", "Query", "PutItem", "UpdateItem"]),
        ...readWriteArtefacts,
        answerTokens(stack, runMachine),
        startExecutions(stack, consumerMachine),
        ...launchTasks(stack, launch),
        tasks(stack, launch.clusterName, ["DescribeTasks", "StopTask"]),
      ],
      "watch-node": [
        ledgerRows(table, ["RUN#*"], ["GetItem", "BatchGetItem", "Query", "UpdateItem"]),
        artefactObjects(bucket, "runs/", ["GetObject"]),
        artefactNames(bucket),
        answerTokens(stack, consumerMachine),
      ],
      "settle-run": [
        ledgerRows(table, runsAndProjects, ["GetItem", "Query", "UpdateItem", "DeleteItem"]),
        ...readWriteArtefacts,
        // Of a run that could not go on (behaviour D19).
        tasks(stack, launch.clusterName, ["DescribeTasks", "StopTask"]),
        publishEvents(stack, EVENT_SOURCE),
      ],
    };
  }

  #function(name: FunctionName, permissions: readonly PolicyStatement[], props: FunctionsProps): LambdaFunction {
    const size = SIZES[name];
    const logGroup = new LogGroup(this, `${name}-log`, {
      logGroupName: deployedNames.functionLogGroup(props.stackName, name),
      retention: RetentionDays.ONE_MONTH,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const writeLog = new PolicyStatement({
      sid: "WriteOwnLog",
      actions: ["logs:CreateLogStream", "logs:PutLogEvents"],
      resources: [logGroup.logGroupArn],
    });
    const role = new Role(this, `${name}-role`, {
      assumedBy: new ServicePrincipal("lambda.amazonaws.com"),
      inlinePolicies: { [name]: new PolicyDocument({ statements: [writeLog, ...permissions] }) },
    });
    return new LambdaFunction(this, name, {
      functionName: deployedNames.lambdaFunction(props.stackName, name),
      description: `State "${name}" of stepwatch`,
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      handler: "index.handler",
      code: props.code(name),
      memorySize: size.memoryMiB,
      timeout: Duration.seconds(size.timeoutSeconds),
      role,
      logGroup,
      loggingFormat: LoggingFormat.TEXT,
      tracing: Tracing.DISABLED,
      environment: {
        STEPWATCH_TABLE: props.ledger.table.tableName,
        STEPWATCH_BUCKET: props.artefacts.bucket.bucketName,
        ...(name === "check-run" && {
          STEPWATCH_CONSUMER_MACHINE_ARN: machineArn(Stack.of(this), deployedNames.consumerMachine(props.stackName)),
        }),
      },
    });
  }
}
