import { Stack } from "aws-cdk-lib";
import { Alarm, ComparisonOperator, TreatMissingData } from "aws-cdk-lib/aws-cloudwatch";
import { SnsAction } from "aws-cdk-lib/aws-cloudwatch-actions";
import { PolicyStatement, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { type ITopic, Topic } from "aws-cdk-lib/aws-sns";
import { EmailSubscription } from "aws-cdk-lib/aws-sns-subscriptions";
import { Construct } from "constructs";
import type { StepwatchConfig } from "#core/config.ts";
import { alarmPlans, type Watched } from "./alarm-list.ts";

export interface AlarmsProps extends Watched {
  readonly settings: NonNullable<StepwatchConfig["alarms"]>;
}

/** The runbook's article of an alarm, as GitHub makes anchors of headings. */
export const articleOf = (title: string): string =>
  `docs/runbook.md#${title
    .toLowerCase()
    .replace(/[^a-z0-9 -]/g, "")
    .replaceAll(" ", "-")}`;

/**
 * The stack's alarms, on a topic of one's own or on one that is made for an address. They are made only where somebody is
 * to be told: each is $0.10 a month for every metric that it watches.
 */
export class Alarms extends Construct {
  constructor(scope: Construct, id: string, props: AlarmsProps) {
    super(scope, id);
    const action = new SnsAction(this.#topic(props));
    for (const plan of alarmPlans(props)) {
      const evaluationPeriods = plan.evaluationPeriods ?? 1;
      const alarm = new Alarm(this, plan.id, {
        alarmName: `${props.stackName}-${plan.id}`,
        alarmDescription: `${plan.sentence} See ${articleOf(plan.title)} of stepwatch.`,
        metric: plan.metric,
        threshold: plan.threshold,
        evaluationPeriods,
        datapointsToAlarm: evaluationPeriods,
        comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        // Nothing is written while nothing happens.
        treatMissingData: TreatMissingData.NOT_BREACHING,
      });
      alarm.addAlarmAction(action);
    }
  }

  #topic({ settings, stackName }: AlarmsProps): ITopic {
    if (settings.topicArn !== undefined) return Topic.fromTopicArn(this, "Given", settings.topicArn);
    const topic = new Topic(this, "Topic", {
      topicName: `${stackName}-alarms`,
      displayName: `stepwatch ${stackName}`,
      enforceSSL: true,
    });
    topic.addToResourcePolicy(
      new PolicyStatement({
        sid: "AlarmsOfThisAccount",
        principals: [new ServicePrincipal("cloudwatch.amazonaws.com")],
        actions: ["sns:Publish"],
        resources: [topic.topicArn],
        conditions: { StringEquals: { "aws:SourceAccount": Stack.of(this).account } },
      }),
    );
    if (settings.email !== undefined) topic.addSubscription(new EmailSubscription(settings.email));
    return topic;
  }
}
