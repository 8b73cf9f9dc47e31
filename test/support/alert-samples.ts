import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Alert } from "#core/run/alerts/alert.ts";
import { slackMessage } from "#core/run/alerts/slack.ts";
import { teamsMessage } from "#core/run/alerts/teams.ts";
import { mailMessage } from "#core/run/alerts/texts.ts";
import { replay } from "../../cli/replay.ts";
import { sampleAlert } from "./sample-alert.ts";

const root = join(import.meta.dirname, "../..");
const recorded = join(root, "test/fixtures/jaffle-shop");
const DOCUMENT = join(root, "docs/alerts.md");

/**
 * The alert of the one test that failed in a recorded run of the example project. What no recording of dbt has stands in
 * for it: owner, rows and link.
 */
export async function recordedAlert(): Promise<Alert> {
  const files = {
    log: join(recorded, "broken-test/info.jsonl"),
    runResults: join(recorded, "broken-test/run_results.json"),
  };
  const { nodes } = await replay(files);
  const failed = nodes.filter((node) => node.class === "failed");
  if (failed.length !== 1) throw new Error(`The recording has ${failed.length} failures, and the sample is of one.`);
  const { uniqueId, message, failures } = failed[0]!;
  const gates = nodes.filter((node) => node.class === "not_built").length;
  const words = `${uniqueId} failed: ${message}\nNot tried again: a data test that ran comes to the same each time (retryOn: transient).`;
  return { ...sampleAlert, uniqueId, words, failures, gates };
}

/** docs/alerts.md with the samples as they are made now. */
export async function documentWithSamples(): Promise<string> {
  const alert = await recordedAlert();
  const { subject, text } = mailMessage(alert);
  const json = (value: object) => `\`\`\`json\n${JSON.stringify(value, null, 2)}\n\`\`\``;
  const samples = {
    slack: json(slackMessage(alert)),
    teams: json(teamsMessage(alert)),
    mail: `\`\`\`text\nSubject: ${subject}\n\n${text}\n\`\`\``,
  };
  let document = readFileSync(DOCUMENT, "utf8");
  for (const [name, sample] of Object.entries(samples)) {
    const place = new RegExp(`<!-- ${name} -->\\n(?:\\n\`\`\`[\\s\\S]*?\\n\`\`\`\\n)?`);
    if (!place.test(document)) throw new Error(`docs/alerts.md has no place for ${name}.`);
    document = document.replace(place, () => `<!-- ${name} -->\n\n${sample}\n`);
  }
  return document;
}

/** `node test/support/alert-samples.ts` writes them. */
if (process.argv[1] === import.meta.filename) writeFileSync(DOCUMENT, await documentWithSamples());
