import { Stack } from "aws-cdk-lib";
import { PolicyDocument, PolicyStatement, Role } from "aws-cdk-lib/aws-iam";
import { CfnSchedule } from "aws-cdk-lib/aws-scheduler";
import type { Queue } from "aws-cdk-lib/aws-sqs";
import type { StateMachine } from "aws-cdk-lib/aws-stepfunctions";
import { Construct } from "constructs";
import type { ProjectConfig } from "#core/config.ts";
import { SCHEDULE_DEDUPE_KEY, SCHEDULE_TIME } from "#core/contracts/run-input.ts";
import { trusted } from "./trust.ts";

export interface SchedulesProps {
  readonly project: Pick<ProjectConfig, "name" | "schedule" | "scheduleTimeZone" | "jobs">;
  readonly runMachine: StateMachine;
  /** Of starts that did not come about. */
  readonly deadLetters: Queue;
}

/** What starts by the clock: the project itself, or one of its jobs. */
export interface ScheduledStart {
  /** Unset: the project's own schedule. */
  readonly job?: string;
  /** `cron(…)`, `rate(…)` or `at(…)`. */
  readonly expression: string;
  /** IANA name; unset: UTC. */
  readonly timeZone?: string | undefined;
}

/** Everything that starts a run of a project by the clock. */
export function scheduledStarts({ schedule, scheduleTimeZone, jobs }: SchedulesProps["project"]): ScheduledStart[] {
  const own = schedule === undefined ? [] : [{ expression: schedule, timeZone: scheduleTimeZone }];
  const ofJobs = Object.entries(jobs).flatMap(([job, { schedule: expression, scheduleTimeZone: timeZone }]) =>
    expression === undefined ? [] : [{ job, expression, timeZone }],
  );
  return [...own, ...ofJobs];
}

/** A start that failed is tried again for an hour; later the next one is nearer. */
const RETRY_SECONDS = 3600;

/**
 * Starts runs of a project and its jobs by the clock, each by a schedule of its own and all by one role. A second delivery
 * ends as a duplicate of the first.
 */
export class Schedules extends Construct {
  constructor(scope: Construct, id: string, props: SchedulesProps) {
    super(scope, id);
    const { project, deadLetters, runMachine } = props;
    const role = this.#role(props);
    for (const { job, expression, timeZone } of scheduledStarts(project))
      new CfnSchedule(this, job === undefined ? "Schedule" : `Job-${job}`, {
        description: `stepwatch run of ${project.name}${job === undefined ? "" : `, job ${job}`}`,
        scheduleExpression: expression,
        ...(timeZone !== undefined && { scheduleExpressionTimezone: timeZone }),
        flexibleTimeWindow: { mode: "OFF" },
        target: {
          arn: runMachine.stateMachineArn,
          roleArn: role.roleArn,
          input: JSON.stringify({
            project: project.name,
            job,
            dedupeKey: SCHEDULE_DEDUPE_KEY,
            scheduledTime: SCHEDULE_TIME,
          }),
          deadLetterConfig: { arn: deadLetters.queueArn },
          retryPolicy: { maximumEventAgeInSeconds: RETRY_SECONDS, maximumRetryAttempts: 60 },
        },
      });
  }

  #role({ runMachine, deadLetters }: SchedulesProps): Role {
    const start = new PolicyStatement({
      actions: ["states:StartExecution"],
      resources: [runMachine.stateMachineArn],
    });
    const tellFailure = new PolicyStatement({ actions: ["sqs:SendMessage"], resources: [deadLetters.queueArn] });
    const key = deadLetters.encryptionMasterKey;
    const useKey =
      key && new PolicyStatement({ actions: ["kms:GenerateDataKey", "kms:Decrypt"], resources: [key.keyArn] });
    // Scheduler names the group alone, and its documentation warns of anything narrower. Ours are in the default one.
    const stack = Stack.of(this);
    const group = stack.formatArn({ service: "scheduler", resource: "schedule-group", resourceName: "default" });
    return new Role(this, "Role", {
      assumedBy: trusted(stack, "scheduler.amazonaws.com", group),
      inlinePolicies: { start: new PolicyDocument({ statements: [start, tellFailure, ...(useKey ? [useKey] : [])] }) },
    });
  }
}
