import { Aws, Stack, Token } from "aws-cdk-lib";
import type { PolicyStatement } from "aws-cdk-lib/aws-iam";
import {
  JsonPath,
  QueryLanguage,
  State,
  type TaskMetricsConfig,
  TaskStateBase,
  type TaskStateBaseProps,
} from "aws-cdk-lib/aws-stepfunctions";
import type { Construct } from "constructs";
import type { z } from "zod";
import { runOutputSchema } from "#core/contracts/payloads.ts";
import { commandProblems, runInputSchema, STARTED_BY } from "#core/contracts/run-input.ts";
import { InputError } from "#core/errors.ts";
import { parseInput } from "#core/input-problems.ts";
import { nestedExecutions } from "./permissions.ts";

/** What a run can be asked for by a larger machine: the run input, but for what that machine's own repetition does. */
const taskInputSchema = runInputSchema.omit({ project: true, resume: true, dedupeKey: true, backfill: true });

/** Options of the run. Any of them may hold a path or an expression of the machine's own language. */
export type DbtRunOptions = z.input<typeof taskInputSchema>;

/** CDK's own options of a task state. Which service is called, and how, is this state's to say. */
const STATE_OPTIONS = [
  "assign",
  "comment",
  "credentials",
  "inputPath",
  "outputPath",
  "outputs",
  "queryLanguage",
  "resultPath",
  "stateName",
  "taskTimeout",
  "timeout",
] as const satisfies readonly (keyof TaskStateBaseProps)[];

export interface DbtTaskProps extends DbtRunOptions, Pick<TaskStateBaseProps, (typeof STATE_OPTIONS)[number]> {}

/** Where a run is started. */
export interface RunMachine {
  readonly runMachineArn: string;
  readonly project: string;
}

/**
 * A state of somebody's own machine that runs a dbt project and waits for its verdict (behaviour H8). Its result is
 * counts and a pointer ({@link runOutputSchema}); a run that is not green, or was left out, fails it. Started again by
 * the machine's own Retry, Catch or redrive it goes on with the attempt before and builds nothing again that is good
 * (behaviour G13).
 */
export class DbtTask extends TaskStateBase {
  protected override readonly taskMetrics?: TaskMetricsConfig;
  protected override readonly taskPolicies: PolicyStatement[];
  readonly #machine: RunMachine;
  readonly #options: DbtRunOptions;

  /** @throws {InputError} with one sentence per problem */
  constructor(scope: Construct, id: string, machine: RunMachine, props: DbtTaskProps = {}) {
    const [state, options] = split(props as Readonly<Record<string, unknown>>);
    super(scope, id, state);
    check(id, options);
    this.#machine = machine;
    this.#options = options;
    this.taskPolicies = nestedExecutions(Stack.of(this), machine.runMachineArn);
  }

  protected override _renderTask(topLevel?: QueryLanguage): object {
    const language = this.queryLanguage ?? topLevel ?? QueryLanguage.JSON_PATH;
    const words = WORDS[language];
    if (this.#options.runKey === undefined) this.#refuseLoop();
    const { project, runMachineArn } = this.#machine;
    const Input = {
      project,
      ifLeftOut: "fail",
      runKey: words.runKey,
      ...this.#options,
      [STARTED_BY]: words.executionArn,
    };
    return {
      Resource: `arn:${Aws.PARTITION}:states:::states:startExecution.sync:2`,
      ...this._renderParametersOrArguments({ StateMachineArn: runMachineArn, Input }, language),
      ...words.result(this.outputs),
    };
  }

  /**
   * A turn of a loop after a green one would find nothing left to do and go on with tables of the turn before, unless each
   * has a key of its own. That a failure leads back here is what the key is for.
   * @throws {InputError}
   */
  #refuseLoop(): void {
    const next = this._next;
    if (next === undefined || !State.findReachableStates(next, { includeErrorHandlers: true }).includes(this)) return;
    throw new InputError(`State ${this.stateId} refused`, [
      "runKey: the machine comes back to this state after it was green; give each turn a key of its own, by a counter in the state's input for example.",
    ]);
  }
}

/** What differs between the two languages of Step Functions. */
const WORDS: Readonly<
  Record<QueryLanguage, { executionArn: string; runKey: string; result: (outputs: object | undefined) => object }>
> = {
  [QueryLanguage.JSON_PATH]: {
    executionArn: JsonPath.executionId,
    runKey: JsonPath.format("{} {}", JsonPath.executionId, JsonPath.stateName),
    result: () => ({
      ResultSelector: Object.fromEntries(
        Object.keys(runOutputSchema.shape).map((field) => [`${field}.$`, `$.Output.${field}`]),
      ),
    }),
  },
  [QueryLanguage.JSONATA]: {
    executionArn: "{% $states.context.Execution.Id %}",
    runKey: "{% $states.context.Execution.Id & ' ' & $states.context.State.Name %}",
    result: (outputs) => ({ Output: outputs ?? "{% $states.result.Output %}" }),
  },
};

function split(props: Readonly<Record<string, unknown>>): [TaskStateBaseProps, DbtRunOptions] {
  const ofState = (name: string) => (STATE_OPTIONS as readonly string[]).includes(name);
  const stated = Object.entries(props).filter(([, value]) => value !== undefined);
  return [
    Object.fromEntries(stated.filter(([name]) => ofState(name))),
    Object.fromEntries(stated.filter(([name]) => !ofState(name))) as DbtRunOptions,
  ];
}

/**
 * What is known at synth is held to the contract that start-run holds it to; what is known when the state is entered alone
 * is start-run's to refuse.
 * @throws {InputError}
 */
function check(id: string, options: DbtRunOptions): void {
  const known = Object.entries(options).filter(([name, value]) => !(name in taskInputSchema.shape && isLate(value)));
  const { command } = parseInput(`State ${id} refused`, taskInputSchema, Object.fromEntries(known));
  if (command === undefined) return;
  const problems = commandProblems(options, command);
  if (problems.length > 0) throw new InputError(`State ${id} refused`, problems);
}

const isLate = (value: unknown): boolean => {
  if (Token.isUnresolved(value)) return true;
  if (typeof value === "string") return value.startsWith("{%");
  return typeof value === "object" && value !== null && Object.values(value).some(isLate);
};
