import { expect, test } from "vitest";
import { argvOf } from "#local/ecs/container-launch.ts";
import { environmentOf } from "#local/ecs/local-image.ts";
import { parameterName } from "#local/ecs/secrets.ts";
import { parseTaskDefinition } from "#local/ecs/task-definition.ts";

const camelCase = {
  taskDefinitionArn: "arn:aws:ecs:us-east-1:000000000000:task-definition/runner:3",
  family: "runner",
  revision: 3,
  networkMode: "awsvpc",
  cpu: "512",
  memory: "1024",
  containerDefinitions: [
    {
      name: "runner",
      image: "example/dbt:1",
      command: ["build"],
      environment: [{ name: "A", value: "1" }],
      secrets: [{ name: "PASSWORD", valueFrom: "warehouse" }],
      stopTimeout: 90,
      logConfiguration: {
        logDriver: "awslogs",
        options: { "awslogs-group": "/dbt", "awslogs-stream-prefix": "run" },
      },
    },
  ],
};

/** CloudFormation's spelling, which the emulator keeps below the first level. */
function pascalCase(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(pascalCase);
  if (typeof value !== "object" || value === null) return value;
  const renamed = Object.entries(value).map(([name, inner]) => [
    name.startsWith("awslogs") ? name : name.charAt(0).toUpperCase() + name.slice(1),
    pascalCase(inner),
  ]);
  return Object.fromEntries(renamed);
}

test("a task definition reads the same in both spellings", () => {
  const parsed = parseTaskDefinition(camelCase);
  expect(parsed).toMatchObject({ family: "runner", revision: 3, networkMode: "awsvpc", cpu: "512", memory: "1024" });
  expect(parsed.containers).toEqual([
    {
      name: "runner",
      image: "example/dbt:1",
      essential: true,
      entryPoint: undefined,
      command: ["build"],
      workingDirectory: undefined,
      environment: { A: "1" },
      secrets: { PASSWORD: "warehouse" },
      stopTimeoutSeconds: 90,
      log: { group: "/dbt", streamPrefix: "run", createGroup: false },
    },
  ]);
  expect(parseTaskDefinition(pascalCase(camelCase))).toEqual(parsed);
});

test("what is absent has the default of ECS", () => {
  const [container] = parseTaskDefinition({ containerDefinitions: [{ name: "a", image: "b" }] }).containers;
  expect(container).toMatchObject({
    essential: true,
    stopTimeoutSeconds: 30,
    environment: {},
    secrets: {},
    log: undefined,
  });
  const [side] = parseTaskDefinition({
    containerDefinitions: [{ name: "a", image: "b", essential: "false" }],
  }).containers;
  expect(side?.essential).toBe(false);
});

const [base] = parseTaskDefinition({ containerDefinitions: [{ name: "a", image: "b" }] }).containers;
const image = { Entrypoint: ["entry"], Cmd: ["image"] };

test.each([
  ["the image alone", {}, undefined, ["entry", "image"]],
  ["a command of the definition", { command: ["own"] }, undefined, ["entry", "own"]],
  ["an override of the command", { command: ["own"] }, ["override"], ["entry", "override"]],
  ["an entry point of the definition drops the image's command", { entryPoint: ["other"] }, undefined, ["other"]],
  ["both of the definition", { entryPoint: ["other"], command: ["own"] }, undefined, ["other", "own"]],
])("the command line is as Docker's: %s", (_title, definition, override, expected) => {
  if (base === undefined) throw new Error("The base definition has a container.");
  expect(argvOf({ ...base, ...definition }, image, override)).toEqual(expected);
});

test("the environment of an image may be a list, as in OCI, or an object", () => {
  expect(environmentOf({ Env: ["A=1", "B=x=y"] })).toEqual({ A: "1", B: "x=y" });
  expect(environmentOf({ Env: { A: "1" } })).toEqual({ A: "1" });
  expect(environmentOf({})).toEqual({});
});

test.each([
  ["arn:aws:ssm:us-east-1:000000000000:parameter/dbt/token", "/dbt/token"],
  ["arn:aws:ssm:us-east-1:000000000000:parameter//dbt/token", "/dbt/token"],
  ["arn:aws:ssm:us-east-1:000000000000:parameter/token", "token"],
])("the parameter of %s is %s", (arn, name) => {
  expect(parameterName(arn)).toBe(name);
});
