import { type Alert, factsOf, sampleLines, titleOf } from "#core/run/alerts/alert.ts";

/**
 * Block Kit's bounds, in characters: https://docs.slack.dev/reference/block-kit/blocks. A message that exceeds one is
 * refused whole. Escaped characters count as they are written.
 */
export const SLACK_LIMITS = { header: 150, section: 3_000, field: 2_000, fields: 10, blocks: 50 } as const;

/** Words that are longer are read where they belong: in the run. */
const WORD_CHARACTERS = 1_200;
const FIELD_CHARACTERS = 350;

/** Slack takes these three for its own: https://docs.slack.dev/messaging/formatting-message-text. */
const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

const cut = (text: string, most: number): string => (text.length <= most ? text : `${text.slice(0, most - 1)}…`);

/** As much of a text as fits escaped; no escape is cut in two. */
function fitting(text: string, most: number): string {
  let told = "";
  for (const character of text) {
    const next = escaped(character);
    if (told.length + next.length > most - 1) return `${told}…`;
    told += next;
  }
  return told;
}

/** A text that nothing in it ends: three backticks would, so they are set apart by a space of no width. */
const code = (text: string): string =>
  `\`\`\`\n${fitting(text.replaceAll("```", "`\u200b`\u200b`"), SLACK_LIMITS.section - 10)}\n\`\`\``;

const section = (text: string) => ({ type: "section", text: { type: "mrkdwn", text } });

/** An alert as the JSON that a Slack webhook takes. */
export function slackMessage(alert: Alert): object {
  const title = titleOf(alert);
  const facts = factsOf(alert).slice(0, SLACK_LIMITS.fields);
  const sample = sampleLines(alert.rows);
  const button = alert.url === null ? null : { type: "button", text: plain("Open the run"), url: alert.url };
  return {
    text: fitting(title, 300),
    blocks: [
      { type: "header", text: plain(cut(title, SLACK_LIMITS.header)) },
      section(code(cut(alert.words, WORD_CHARACTERS))),
      ...(facts.length === 0 ? [] : [{ type: "section", fields: facts.map(field) }]),
      ...(sample.length === 0 ? [] : [section(code(sample.join("\n")))]),
      ...(alert.commands.length === 0 ? [] : [section(code(alert.commands.join("\n")))]),
      ...(button === null ? [] : [{ type: "actions", elements: [button] }]),
      { type: "context", elements: [plain(cut(`Run ${alert.runId} of ${alert.project}`, 300))] },
    ],
  };
}

const plain = (text: string) => ({ type: "plain_text", text });

const field = ([name, value]: [string, string]) => ({
  type: "mrkdwn",
  text: `*${name}*\n${fitting(value, FIELD_CHARACTERS)}`,
  // No name or address of a value becomes a link or calls somebody.
  verbatim: true,
});
