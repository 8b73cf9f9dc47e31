import { Duration, RemovalPolicy, Stack } from "aws-cdk-lib";
import { PolicyDocument, PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import type { IKey } from "aws-cdk-lib/aws-kms";
import {
  Architecture,
  type Code,
  Function as LambdaFunction,
  LoggingFormat,
  Runtime,
  Tracing,
} from "aws-cdk-lib/aws-lambda";
import { LogGroup, RetentionDays } from "aws-cdk-lib/aws-logs";
import type { Queue } from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import { EVENT_SOURCE } from "#core/contracts/events.ts";
import type { Artefacts } from "./artefacts.ts";
import { DeadLetters } from "./dead-letters.ts";
import { deployedNames, type FunctionName, RUN_FUNCTIONS, type TellingFunction } from "./deployed-names.ts";
import { FUNCTION_SIZES } from "./function-sizes.ts";
import { useDataKey } from "./identity.ts";
import type { Ledger } from "./ledger.ts";
import {
  answerTokens,
  artefactNames,
  artefactObjects,
  describeExecutions,
  type LaunchScope,
  latestObjects,
  launchTasks,
  ledgerRows,
  machineArn,
  publishEvents,
  redriveExecutions,
  startExecutions,
  tasks,
} from "./permissions.ts";
import { encryptsThere } from "./stream-reader.ts";

export interface FunctionsProps {
  readonly stackName: string;
  readonly ledger: Ledger;
  readonly artefacts: Artefacts;
  readonly launch: LaunchScope;
  /** Of ledger, artefacts and logs, where it is the account's own. */
  readonly key: IKey | undefined;
  readonly code: (name: FunctionName) => Code;
  /** Those that stepwatch.yaml asks for, with what their environment says beside the stack's names. */
  readonly telling: Partial<Readonly<Record<TellingFunction, TellingFunctionProps>>>;
}

/** What a function that tells others has beside its place: its environment, and what else it may do. */
export interface TellingFunctionProps {
  readonly environment: Readonly<Record<string, string>>;
  readonly permissions?: readonly PolicyStatement[];
}

/** The functions of a stack; one that tells others is there where it is asked for. */
export type FunctionsByName = Readonly<
  Record<Exclude<FunctionName, TellingFunction>, LambdaFunction> & Partial<Record<TellingFunction, LambdaFunction>>
>;

const STARTS_CONSUMERS: ReadonlySet<FunctionName> = new Set(["check-run", "stop-run", "wake", "publish"]);

/** Called asynchronously, and their answer is nobody's: what three calls do not get done is kept. */
const CALLED_BY_RULES: ReadonlySet<FunctionName> = new Set(["alert", "lineage"]);

/** Of those that are no state's work. */
const DESCRIPTIONS: Partial<Readonly<Record<FunctionName, string>>> = {
  "stop-run": "Ends what is left of a run of stepwatch",
  wake: "Tells runs and consumers of stepwatch what has changed in the ledger",
  lineage: "Tells a lineage service of stepwatch's runs and tables, by OpenLineage",
  alert: "Tells people of failures and recoveries of stepwatch's runs",
  publish: "Publishes events of stepwatch's runs and nodes to EventBridge",
};

/** The Lambda functions, each with a role of its own that reaches what its state needs. */
export class Functions extends Construct {
  readonly byName: FunctionsByName;
  /** What could not be told, by function. */
  readonly deadLetters: Queue[] = [];

  constructor(scope: Construct, id: string, props: FunctionsProps) {
    super(scope, id);
    const permissions = this.#permissions(props);
    const names = [...RUN_FUNCTIONS, ...(Object.keys(props.telling) as TellingFunction[])];
    const entries = names.map((name) => [name, this.#function(name, permissions[name], props)] as const);
    this.byName = Object.fromEntries(entries) as FunctionsByName;
  }

  #permissions({
    stackName,
    ledger,
    artefacts,
    launch,
    telling,
  }: FunctionsProps): Record<FunctionName, PolicyStatement[]> {
    const stack = Stack.of(this);
    const { table } = ledger;
    const { bucket } = artefacts;
    const runMachine = deployedNames.runMachine(stackName);
    const consumerMachine = deployedNames.consumerMachine(stackName);
    const runs = ["RUN#*", "BUILD#*"];
    const runsAndProjects = [...runs, "PROJECT#*"];
    const readWriteArtefacts = [artefactObjects(bucket, "runs/", ["GetObject", "PutObject"]), artefactNames(bucket)];
    const publishArtefacts = latestObjects(bucket);
    return {
      "start-run": [
        ledgerRows(table, runsAndProjects, ["GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "DeleteItem"]),
        answerTokens(stack, runMachine),
        // Is the holder of the lock, who stands before us in its queue, or the backfill that has started us, still there?
        describeExecutions(stack, runMachine, deployedNames.backfillMachine(stackName)),
      ],
      "check-run": [
        ledgerRows(table, runs, ["GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem"]),
        ...readWriteArtefacts,
        // Its own, and those of consumers that a wake has missed.
        answerTokens(stack, runMachine, consumerMachine),
        startExecutions(stack, consumerMachine),
        ...launchTasks(stack, launch),
        tasks(stack, launch.clusterName, ["DescribeTasks", "StopTask"]),
        // A node that runs longer than it may.
        publishEvents(stack, EVENT_SOURCE),
      ],
      "watch-node": [
        ledgerRows(table, ["RUN#*"], ["GetItem", "UpdateItem"]),
        // One call for a node and its run reads both partitions, which no two statements allow together.
        ledgerRows(table, runs, ["BatchGetItem", "Query"], "ReadRuns"),
        artefactObjects(bucket, "runs/", ["GetObject"]),
        artefactNames(bucket),
        answerTokens(stack, consumerMachine),
        // A redriven consumer redrives its run.
        describeExecutions(stack, runMachine),
        redriveExecutions(stack, runMachine),
      ],
      "settle-run": [
        ledgerRows(table, runsAndProjects, ["GetItem", "BatchGetItem", "Query", "UpdateItem", "DeleteItem"]),
        ...readWriteArtefacts,
        publishArtefacts,
        // Of the run that waits for the lock, and of consumers.
        answerTokens(stack, runMachine, consumerMachine),
        // Another round: how often was it redriven, and is who holds its lock by now still there?
        describeExecutions(stack, runMachine),
        // Of a run that could not go on (behaviour D19).
        tasks(stack, launch.clusterName, ["DescribeTasks", "StopTask"]),
        publishEvents(stack, EVENT_SOURCE),
      ],
      // Ends and launches nothing: of a run whose execution has ended (behaviour G33).
      "stop-run": [
        ledgerRows(table, runsAndProjects, ["GetItem", "BatchGetItem", "Query", "UpdateItem", "DeleteItem"]),
        ...readWriteArtefacts,
        publishArtefacts,
        describeExecutions(stack, runMachine),
        // Of the run that has the lock next, and of consumers.
        answerTokens(stack, runMachine, consumerMachine),
        startExecutions(stack, consumerMachine),
        tasks(stack, launch.clusterName, ["DescribeTasks", "StopTask"]),
        publishEvents(stack, EVENT_SOURCE),
      ],
      // Called by the table's stream: ends waits and starts consumers, and writes nothing but its marks on their rows.
      wake: [
        ledgerRows(table, ["RUN#*"], ["GetItem", "BatchGetItem", "Query", "UpdateItem"]),
        ledgerRows(table, ["BUILD#*"], ["BatchGetItem", "Query"], "ReadBuilds"),
        artefactObjects(bucket, "runs/", ["GetObject"]),
        artefactNames(bucket),
        answerTokens(stack, runMachine, consumerMachine),
        startExecutions(stack, consumerMachine),
      ],
      // Called by a rule on our own events: reads what it tells of, and notes what each channel has been told.
      alert: [
        ledgerRows(table, ["RUN#*"], ["GetItem", "BatchGetItem", "Query"]),
        ledgerRows(table, ["BUILD#*"], ["BatchGetItem", "Query"], "ReadBuilds"),
        ledgerRows(table, ["PROJECT#*"], ["Query", "UpdateItem"], "NoteAlerts"),
        artefactObjects(bucket, "runs/", ["GetObject"]),
        artefactNames(bucket),
        ...(telling.alert?.permissions ?? []),
      ],
      // Called by a rule on our own events, which hold all that it tells.
      lineage: [...(telling.lineage?.permissions ?? [])],
      // Called by the same stream: reads what has changed, marks which failures it has told of, and puts events.
      publish: [
        ledgerRows(table, ["RUN#*"], ["GetItem", "BatchGetItem", "Query", "UpdateItem"]),
        ledgerRows(table, ["BUILD#*"], ["BatchGetItem", "Query"], "ReadBuilds"),
        artefactObjects(bucket, "runs/", ["GetObject"]),
        artefactNames(bucket),
        publishEvents(stack, EVENT_SOURCE),
      ],
    };
  }

  #function(name: FunctionName, permissions: readonly PolicyStatement[], props: FunctionsProps): LambdaFunction {
    const size = FUNCTION_SIZES[name];
    const logGroup = new LogGroup(this, `${name}-log`, {
      logGroupName: deployedNames.functionLogGroup(props.stackName, name),
      retention: RetentionDays.ONE_MONTH,
      ...(props.key && { encryptionKey: props.key }),
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const writeLog = new PolicyStatement({
      sid: "WriteOwnLog",
      actions: ["logs:CreateLogStream", "logs:PutLogEvents"],
      resources: [logGroup.logGroupArn],
    });
    const useKey = useDataKey(Stack.of(this), props.key?.keyArn);
    const role = new Role(this, `${name}-role`, {
      assumedBy: new ServicePrincipal("lambda.amazonaws.com"),
      inlinePolicies: { [name]: new PolicyDocument({ statements: [writeLog, ...permissions, ...useKey] }) },
    });
    const failed = CALLED_BY_RULES.has(name) ? new DeadLetters(this, `${name}-failed`, { key: props.key }).queue : null;
    if (failed !== null) {
      this.deadLetters.push(failed);
      if (props.key) role.addToPolicy(new PolicyStatement(encryptsThere(this, props.key)));
    }
    return new LambdaFunction(this, name, {
      functionName: deployedNames.lambdaFunction(props.stackName, name),
      description: DESCRIPTIONS[name] ?? `State "${name}" of stepwatch`,
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      handler: "index.handler",
      code: props.code(name),
      memorySize: size.memoryMiB,
      timeout: Duration.seconds(size.timeoutSeconds),
      role,
      logGroup,
      // After Lambda's own three attempts within some minutes.
      ...(failed !== null && { deadLetterQueue: failed }),
      // Lambda's own lines (a call's report, an error, a time-out) as JSON too; ours are written as such (clients/function-log).
      loggingFormat: LoggingFormat.JSON,
      tracing: Tracing.DISABLED,
      environment: {
        STEPWATCH_TABLE: props.ledger.table.tableName,
        STEPWATCH_BUCKET: props.artefacts.bucket.bucketName,
        STEPWATCH_STACK: props.stackName,
        ...props.telling[name as TellingFunction]?.environment,
        ...(STARTS_CONSUMERS.has(name) && {
          STEPWATCH_CONSUMER_MACHINE_ARN: machineArn(Stack.of(this), deployedNames.consumerMachine(props.stackName)),
        }),
      },
    });
  }
}
