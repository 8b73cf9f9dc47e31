import { CloudWatchLogsClient, GetLogEventsCommand } from "@aws-sdk/client-cloudwatch-logs";
import { ServiceUnavailable } from "#core/errors.ts";
import { isNamed, unavailable } from "./aws-errors.ts";
import { callSettings } from "./aws-settings.ts";

/** One line of a container's output. */
export interface LogLine {
  readonly atMs: number;
  readonly text: string;
}

/** CloudWatch Logs, for people. Throws `ServiceUnavailable` for throttling and network. */
export interface Logs {
  /** The lines of a stream in order, from `since` (epoch milliseconds) on; none while the stream is not there. */
  readLog(group: string, stream: string, options?: { since?: number }): Promise<LogLine[]>;
}

export function cloudWatchLogs(options: { client?: CloudWatchLogsClient } = {}): Logs {
  const client = options.client ?? new CloudWatchLogsClient(callSettings);
  return {
    async readLog(logGroupName, logStreamName, { since } = {}) {
      const lines: LogLine[] = [];
      let token: string | undefined;
      for (;;) {
        const startTime = since === undefined ? {} : { startTime: since };
        const nextToken = token === undefined ? {} : { nextToken: token };
        const page = { logGroupName, logStreamName, startFromHead: true, ...startTime, ...nextToken };
        const answer = await client.send(new GetLogEventsCommand(page)).catch((error: unknown) => {
          if (isNamed(error, "ResourceNotFoundException")) return null;
          return unavailable(
            ServiceUnavailable,
            `CloudWatch Logs GetLogEvents ${logGroupName} ${logStreamName}`,
          )(error);
        });
        for (const { timestamp, message } of answer?.events ?? [])
          lines.push({ atMs: timestamp ?? 0, text: message ?? "" });
        // The last page answers the token that it was asked with.
        if (answer?.nextForwardToken === undefined || answer.nextForwardToken === token) return lines;
        token = answer.nextForwardToken;
      }
    },
  };
}
