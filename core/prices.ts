/**
 * What AWS asks for what a run uses: the one list of prices that the project knows, in US dollars.
 *
 * Source: the public price pages of Step Functions, Lambda, DynamoDB, S3, CloudWatch, EventBridge, VPC and Fargate, without
 * free tiers and discounts. Other regions differ by up to a third; whoever moves a price moves `asOf` with it.
 */
export const PRICES = {
  region: "us-east-1",
  asOf: "2026-11",
  stepFunctionsTransition: 25 / 1e6,
  lambdaRequest: 0.2 / 1e6,
  /** arm64. */
  lambdaGibSecond: 0.0000133334,
  /** On demand; a write unit is 1 KiB of a row, a read unit 4 KiB read consistently. Reads of the stream by Lambda are free. */
  dynamoWriteUnit: 0.625 / 1e6,
  dynamoReadUnit: 0.125 / 1e6,
  s3Put: 0.005 / 1e3,
  s3Get: 0.0004 / 1e3,
  /** CloudWatch Logs, standard class, taken in. */
  logGigabyte: 0.5,
  /** Events of our own. */
  eventBridgeEvent: 1 / 1e6,
  /** x86; arm64 is a fifth less, Spot up to 70 %. */
  fargateVcpuHour: 0.04048,
  fargateGibHour: 0.004445,
  publicAddressHour: 0.005,
} as const;

/** Fargate and its address bill by the second, a minute at least. */
const FARGATE_MIN_SECONDS = 60;

/** What a run has used, or will, part by part. */
export interface Consumption {
  readonly transitions: number;
  /** Calls of functions: how many of each, its memory, and the seconds that all of them together are billed. */
  readonly calls: readonly { readonly count: number; readonly memoryMiB: number; readonly seconds: number }[];
  readonly writeUnits: number;
  readonly readUnits: number;
  readonly s3Puts: number;
  readonly s3Gets: number;
  /** Of functions, machines and tasks. */
  readonly logBytes: number;
  readonly events: number;
  /** Tasks with their life in seconds and their size. */
  readonly tasks: readonly {
    readonly seconds: number;
    readonly vcpu: number;
    readonly gib: number;
    readonly publicAddress: boolean;
  }[];
}

/** What a run costs, in US dollars, part by part. */
export interface Price {
  readonly stepFunctions: number;
  readonly lambda: number;
  readonly dynamo: number;
  readonly s3: number;
  readonly logs: number;
  readonly events: number;
  /** All of the above: what it costs to watch and to decide. */
  readonly orchestration: number;
  readonly fargate: number;
  readonly publicAddress: number;
  /** The two above: what dbt on Fargate costs without us as well. */
  readonly tasks: number;
}

const GIGABYTE = 1e9;
const HOUR_SECONDS = 3600;

/** Prices what a run has used by the list. */
export function priceOf(used: Consumption): Price {
  const stepFunctions = used.transitions * PRICES.stepFunctionsTransition;
  const lambda = sum(used.calls, ({ count, memoryMiB, seconds }) => {
    return count * PRICES.lambdaRequest + seconds * (memoryMiB / 1024) * PRICES.lambdaGibSecond;
  });
  const dynamo = used.writeUnits * PRICES.dynamoWriteUnit + used.readUnits * PRICES.dynamoReadUnit;
  const s3 = used.s3Puts * PRICES.s3Put + used.s3Gets * PRICES.s3Get;
  const logs = (used.logBytes / GIGABYTE) * PRICES.logGigabyte;
  const events = used.events * PRICES.eventBridgeEvent;
  const hours = (seconds: number) => Math.max(seconds, FARGATE_MIN_SECONDS) / HOUR_SECONDS;
  const fargate = sum(used.tasks, ({ seconds, vcpu, gib }) => {
    return hours(seconds) * (vcpu * PRICES.fargateVcpuHour + gib * PRICES.fargateGibHour);
  });
  const publicAddress = sum(used.tasks, (task) => {
    return task.publicAddress ? hours(task.seconds) * PRICES.publicAddressHour : 0;
  });
  const orchestration = stepFunctions + lambda + dynamo + s3 + logs + events;
  const tasks = fargate + publicAddress;
  return { stepFunctions, lambda, dynamo, s3, logs, events, orchestration, fargate, publicAddress, tasks };
}

const sum = <T>(all: readonly T[], priceOfOne: (one: T) => number): number =>
  all.reduce((total, one) => total + priceOfOne(one), 0);
