import { expect, test } from "vitest";
import { count, functionLog, tell } from "#clients/function-log.ts";

function recorded() {
  const lines: string[] = [];
  const log = functionLog("check-run", "stepwatch", (line) => void lines.push(line));
  return { log, lines: () => lines.map((line) => JSON.parse(line)) };
}

test("each line is one JSON object that names function, stack, run and vertex", async () => {
  const { log, lines } = recorded();
  await log.about({ project: "shop", runId: "run-1", round: 2, uniqueId: "model.shop.a" }, async () => {
    tell("A task is launched.", { task: 3 });
    log.warn("Two\nlines.");
  });
  const subject = { project: "shop", runId: "run-1", round: 2, uniqueId: "model.shop.a" };
  const head = { function: "check-run", stack: "stepwatch", timestamp: expect.stringMatching(/Z$/), ...subject };
  expect(lines()).toEqual([
    { ...head, level: "INFO", message: "A task is launched.", task: 3 },
    { ...head, level: "WARN", message: "Two\nlines." },
  ]);
});

test("calls at the same time in one process each tell of their own run", async () => {
  const { log, lines } = recorded();
  const one = (runId: string) =>
    log.about({ runId }, async () => {
      await new Promise((resolve) => setImmediate(resolve));
      tell(runId);
    });
  await Promise.all(["a", "b", "c"].map(one));
  expect(lines().map(({ runId, message }) => [runId, message])).toEqual(["a", "b", "c"].map((id) => [id, id]));
});

test("what counts is in CloudWatch's embedded metric format, for the stack and for the project, and zeros are left out", async () => {
  const { log, lines } = recorded();
  await log.about({ project: "shop" }, async () => {
    count({ RunsRed: 1, RunsGreen: 0, RunSeconds: 12.5 });
    count({ TasksKilled: 0 });
  });
  await log.about({}, async () => count({ Faults: 1 }, { error: "AccessDenied" }));
  expect(lines()).toMatchObject([
    {
      _aws: {
        Timestamp: expect.any(Number),
        CloudWatchMetrics: [
          {
            Namespace: "stepwatch",
            Dimensions: [["stack"], ["stack", "project"]],
            Metrics: [
              { Name: "RunsRed", Unit: "Count" },
              { Name: "RunSeconds", Unit: "Seconds" },
            ],
          },
        ],
      },
      stack: "stepwatch",
      project: "shop",
      RunsRed: 1,
      RunSeconds: 12.5,
    },
    { _aws: { CloudWatchMetrics: [{ Dimensions: [["stack"]] }] }, Faults: 1, error: "AccessDenied" },
  ]);
});

test("outside of a call nobody is told, and a warning still is", () => {
  const { log, lines } = recorded();
  tell("nothing");
  count({ RunsRed: 1 });
  log.warn("something");
  expect(lines()).toMatchObject([{ level: "WARN", message: "something" }]);
});
