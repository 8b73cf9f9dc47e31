import { type Alert, factsOf, sampleLines, titleOf } from "#core/run/alerts/alert.ts";

/** SNS: characters of a subject, which is ASCII of one line. */
const SUBJECT_CHARACTERS = 100;

/** A message of an SNS topic: a subject for its mails, and a text. */
export interface MailMessage {
  readonly subject: string;
  readonly text: string;
}

/** An alert as a mail. */
export function mailMessage(alert: Alert): MailMessage {
  const subject = titleOf(alert)
    .replace(/[^\x20-\x7e]/g, "?")
    .slice(0, SUBJECT_CHARACTERS);
  const facts = factsOf(alert).map(([name, value]) => `${name}: ${value}`);
  const sample = sampleLines(alert.rows);
  const parts = [
    [titleOf(alert)],
    [alert.words],
    facts,
    sample.length > 0 ? ["Some of the rows:", ...sample] : [],
    alert.commands,
    alert.url === null ? [] : [alert.url],
    [`Run ${alert.runId} of ${alert.project}`],
  ];
  const text = parts
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n");
  return { subject, text };
}
