import { dynamoLedger } from "#clients/dynamo-ledger.ts";
import { factsReader } from "#clients/facts-reader.ts";
import { functionLog } from "#clients/function-log.ts";
import { s3Artefacts } from "#clients/s3-artefacts.ts";
import { secretValues } from "#clients/secret-values.ts";
import { snsTopic } from "#clients/sns-topic.ts";
import { postJson } from "#clients/webhook.ts";
import { alertSettingsSchema } from "#core/contracts/alerts.ts";
import { functionEnvironmentSchema, parseEnvironment } from "#core/contracts/environment.ts";
import { runEndedDetailSchema, warningDetailSchema } from "#core/contracts/events.ts";
import { slackMessage } from "#core/run/alerts/slack.ts";
import { teamsMessage } from "#core/run/alerts/teams.ts";
import { mailMessage } from "#core/run/alerts/texts.ts";
import { type AlertDeps, alert, type Send } from "./alert.ts";

const environment = parseEnvironment(functionEnvironmentSchema.required({ STEPWATCH_ALERTS: true }), process.env);
const { topicArn, slackSecret, teamsSecret, on, repeatHours } = alertSettingsSchema.parse(
  JSON.parse(environment.STEPWATCH_ALERTS),
);
const log = functionLog("alert", environment.STEPWATCH_STACK);
const artefacts = s3Artefacts({ bucket: environment.STEPWATCH_BUCKET });
const secret = secretValues();

const byWebhook =
  (reference: string, made: (given: Parameters<Send>[0]) => object): Send =>
  async (given) =>
    postJson(await secret(reference), made(given));

/** By the topic's own messages; a topic is told as mails are. */
function byTopic(arn: string): Send {
  const publish = snsTopic(arn);
  return (given) => publish(mailMessage(given));
}

const deps: AlertDeps = {
  ledger: dynamoLedger({ table: environment.STEPWATCH_TABLE }),
  artefacts,
  readFacts: factsReader(artefacts, log.warn),
  channels: {
    ...(topicArn !== undefined && { sns: byTopic(topicArn) }),
    ...(slackSecret !== undefined && { slack: byWebhook(slackSecret, slackMessage) }),
    ...(teamsSecret !== undefined && { teams: byWebhook(teamsSecret, teamsMessage) }),
  },
  on,
  repeatHours,
  nowMs: Date.now,
  warn: log.warn,
};

/** Triggered by a rule on our own events; twice for one event tells nobody twice. */
export async function handler(event: { readonly "detail-type": string; readonly detail: unknown }): Promise<void> {
  const type = event["detail-type"];
  const given =
    type === "Run ended"
      ? ({ "detail-type": type, detail: runEndedDetailSchema.parse(event.detail) } as const)
      : ({ "detail-type": "Warning", detail: warningDetailSchema.parse(event.detail) } as const);
  const { project, runId, round } = given.detail;
  await log.about({ project, runId, round }, () => alert(given, deps));
}
