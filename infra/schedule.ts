import { PolicyDocument, PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { CfnSchedule } from "aws-cdk-lib/aws-scheduler";
import type { StateMachine } from "aws-cdk-lib/aws-stepfunctions";
import { Construct } from "constructs";

export interface ScheduleProps {
  readonly project: string;
  /** `cron(…)`, `rate(…)` or `at(…)`. */
  readonly expression: string;
  /** IANA name; unset: UTC. */
  readonly timeZone: string | undefined;
  readonly runMachine: StateMachine;
}

/** A start that failed is tried again for an hour; later the next one is nearer. */
const RETRY_SECONDS = 3600;

/** Starts a run of a project by the clock. A second delivery meets the first one's lock, as any other run would. */
export class Schedule extends Construct {
  constructor(scope: Construct, id: string, props: ScheduleProps) {
    super(scope, id);
    const start = new PolicyStatement({
      actions: ["states:StartExecution"],
      resources: [props.runMachine.stateMachineArn],
    });
    const role = new Role(this, "Role", {
      assumedBy: new ServicePrincipal("scheduler.amazonaws.com"),
      inlinePolicies: { start: new PolicyDocument({ statements: [start] }) },
    });
    new CfnSchedule(this, "Schedule", {
      description: `stepwatch run of ${props.project}`,
      scheduleExpression: props.expression,
      ...(props.timeZone !== undefined && { scheduleExpressionTimezone: props.timeZone }),
      flexibleTimeWindow: { mode: "OFF" },
      target: {
        arn: props.runMachine.stateMachineArn,
        roleArn: role.roleArn,
        input: JSON.stringify({ project: props.project }),
        retryPolicy: { maximumEventAgeInSeconds: RETRY_SECONDS, maximumRetryAttempts: 60 },
      },
    });
  }
}
