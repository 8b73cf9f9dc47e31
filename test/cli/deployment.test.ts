import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { deploymentPath, fingerprint, readDeployment, writeDeployment } from "../../cli/deployment-record.ts";
import { embeddedEnvironment } from "../../cli/embedded.ts";
import { failureOf } from "../../cli/failure.ts";
import { resourcesOf } from "../../cli/resources.ts";
import { stackOutputs } from "../../cli/stack-outputs.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const folder = temporaryFolder("deployment");

const outputs = { TableName: "t", BucketName: "b", RunMachineArn: "run", ConsumerMachineArn: "consumer", Other: "x" };

describe("what is deployed", () => {
  test("the record is read back; a broken one counts as none, so that it is deployed again", () => {
    expect(readDeployment(folder)).toBeNull();
    const record = {
      stackName: "stepwatch",
      outputs,
      fingerprint: "f",
      configPath: "/stepwatch.yaml",
      projects: ["shop"],
    };
    writeDeployment(folder, record);
    expect(readDeployment(folder)).toEqual(record);
    writeFileSync(deploymentPath(folder), '{"stackName":');
    expect(readDeployment(folder)).toBeNull();
  });

  test("the fingerprint moves with sources, file names and stepwatch.yaml, and with nothing else", () => {
    const root = join(folder, "checkout");
    mkdirSync(join(root, "core", "run"), { recursive: true });
    const config = join(root, "stepwatch.yaml");
    writeFileSync(config, "projects: {}\n");
    writeFileSync(join(root, "core", "run", "step.ts"), "1");
    const prints = [fingerprint(root, config)];
    writeFileSync(join(root, "README.md"), "not part of the stack");
    expect(fingerprint(root, config)).toBe(prints[0]);
    writeFileSync(join(root, "core", "run", "step.ts"), "2");
    prints.push(fingerprint(root, config));
    writeFileSync(join(root, "core", "new.ts"), "");
    prints.push(fingerprint(root, config));
    writeFileSync(config, "projects: { a: {} }\n");
    prints.push(fingerprint(root, config));
    expect(new Set(prints).size).toBe(4);
  });

  test("a stack without our outputs is refused by name", () => {
    expect(resourcesOf("stepwatch", outputs)).toEqual({
      stackName: "stepwatch",
      table: "t",
      bucket: "b",
      runMachineArn: "run",
      consumerMachineArn: "consumer",
    });
    expect(() => resourcesOf("other", { TableName: "t" })).toThrow(
      /The stack other has no output BucketName, RunMachineArn, ConsumerMachineArn/,
    );
  });

  test("the person's own AWS settings never reach the embedded AWS", () => {
    const endpoints = {
      awsEndpointUrl: "http://127.0.0.1:1",
      ecsEndpointUrl: "http://127.0.0.1:2",
      region: "us-east-1",
      accountId: "000000000000",
      pid: 1,
      startedAt: "",
    } as const;
    const environment = embeddedEnvironment(endpoints, {
      PATH: "/bin",
      AWS_PROFILE: "production",
      AWS_SESSION_TOKEN: "secret",
      AWS_REGION: "eu-central-1",
    });
    expect(environment).toMatchObject({
      PATH: "/bin",
      AWS_ENDPOINT_URL: "http://127.0.0.1:1",
      AWS_REGION: "us-east-1",
      AWS_ACCESS_KEY_ID: "test",
    });
    expect(environment).not.toHaveProperty("AWS_PROFILE");
    expect(environment).not.toHaveProperty("AWS_SESSION_TOKEN");
  });
});

describe("outputs of a stack in AWS", () => {
  const answering = (answer: () => Promise<unknown>) =>
    ({ client: { send: answer } }) as Parameters<typeof stackOutputs>[1];

  test("are read from the answer", async () => {
    const Outputs = [{ OutputKey: "TableName", OutputValue: "t&1" }, { OutputKey: "BucketName", OutputValue: "b" }, {}];
    const client = answering(async () => ({ Stacks: [{ Outputs }] }));
    expect(await stackOutputs("s", client)).toEqual({ TableName: "t&1", BucketName: "b" });
  });

  test("no such stack: infrastructure (3), with what to do", async () => {
    const client = answering(() =>
      Promise.reject(Object.assign(new Error("Stack with id s does not exist"), { name: "ValidationError" })),
    );
    const failure = await stackOutputs("s", client).catch(failureOf);
    expect(failure).toMatchObject({ exitCode: 3, message: "There is no stack s in this account and region." });
  });
});
