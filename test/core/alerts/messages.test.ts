import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import type { Alert } from "#core/run/alerts/alert.ts";
import { ownerWords, sampleLines } from "#core/run/alerts/alert.ts";
import { SLACK_LIMITS, slackMessage } from "#core/run/alerts/slack.ts";
import { TEAMS_BYTES, teamsMessage } from "#core/run/alerts/teams.ts";
import { mailMessage } from "#core/run/alerts/texts.ts";
import { sampleAlert } from "../../support/sample-alert.ts";

const text = fc.string({ unit: "grapheme", maxLength: 6_000 });
const hostile = fc.oneof(
  text,
  fc.constant("<!channel> & <https://evil.example|here> ```*_~"),
  fc.constant("&".repeat(5_000)),
  fc.constant("😀".repeat(3_000)),
  fc.constant("[link](https://evil.example)\n".repeat(200)),
);
const alerts = fc.record({
  kind: fc.constantFrom("failed", "recovered", "stopped", "warned"),
  again: fc.boolean(),
  project: fc.constant("shop"),
  runId: fc.constant("run-1"),
  uniqueId: fc.option(hostile),
  words: hostile,
  owner: fc.option(fc.record({ name: fc.option(hostile), email: fc.option(hostile), group: fc.option(hostile) })),
  gates: fc.nat(),
  failures: fc.option(fc.nat()),
  relation: fc.option(hostile),
  rows: fc.option(
    fc.record({
      columns: fc.array(hostile, { maxLength: 20 }),
      rows: fc.array(fc.array(fc.option(hostile), { maxLength: 20 }), { maxLength: 20 }),
    }),
  ),
  since: fc.option(fc.constant("2026-03-01T03:04:05.000Z")),
  commands: fc.constant(["npx stepwatch why run-1"]),
  url: fc.option(fc.constant("https://eu-west-1.console.aws.amazon.com/states/home")),
}) satisfies fc.Arbitrary<Alert>;

interface SlackBlock {
  readonly type: string;
  readonly text?: { readonly text: string };
  readonly fields?: readonly { readonly text: string }[];
}

test("H4: whatever dbt says, a message is one that Slack takes: its bounds hold, and nothing in it calls anybody", () => {
  fc.assert(
    fc.property(alerts, (alert) => {
      const { text: fallback, blocks } = slackMessage(alert) as { text: string; blocks: SlackBlock[] };
      expect(blocks.length).toBeLessThanOrEqual(SLACK_LIMITS.blocks);
      for (const { type, text: words, fields = [] } of blocks) {
        if (type === "header") expect(words!.text.length).toBeLessThanOrEqual(SLACK_LIMITS.header);
        if (type === "section" && words) {
          expect(words.text.length).toBeLessThanOrEqual(SLACK_LIMITS.section);
          // In code, and nothing ends it but its own end.
          expect(words.text.match(/```/g)).toHaveLength(2);
          expect(words.text).not.toMatch(/[<>]/);
          expect(words.text).not.toMatch(/&(?!amp;|lt;|gt;)/);
        }
        for (const field of fields) {
          expect(field.text.length).toBeLessThanOrEqual(SLACK_LIMITS.field);
          expect(field.text).not.toMatch(/[<>]/);
        }
      }
      expect(fallback).not.toMatch(/[<>]/);
    }),
    { numRuns: 200 },
  );
});

test("H4: and one that Teams takes: below its size, without a link or an emphasis that somebody wrote into a table", () => {
  fc.assert(
    fc.property(alerts, (alert) => {
      const message = teamsMessage(alert);
      expect(Buffer.byteLength(JSON.stringify(message))).toBeLessThan(TEAMS_BYTES);
      const [{ content }] = (message as { attachments: [{ content: { body: { text?: string }[] } }] }).attachments;
      for (const { text: words = "" } of content.body) expect(words).not.toMatch(/(?<!\\)(?:\\\\)*[[\]*_`]/);
    }),
    { numRuns: 200 },
  );
});

test("H4: and one that SNS takes: a subject of a hundred ASCII characters on one line", () => {
  fc.assert(
    fc.property(alerts, (alert) => {
      const { subject, text: body } = mailMessage(alert);
      expect(subject).toMatch(/^[\x20-\x7e]{1,100}$/);
      expect(body).toContain("run-1");
    }),
  );
});

describe("H4: an alert tells a person what to do", () => {
  const everything = [
    JSON.stringify(slackMessage(sampleAlert)),
    JSON.stringify(teamsMessage(sampleAlert)),
    mailMessage(sampleAlert).text,
  ];

  it.each(["npx stepwatch retry", "finance@example.com", "unique_orders", "Rows found", "https://"])("%s", (part) => {
    for (const message of everything) expect(message.replaceAll("\\\\", "").replaceAll("\\", "")).toContain(part);
  });

  it("with some of the rows that a test has found", () => {
    expect(sampleLines(sampleAlert.rows)).toEqual(["order_id  amount", "17        12.50", "18        null"]);
  });

  it.each([
    [{ name: "Finance", email: "f@example.com", group: "finance" }, "Finance <f@example.com> (group finance)"],
    [{ name: null, email: "f@example.com", group: null }, "f@example.com"],
    [{ name: "finance", email: null, group: "finance" }, "finance"],
    [null, null],
  ])("owner %j", (owner, words) => {
    expect(ownerWords(owner)).toBe(words);
  });
});
