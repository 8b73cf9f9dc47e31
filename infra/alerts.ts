import { Duration, Stack } from "aws-cdk-lib";
import { Rule } from "aws-cdk-lib/aws-events";
import { LambdaFunction } from "aws-cdk-lib/aws-events-targets";
import { PolicyStatement } from "aws-cdk-lib/aws-iam";
import type { IFunction } from "aws-cdk-lib/aws-lambda";
import { type ITopic, Topic } from "aws-cdk-lib/aws-sns";
import { EmailSubscription } from "aws-cdk-lib/aws-sns-subscriptions";
import { Construct } from "constructs";
import type { StepwatchConfig } from "#core/config.ts";
import type { AlertSettings } from "#core/contracts/alerts.ts";
import { type DetailType, EVENT_SOURCE } from "#core/contracts/events.ts";
import type { TellingFunctionProps } from "./functions.ts";
import { decryptSecrets, readSecret } from "./secrets.ts";

export interface AlertsProps {
  readonly stackName: string;
  readonly settings: NonNullable<StepwatchConfig["alerts"]>;
}

/** How long EventBridge tries to call the function: the morning's people still want to know of the night. */
const EVENT_AGE = Duration.hours(6);

/** Whom failures and recoveries of runs are told: docs/alerts.md. Nothing of it has a price while nothing is told. */
export class Alerts extends Construct {
  /** What the function alert is told, and may do. */
  readonly ofFunction: TellingFunctionProps;
  readonly #props: AlertsProps;

  constructor(scope: Construct, id: string, props: AlertsProps) {
    super(scope, id);
    this.#props = props;
    const { slack, teams, on, repeatHours, kmsKeyArns } = props.settings;
    const topic = this.#topic(props);
    const references = [slack, teams].flatMap((channel) => channel?.webhookSecret ?? []);
    const settings: AlertSettings = {
      ...(topic !== null && { topicArn: topic.topicArn }),
      ...(slack !== undefined && { slackSecret: slack.webhookSecret }),
      ...(teams !== undefined && { teamsSecret: teams.webhookSecret }),
      on,
      repeatHours,
    };
    const secrets = Object.fromEntries(references.map((reference) => [reference, reference]));
    const stack = Stack.of(this);
    this.ofFunction = {
      environment: { STEPWATCH_ALERTS: stack.toJsonString(settings) },
      permissions: [
        ...(topic === null ? [] : [new PolicyStatement({ actions: ["sns:Publish"], resources: [topic.topicArn] })]),
        ...references.map((reference) => readSecret(stack, reference)),
        ...decryptSecrets(stack, { secrets, kmsKeyArns }),
      ],
    };
  }

  /** By a rule on the events of this stack's own runs. */
  callOnEvents(alert: IFunction): void {
    const { stackName, settings } = this.#props;
    const detailType: DetailType[] = ["Run ended", ...(settings.on.includes("warned") ? (["Warning"] as const) : [])];
    new Rule(this, "Told", {
      description: "Runs of stepwatch that people are told of",
      eventPattern: { source: [EVENT_SOURCE], detailType, detail: { stack: [stackName] } },
      targets: [new LambdaFunction(alert, { maxEventAge: EVENT_AGE })],
    });
  }

  #topic({ settings, stackName }: AlertsProps): ITopic | null {
    if (settings.snsTopicArn !== undefined) return Topic.fromTopicArn(this, "Given", settings.snsTopicArn);
    if (settings.email === undefined) return null;
    const topic = new Topic(this, "Topic", {
      topicName: `${stackName}-alerts`,
      displayName: `stepwatch ${stackName}`,
      enforceSSL: true,
    });
    topic.addSubscription(new EmailSubscription(settings.email));
    return topic;
  }
}
