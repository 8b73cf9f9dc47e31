import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { turnNotice } from "../../cli/commands/deploy.ts";
import { endpointEnvironment, endpointFolder, endpointOf, requireReached } from "../../cli/endpoint.ts";
import { requireServices } from "../../cli/endpoint-services.ts";
import { failureOf } from "../../cli/failure.ts";
import { stepwatch } from "./fake-context.ts";

const URL_OF_ENGINE = "http://127.0.0.1:4566";

describe("which endpoint a command means", () => {
  test("the option before the variable; neither: none", () => {
    const variable = { STEPWATCH_ENDPOINT: "http://10.0.0.7:4566" };
    expect(endpointOf("http://127.0.0.1:4566/", variable)).toBe(URL_OF_ENGINE);
    expect(endpointOf(undefined, variable)).toBe("http://10.0.0.7:4566");
    expect(endpointOf(undefined, {})).toBeNull();
    expect(endpointOf(undefined, { STEPWATCH_ENDPOINT: "" })).toBeNull();
  });

  test("localhost is its address: a bucket's name would stand before it", () => {
    expect(endpointOf("http://localhost:4566", {})).toBe(URL_OF_ENGINE);
    expect(endpointOf("https://localhost.localstack.cloud:4566", {})).toBe("https://localhost.localstack.cloud:4566");
  });

  test("what is no URL of an engine is usage (2), named by where it stands", () => {
    for (const text of ["4566", "localhost:4566", "ftp://127.0.0.1", "http://127.0.0.1:4566/path"])
      expect(refusalOf(() => endpointOf(text, {}))).toMatchObject({
        exitCode: 2,
        message: expect.stringMatching(/^--endpoint is /),
      });
    expect(refusalOf(() => endpointOf(undefined, { STEPWATCH_ENDPOINT: "x" })).message).toMatch(/^STEPWATCH_ENDPOINT/);
  });

  test("each has a folder of its own", () => {
    const folderOf = (url: string) => endpointFolder({ STEPWATCH_STATE_DIR: "/s" }, url);
    expect(folderOf(URL_OF_ENGINE)).toBe("/s/endpoint/127.0.0.1-4566");
    expect(folderOf("http://[::1]:4566")).toBe("/s/endpoint/---1--4566");
    expect(folderOf("http://127.0.0.1:4567")).not.toBe(folderOf(URL_OF_ENGINE));
  });
});

describe("what its processes see", () => {
  test("credentials, region and single services' endpoints as they are given", () => {
    const given = {
      PATH: "/bin",
      AWS_ACCESS_KEY_ID: "123456789012",
      AWS_SECRET_ACCESS_KEY: "s",
      AWS_REGION: "eu-central-1",
      AWS_ENDPOINT_URL_ECS: "http://127.0.0.1:4571",
      AWS_ENDPOINT_URL: "http://elsewhere",
      AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: "true",
    };
    const seen = endpointEnvironment(URL_OF_ENGINE, given);
    const { AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: _, ...kept } = given;
    expect(seen).toMatchObject({ ...kept, AWS_ENDPOINT_URL: URL_OF_ENGINE, AWS_DEFAULT_REGION: "eu-central-1" });
    expect(seen).not.toHaveProperty("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
  });

  test("where none are given, those that any emulator takes; a profile keeps its own keys and region", () => {
    expect(endpointEnvironment(URL_OF_ENGINE, {})).toMatchObject({
      AWS_ACCESS_KEY_ID: "test",
      AWS_REGION: "us-east-1",
    });
    expect(endpointEnvironment(URL_OF_ENGINE, { AWS_DEFAULT_REGION: "eu-west-1" })).toMatchObject({
      AWS_REGION: "eu-west-1",
    });
    const withProfile = endpointEnvironment(URL_OF_ENGINE, { AWS_PROFILE: "localstack" });
    expect(withProfile).toMatchObject({ AWS_PROFILE: "localstack" });
    expect(withProfile).not.toHaveProperty("AWS_ACCESS_KEY_ID");
    expect(withProfile).not.toHaveProperty("AWS_REGION");
  });
});

describe("an engine that can not serve a stack", () => {
  let engine: Server;
  let url: string;
  beforeAll(async () => {
    engine = createServer((request, response) => {
      const target = String(request.headers["x-amz-target"] ?? "");
      const lacks = target.startsWith("AmazonEC2ContainerService");
      response.writeHead(lacks ? 501 : 200);
      response.end(lacks ? '{"__type":"InternalFailure","message":"ecs is not included"}' : "{}");
    });
    await new Promise<void>((resolve) => engine.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(engine.address() as AddressInfo).port}`;
  });
  afterAll(() => engine.close());

  test("nobody answers: one sentence with the URL, infrastructure (3)", async () => {
    expect(await failed(requireReached("http://127.0.0.1:1"))).toMatchObject({
      exitCode: 3,
      message: "Nobody answers at the endpoint http://127.0.0.1:1.",
      next: expect.stringContaining("docs/localstack.md"),
    });
    await requireReached(url);
  });

  test("a service is missing: one sentence that names it in the engine's own words", async () => {
    const failure = await failed(requireServices(url, {}, "wake"));
    expect(failure).toMatchObject({
      exitCode: 3,
      message: `The endpoint ${url} lacks what stepwatch needs: ecs (HTTP 501: ecs is not included).`,
    });
  });

  test("an endpoint of its own is asked for that service, and named where nobody answers", async () => {
    const failure = await failed(requireServices(url, { AWS_ENDPOINT_URL_ECS: "http://127.0.0.1:1" }, "poll"));
    expect(failure.message).toMatch(/lacks what stepwatch needs: ecs \(nobody answers at http:\/\/127\.0\.0\.1:1\)\.$/);
  });
});

describe("an engine that fails while it loads a service", () => {
  let engine: Server;
  let url: string;
  let failuresLeft = 0;
  beforeAll(async () => {
    engine = createServer((request, response) => {
      const fails = String(request.headers["x-amz-target"]).startsWith("Logs") && failuresLeft > 0;
      if (fails) failuresLeft -= 1;
      response.writeHead(fails ? 500 : 200);
      response.end(fails ? '{"message":"deadlock detected"}' : "{}");
    });
    await new Promise<void>((resolve) => engine.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(engine.address() as AddressInfo).port}`;
  });
  afterAll(() => engine.close());

  test("is asked again, and refused where that does not pass", async () => {
    failuresLeft = 2;
    await requireServices(url, {}, "wake", 1);
    expect(failuresLeft).toBe(0);
    failuresLeft = Number.POSITIVE_INFINITY;
    const failure = await failed(requireServices(url, {}, "wake", 1));
    expect(failure.message).toMatch(/lacks what stepwatch needs: logs \(HTTP 500: deadlock detected\)\.$/);
  });
});

describe("an engine whose streams call no function", () => {
  let engine: Server;
  let url: string;
  beforeAll(async () => {
    engine = createServer((request, response) => {
      const lacks = request.url!.includes("event-source-mappings");
      response.writeHead(lacks ? 501 : 200);
      response.end(lacks ? '{"message":"not emulated"}' : "{}");
    });
    await new Promise<void>((resolve) => engine.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(engine.address() as AddressInfo).port}`;
  });
  afterAll(() => engine.close());

  test("is refused for watch: wake with the setting that needs none, and taken with it", async () => {
    expect(await failed(requireServices(url, {}, "wake"))).toMatchObject({
      exitCode: 3,
      message: expect.stringMatching(/lacks what watch: wake needs.*: lambda \(HTTP 501: not emulated\)\.$/),
      next: "Set watch: poll in stepwatch.yaml.",
    });
    await requireServices(url, {}, "poll");
  });
});

test("a longer turn is told where loops take turns: with watch: poll alone", () => {
  expect(turnNotice({ watch: "poll", pollIntervalSeconds: 5 }, 8)).toBe(
    "A turn is 8 s there instead of 5 s (--turn), so that each is answered in time.",
  );
  expect(turnNotice({ watch: "poll", pollIntervalSeconds: 8 }, 8)).toBeNull();
  expect(turnNotice({ watch: "wake", pollIntervalSeconds: 5 }, 8)).toBeNull();
});

test("--local and --endpoint, or --turn without an endpoint: usage (2) before anything is read", async () => {
  const both = await stepwatch(["deploy", "--local", "--endpoint", URL_OF_ENGINE]);
  expect(both.exitCode).toBe(2);
  expect((await stepwatch(["deploy", "--turn", "9"])).exitCode).toBe(2);
  expect((await stepwatch(["deploy", "--turn", "soon", "--endpoint", URL_OF_ENGINE])).exitCode).toBe(2);
});

const failed = (promise: Promise<unknown>) =>
  promise.then(
    () => Promise.reject(new Error("It did not fail.")),
    (error: unknown) => failureOf(error),
  );

function refusalOf(action: () => unknown) {
  try {
    action();
  } catch (error) {
    return failureOf(error);
  }
  throw new Error("It was not refused.");
}
