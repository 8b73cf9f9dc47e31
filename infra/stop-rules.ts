import { Duration } from "aws-cdk-lib";
import { type EventPattern, Rule, RuleTargetInput, Schedule } from "aws-cdk-lib/aws-events";
import { LambdaFunction } from "aws-cdk-lib/aws-events-targets";
import type { IFunction } from "aws-cdk-lib/aws-lambda";
import { Construct } from "constructs";
import { EVENT_SOURCE, STOP_ASKED } from "#core/contracts/events.ts";
import { CONTRACT, type StopRunPayload } from "#core/contracts/payloads.ts";

export interface StopRulesProps {
  readonly stopRun: IFunction;
  readonly runMachineArn: string;
  readonly projects: readonly string[];
  /** By project, or `project/job`, each with its time zone behind it. */
  readonly schedules: Readonly<Record<string, string>>;
}

/** EventBridge takes so many characters of constant input: sixty projects with names and schedules of common length. */
const MOST_INPUT = 8_192;

/**
 * How often the sweep looks for what even the events of ended executions missed. Each costs half a second of a function
 * and three queries a project: 2,880 a month are about two cents at list prices, which Lambda's free tier covers, and
 * less than a cent a project for what DynamoDB reads.
 */
const SWEEP_EVERY = Duration.minutes(15);

/** How long EventBridge and Lambda try to deliver an event: later the sweep has seen to it. */
const EVENT_AGE = Duration.hours(1);

/** What calls stop-run: the end of the run machine's executions, a person who asks for one of them, and the clock. */
export class StopRules extends Construct {
  constructor(scope: Construct, id: string, props: StopRulesProps) {
    super(scope, id);
    const ofMachine = (source: string, detailType: string, detail: Record<string, string[]>): EventPattern => ({
      source: [source],
      detailType: [detailType],
      detail: { stateMachineArn: [props.runMachineArn], ...detail },
    });
    const onEvent = (name: string, description: string, eventPattern: EventPattern) =>
      new Rule(this, name, { description, eventPattern, targets: [target(props.stopRun)] });
    // Every red run is FAILED as well: its error, RunFailed, is told apart by the function, since patterns of EventBridge
    // and of its emulators differ in what a missing field is.
    const ended = ofMachine("aws.states", "Step Functions Execution Status Change", {
      status: ["ABORTED", "TIMED_OUT", "FAILED"],
    });
    onEvent("Ended", "Executions of the run machine that ended without success", ended);
    onEvent("Asked", "Runs to be stopped whose execution has ended", ofMachine(EVENT_SOURCE, STOP_ASKED, {}));
    sweepsOf(props).forEach((payload, index) => {
      new Rule(this, index === 0 ? "Sweep" : `Sweep${index + 1}`, {
        description: "Looks for what is left of runs that are gone, and for what nobody tells of itself",
        schedule: Schedule.rate(SWEEP_EVERY),
        targets: [target(props.stopRun, RuleTargetInput.fromObject(payload))],
      });
    });
  }
}

const target = (stopRun: IFunction, event?: RuleTargetInput) =>
  new LambdaFunction(stopRun, { maxEventAge: EVENT_AGE, ...(event !== undefined && { event }) });

/** All projects in one sweep, or in as few as EventBridge's constants hold. */
function sweepsOf({ projects, schedules }: StopRulesProps): StopRunPayload[] {
  const payloadOf = (sweep: readonly string[]): StopRunPayload => {
    const ours = Object.entries(schedules).filter(([of]) => sweep.includes(of.split("/")[0]!));
    return { contract: CONTRACT, sweep: [...sweep], ...(ours.length > 0 && { schedules: Object.fromEntries(ours) }) };
  };
  const parts: string[][] = [[]];
  for (const project of projects) {
    const last = parts.at(-1)!;
    if (JSON.stringify(payloadOf([...last, project])).length > MOST_INPUT) parts.push([project]);
    else last.push(project);
  }
  return parts.map(payloadOf);
}
