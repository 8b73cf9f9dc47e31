import { PRICES } from "#core/prices.ts";
import { GOALS } from "./goals.ts";
import { ASSUMED_LAMBDA } from "./lambda-time.ts";
import type { Overhead } from "./overhead.ts";
import { dollars, fixed, type Table } from "./table.ts";

/** Who reads how much of the ledger. */
export function reads(rows: readonly Overhead[]): Table {
  const callers = ["check-run", "watch-node", "wake", "runner"];
  const called = callers.filter((name) => rows.some(({ ledger }) => ledger.readsBy[name] !== undefined));
  return {
    title: "Reads of the ledger: calls and read units, by who reads",
    columns: ["project", ...called.flatMap((name) => [name, "units"]), "all units"],
    rows: rows.map(({ project, ledger }) => [
      project,
      ...called.flatMap((name) => [ledger.readsBy[name]?.calls, ledger.readsBy[name]?.units].map((n) => fixed(n, 0))),
      fixed(ledger.readUnits, 0),
    ]),
    notes: [
      "units: as DynamoDB bills consistent reads: 4 KiB of rows, a Query's together, a BatchGetItem's each alone.",
    ],
  };
}

/** What each run would have cost on AWS, part by part. */
export function priceTable(rows: readonly Overhead[]): Table {
  return {
    title: `The price on AWS (${PRICES.region}, list prices of ${PRICES.asOf}), in hundredths of a cent`,
    columns: ["project", "states", "Lambda", "DynamoDB", "S3", "logs", "orchestration", "Fargate", "address", "a node"],
    rows: rows.map(({ project, price, stepFunctions }) => {
      const parts = [price.stepFunctions, price.lambda, price.dynamo, price.s3, price.logs, price.orchestration];
      const nodes = Math.max(1, stepFunctions.executions - 1);
      const all = [...parts, price.fargate, price.publicAddress, price.orchestration / nodes];
      return [project, ...all.map((dollarsOf) => fixed(dollarsOf * 10_000, 2))];
    }),
    notes: [
      "states, Lambda, DynamoDB, S3, logs: together the orchestration, counted from histories and from every call on the wire.",
      `Lambda: calls are counted, their time is assumed: ${ASSUMED_LAMBDA.callMs} ms, ${ASSUMED_LAMBDA.serviceCallMs} ms for each call of a service, and by what was read.`,
      "Fargate, address: 1 vCPU and 2 GiB with a public address, a minute at least: what dbt there costs without us as well.",
      `goals: 185 nodes in 330 s ≤ ${dollars(GOALS.orchestrationDollars)}; 1,000 nodes in 30 min with shared tests ≤ ${dollars(GOALS.orchestrationDollarsOfThousand)} (\`--only model\`).`,
    ],
  };
}
