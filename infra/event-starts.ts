import { Duration, Stack } from "aws-cdk-lib";
import { EventField, type EventPattern, Rule, RuleTargetInput } from "aws-cdk-lib/aws-events";
import { SfnStateMachine } from "aws-cdk-lib/aws-events-targets";
import { PolicyDocument, PolicyStatement, Role } from "aws-cdk-lib/aws-iam";
import type { IQueue } from "aws-cdk-lib/aws-sqs";
import type { IStateMachine } from "aws-cdk-lib/aws-stepfunctions";
import { Construct } from "constructs";
import { eventStart, type StartAfter } from "#core/start-after.ts";
import { trusted } from "./trust.ts";

/** One project or job that starts by events. */
export interface EventStarted {
  readonly project: string;
  readonly job?: string;
  readonly startAfter: readonly StartAfter[];
}

export interface EventStartsProps {
  readonly stackName: string;
  readonly starts: readonly EventStarted[];
  readonly runMachine: IStateMachine;
  /** Of starts that did not come about. */
  readonly deadLetters: IQueue;
}

/** As long as a schedule's start is tried; a later one has a fresher event. */
const EVENT_AGE = Duration.hours(1);

/** Of a stack's name, in the name that CloudFormation makes of it, a logical id and a suffix. */
const CERTAIN_CHARACTERS = 20;

/**
 * Starts runs by events: each start is a rule of EventBridge on the account's own bus, and all of them have one role. What
 * EventBridge delivers twice ends as a duplicate, by what names the event.
 */
export class EventStarts extends Construct {
  constructor(scope: Construct, id: string, props: EventStartsProps) {
    super(scope, id);
    const { stackName, starts, runMachine, deadLetters } = props;
    const role = this.#role(runMachine, stackName);
    for (const { project, job, startAfter } of starts)
      startAfter.forEach((after, at) => {
        const { pattern, identity, words } = eventStart(after, stackName);
        const name = job === undefined ? project : `${project}, job ${job}`;
        // Jobs that hear the same event are no duplicates of each other, nor of their project's own start.
        const own = job === undefined ? [] : [`job ${job}`];
        const dedupeKey = [...own, ...identity.map((path) => EventField.fromPath(path))].join(" ");
        const input = { project, ...(job !== undefined && { job }), dedupeKey };
        new Rule(this, `${project}${job === undefined ? "" : `-job-${job}`}-${at + 1}`, {
          description: `stepwatch run of ${name} after ${words}`.slice(0, 512),
          eventPattern: ofCdk(pattern),
          targets: [
            new SfnStateMachine(runMachine, {
              role,
              input: RuleTargetInput.fromObject(input),
              deadLetterQueue: deadLetters,
              maxEventAge: EVENT_AGE,
            }),
          ],
        });
      });
  }

  #role(runMachine: IStateMachine, stackName: string): Role {
    const start = new PolicyStatement({ actions: ["states:StartExecution"], resources: [runMachine.stateMachineArn] });
    const stack = Stack.of(this);
    // CloudFormation names rules by the stack, and cuts its name so that all fits into the 64 characters of a rule's.
    const beginning = stackName.slice(0, CERTAIN_CHARACTERS);
    const rules = stack.formatArn({ service: "events", resource: "rule", resourceName: `${beginning}*` });
    return new Role(this, "Role", {
      assumedBy: trusted(stack, "events.amazonaws.com", rules),
      inlinePolicies: { start: new PolicyDocument({ statements: [start] }) },
    });
  }
}

const ofCdk = ({ "detail-type": detailType, ...pattern }: Readonly<Record<string, unknown>>): EventPattern =>
  ({ ...pattern, ...(detailType === undefined ? {} : { detailType }) }) as EventPattern;
