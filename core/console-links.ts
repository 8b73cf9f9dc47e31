/** The console's domain of each partition of AWS. */
const CONSOLES: Readonly<Record<string, string>> = {
  aws: "console.aws.amazon.com",
  "aws-cn": "console.amazonaws.cn",
  "aws-us-gov": "console.amazonaws-us-gov.com",
};

/** The embedded AWS: it has no console. */
const NO_ACCOUNT = "000000000000";

interface Place {
  readonly base: string;
  readonly region: string;
}

function placeOf(arn: string): Place | null {
  const [, partition = "", , region = "", account] = arn.split(":");
  const domain = CONSOLES[partition];
  return domain === undefined || account === NO_ACCOUNT ? null : { base: `https://${region}.${domain}`, region };
}

/** Page of an execution in the console of its region and partition; null where there is no console. */
export function executionUrl(executionArn: string): string | null {
  const place = placeOf(executionArn);
  return place && `${place.base}/states/home?region=${place.region}#/v2/executions/details/${executionArn}`;
}

/**
 * Page of a log stream, or of its group, in the same console as an execution. CloudWatch wants names encoded twice, with
 * a dollar in the place of the second percent sign.
 */
export function logUrl(executionArn: string, logGroup: string, logStream?: string): string | null {
  const place = placeOf(executionArn);
  const encoded = (name: string) => encodeURIComponent(encodeURIComponent(name)).replaceAll("%", "$");
  const stream = logStream === undefined ? "" : `/log-events/${encoded(logStream)}`;
  return (
    place &&
    `${place.base}/cloudwatch/home?region=${place.region}#logsV2:log-groups/log-group/${encoded(logGroup)}${stream}`
  );
}
