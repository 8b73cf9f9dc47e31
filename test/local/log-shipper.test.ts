import { afterEach, expect, test, vi } from "vitest";
import { type AwsJson, EmulatorCallError } from "#local/emulator/aws-json.ts";
import { LogShipper } from "#local/emulator/log-shipper.ts";

afterEach(() => {
  vi.useRealTimers();
});

interface Put {
  logGroupName: string;
  logStreamName: string;
  logEvents: { timestamp: number; message: string }[];
}

function recorder(failures = 0) {
  const puts: Put[] = [];
  const created: string[] = [];
  let left = failures;
  const aws: AwsJson = {
    async call<Answer>(_service: string, action: string, input: object): Promise<Answer> {
      if (action !== "PutLogEvents") {
        if (created.includes(action)) throw new EmulatorCallError("ResourceAlreadyExistsException", "it is there");
        created.push(action);
      } else if (left > 0) {
        left -= 1;
        throw new EmulatorCallError("ResourceNotFoundException", "the stream is gone");
      } else {
        puts.push(input as Put);
      }
      return {} as Answer;
    },
  };
  return { aws, puts, created };
}

test("lines go out together and in order, to a stream that is made for them", async () => {
  const { aws, puts, created } = recorder();
  const logs = new LogShipper(aws);
  for (const line of ["a", "b", "c"]) logs.write("/group", "stream", line, 1000);
  await logs.flush("/group", "stream");
  expect(created).toEqual(["CreateLogGroup", "CreateLogStream"]);
  expect(puts).toEqual([
    {
      logGroupName: "/group",
      logStreamName: "stream",
      logEvents: ["a", "b", "c"].map((message) => ({ timestamp: 1000, message })),
    },
  ]);
});

test("they go out by themselves after a moment", async () => {
  vi.useFakeTimers();
  const { aws, puts } = recorder();
  new LogShipper(aws).write("/group", "stream", "alone");
  await vi.advanceTimersByTimeAsync(1_000);
  expect(puts).toHaveLength(1);
});

test("no call is larger than CloudWatch Logs takes, and nothing is lost or doubled", async () => {
  const { aws, puts } = recorder();
  const logs = new LogShipper(aws);
  const lines = Array.from({ length: 12_000 }, (_, index) => `${index} ${"x".repeat(index % 400)}`);
  for (const line of lines) logs.write("/group", "stream", line);
  await logs.flushAll();
  expect(puts.flatMap((put) => put.logEvents.map((event) => event.message))).toEqual(lines);
  for (const put of puts) {
    expect(put.logEvents.length).toBeLessThanOrEqual(10_000);
    expect(put.logEvents.reduce((sum, { message }) => sum + message.length + 26, 0)).toBeLessThanOrEqual(1_048_576);
  }
});

test("a line longer than an event may be is shortened", async () => {
  const { aws, puts } = recorder();
  const logs = new LogShipper(aws);
  logs.write("/group", "stream", "y".repeat(400_000));
  await logs.flushAll();
  expect(puts[0]?.logEvents[0]?.message.length).toBe(250_000);
});

test("a stream that is gone after a reset is made again; what can not be delivered is given up", async () => {
  const once = recorder(1);
  const logs = new LogShipper(once.aws);
  logs.write("/group", "stream", "kept");
  await logs.flushAll();
  expect(once.puts).toHaveLength(1);
  const never = recorder(1000);
  const others = new LogShipper(never.aws);
  others.write("/group", "stream", "lost");
  await others.close("/group", "stream");
  expect(never.puts).toEqual([]);
});
