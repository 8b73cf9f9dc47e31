/** List prices of us-east-1 as read in autumn 2026, in US dollars. The only place of the project that knows a price. */
export const PRICES = {
  region: "us-east-1",
  asOf: "autumn 2026",
  stepFunctionsTransition: 25 / 1e6,
  dynamoWriteUnit: 0.625 / 1e6,
  dynamoReadUnit: 0.125 / 1e6,
  lambdaRequest: 0.2 / 1e6,
  /** arm64. */
  lambdaGibSecond: 0.0000133334,
  /** x86. */
  fargateVcpuHour: 0.04048,
  fargateGibHour: 0.004445,
} as const;

/**
 * Seconds that one call of a function is billed, an assumption: the emulator runs functions in threads of one process,
 * so that its times say nothing of Lambda. A warm call makes two to six calls of 5 to 20 ms each.
 */
export const ASSUMED_LAMBDA_SECONDS = 0.1;

/** Fargate bills a minute at least. */
const FARGATE_MIN_SECONDS = 60;

export interface Consumption {
  readonly transitions: number;
  /** Calls of functions, by function, with each one's memory in MiB. */
  readonly calls: readonly { readonly count: number; readonly memoryMiB: number }[];
  readonly writeUnits: number;
  readonly readUnits: number;
  /** Tasks with their life in seconds and their size. */
  readonly tasks: readonly { readonly seconds: number; readonly vcpu: number; readonly gib: number }[];
}

export interface Price {
  /** Step Functions, Lambda and DynamoDB: what watching and deciding costs. */
  readonly orchestration: number;
  /** Fargate: what dbt would cost without us as well. */
  readonly tasks: number;
}

/** What a run would have cost on AWS, without S3 requests and logs (some tenths of a cent a run). */
export function priceOf(used: Consumption): Price {
  const lambda = used.calls.map(
    ({ count, memoryMiB }) =>
      count * (PRICES.lambdaRequest + ASSUMED_LAMBDA_SECONDS * (memoryMiB / 1024) * PRICES.lambdaGibSecond),
  );
  const tasks = used.tasks.map(
    ({ seconds, vcpu, gib }) =>
      (Math.max(seconds, FARGATE_MIN_SECONDS) / 3600) * (vcpu * PRICES.fargateVcpuHour + gib * PRICES.fargateGibHour),
  );
  return {
    orchestration:
      used.transitions * PRICES.stepFunctionsTransition +
      sum(lambda) +
      used.writeUnits * PRICES.dynamoWriteUnit +
      used.readUnits * PRICES.dynamoReadUnit,
    tasks: sum(tasks),
  };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
