import { recordedCases } from "../../support/recorded-cases.ts";
import { readRecording } from "../../support/read-recording.ts";
for (const c of recordedCases()) {
  const r = readRecording(c, { withFile: true });
  const cnt: Record<string, number> = {};
  for (const o of r.outcomes) cnt[o.class] = (cnt[o.class] ?? 0) + 1;
  console.log(c.version, c.name, c.level, "rc", c.end.exitCode, "inOrder", r.end.inOrder, r.end.cause.kind, r.end.retryableLaunch ? "RETRY" : "", JSON.stringify(cnt), "|", r.end.cause.sentence.slice(0, 110));
  const unknown = r.reconciliation.contradictions.filter((x) => x.knownReason === null);
  if (unknown.length) console.log("   UNKNOWN", JSON.stringify(unknown.slice(0, 4)));
  if (r.reconciliation.filled.length) console.log("   FILLED", r.reconciliation.filled.join(" "));
  const open = r.outcomes.filter((o) => o.status === "started" || o.class === "interrupted");
  if (open.length) console.log("   OPEN", open.map((o) => `${o.uniqueId} ${o.status} ${o.class}`).join(" "));
}
