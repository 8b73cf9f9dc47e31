import { type Alert, factsOf, sampleLines, titleOf } from "#core/run/alerts/alert.ts";

/** Bytes that a Teams webhook takes: https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors. */
export const TEAMS_BYTES = 28 * 1024;

const WORD_CHARACTERS = 2_000;
const FACT_CHARACTERS = 300;

const cut = (text: string, most: number): string => (text.length <= most ? text : `${text.slice(0, most - 1)}…`);

/**
 * A card's texts are Markdown: links, emphasis and lists of a value are shown as they are written. A backslash is taken
 * for itself before anything else.
 */
const escaped = (text: string): string => text.replace(/[\\`*_[\]()#>~|]/g, "\\$&").replace(/^(\s*)([-+])/gm, "$1\\$2");

const block = (text: string, more: object = {}) => ({ type: "TextBlock", text, wrap: true, ...more });

/** Lines of one width. A card joins single line breaks: each line is a block of its own, without space between. */
const lines = (texts: readonly string[]) =>
  texts.map((text) => block(escaped(text), { fontType: "Monospace", size: "Small", spacing: "None", wrap: false }));

const COLOURS = { failed: "Attention", recovered: "Good", stopped: "Warning", warned: "Warning" } as const;

/** An alert as the JSON that a workflow of Teams takes ("when a Teams webhook request is received"). */
export function teamsMessage(alert: Alert): object {
  const facts = factsOf(alert).map(([title, value]) => ({ title, value: escaped(cut(value, FACT_CHARACTERS)) }));
  const sample = sampleLines(alert.rows);
  const body = [
    block(escaped(cut(titleOf(alert), 200)), { size: "Large", weight: "Bolder", color: COLOURS[alert.kind] }),
    ...lines(cut(alert.words, WORD_CHARACTERS).split("\n").slice(0, 20)),
    ...(facts.length === 0 ? [] : [{ type: "FactSet", facts }]),
    ...lines(sample),
    ...lines(alert.commands),
    block(escaped(cut(`Run ${alert.runId} of ${alert.project}`, 200)), { isSubtle: true, size: "Small" }),
  ];
  return {
    type: "message",
    attachments: [
      {
        contentType: "application/vnd.microsoft.card.adaptive",
        contentUrl: null,
        content: {
          $schema: "http://adaptivecards.io/schemas/adaptive-card.json",
          type: "AdaptiveCard",
          version: "1.4",
          body,
          ...(alert.url !== null && { actions: [{ type: "Action.OpenUrl", title: "Open the run", url: alert.url }] }),
        },
      },
    ],
  };
}
