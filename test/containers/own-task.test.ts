import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { readOwnTask } from "../../containers/dbt-runner/own-task.ts";

/** The metadata endpoint of a container: what it answers to `/task` and to the rest, turn by turn. */
async function metadata(answers: { status: number; body: string }[]): Promise<string> {
  const server = createServer((request, response) => {
    const { status, body } = request.url?.endsWith("/task")
      ? (answers.shift() ?? { status: 500, body: "" })
      : { status: 200, body: JSON.stringify({ LogOptions: { "awslogs-stream": "dbt/dbt/1" } }) };
    response.writeHead(status).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v4/x`;
}

test("the container learns its own ARN and log stream from ECS, also where that answers late", async () => {
  const body = JSON.stringify({ TaskARN: "arn:task" });
  const uri = await metadata([
    { status: 500, body: "" },
    { status: 200, body },
  ]);
  expect(await readOwnTask(uri)).toEqual({ taskArn: "arn:task", logStream: "dbt/dbt/1" });
});

test("an endpoint that answers with something else is named with what it said", async () => {
  const uri = await metadata(Array(5).fill({ status: 200, body: "<html>" }));
  await expect(readOwnTask(uri)).rejects.toMatchObject({ message: expect.stringContaining("JSON") });
});
