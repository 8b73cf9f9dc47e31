import type { RunCost } from "#core/run/reporting/estimate.ts";

const PARTS = [
  ["fargate", "Fargate"],
  ["publicAddress", "address"],
  ["stepFunctions", "states"],
  ["lambda", "Lambda"],
  ["dynamo", "DynamoDB"],
  ["s3", "S3"],
  ["logs", "logs"],
  ["events", "events"],
] as const satisfies readonly (readonly [keyof RunCost, string])[];

/** Below it a part is not worth a word. US dollars. */
const WORTH_A_WORD = 0.000_05;

/** US dollars with two digits that tell something: `$0.0042`, `$0.13`, `$12.40`. */
export function dollars(usd: number): string {
  if (usd < WORTH_A_WORD) return "$0.00";
  if (usd >= 0.1) return `$${usd.toFixed(2)}`;
  return `$${usd.toFixed(usd >= 0.01 ? 3 : 4)}`;
}

/** One line: the sum, its parts, and what kind of number it is. */
export function costText(cost: RunCost): string {
  const parts = PARTS.filter(([part]) => cost[part] >= WORTH_A_WORD).map(
    ([part, name]) => `${name} ${dollars(cost[part])}`,
  );
  const spot = cost.spot ? ", Spot as on demand" : "";
  const told = parts.length === 0 ? "" : `: ${parts.join(", ")}`;
  return `cost estimated ${dollars(cost.total)}${told} (list prices of ${cost.region}, ${cost.asOf}${spot})`;
}
