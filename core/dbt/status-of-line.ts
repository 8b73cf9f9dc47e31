import { type Fields, fieldsOf, textOf } from "./line-fields.ts";
import type { LineFacts } from "./log-events.ts";
import { isKnownStatus, isTerminal } from "./status.ts";

/**
 * The status word: `node_info.node_status`, and where that says nothing (`None`) `data.status`, never the other way
 * round, since `data.status` holds the database's own words in 1.x (dbt-facts: "OK", "PARTIAL SUCCESS (3/4)").
 * A node that still claims to be `started` in its last line is believed only a word that dbt really has.
 */
export function statusOf(line: LineFacts, data: Fields): string {
  const nodeStatus = textOf(fieldsOf(data.node_info)?.node_status);
  if (isTerminal(nodeStatus)) return nodeStatus;
  const others = [textOf(fieldsOf(data.run_result)?.status), textOf(data.status)];
  const saysNothing = nodeStatus === "" || nodeStatus === "None";
  const other = others.find((word) => isTerminal(word) && (saysNothing || isKnownStatus(word)));
  if (other !== undefined) return other;
  if (line.name === "SkippingDetails") return "skipped";
  return line.name === "LogNodeNoOpResult" ? "no-op" : nodeStatus;
}
