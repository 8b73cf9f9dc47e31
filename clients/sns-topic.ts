import { PublishCommand, SNSClient } from "@aws-sdk/client-sns";
import { ServiceUnavailable } from "#core/errors.ts";
import { unavailable } from "./aws-errors.ts";
import { callSettings } from "./aws-settings.ts";

/** A message of SNS. */
export interface TopicMessage {
  readonly subject: string;
  readonly text: string;
}

/** SNS takes 256 kB of a message. */
const MOST_CHARACTERS = 60_000;

/** Publishes to one topic. */
export function snsTopic(
  topicArn: string,
  options: { client?: SNSClient } = {},
): (message: TopicMessage) => Promise<void> {
  const client = options.client ?? new SNSClient(callSettings);
  return async ({ subject, text }) => {
    const command = new PublishCommand({
      TopicArn: topicArn,
      Subject: subject,
      Message: text.slice(0, MOST_CHARACTERS),
    });
    await client.send(command).catch(unavailable(ServiceUnavailable, "SNS Publish"));
  };
}
