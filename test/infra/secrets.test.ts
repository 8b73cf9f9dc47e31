import { expect, test } from "vitest";
import { exampleConfig } from "../support/projects.ts";
import { asText, listOf, resourcesOf, statementsOf, synthesise } from "./example-stack.ts";

const ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:warehouse-secret-AbCdEf";
const KEY = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-4e5f-6789-abcd-0123456789ab";

const stackWith = (project: Record<string, unknown>) => synthesise(exampleConfig({}, project)).template;

/** Variable and reference of each secret of the producer's container. */
function referencesOf(template: ReturnType<typeof stackWith>): Record<string, string> {
  const definition = Object.values(resourcesOf(template)).find(({ Type }) => Type === "AWS::ECS::TaskDefinition");
  const [container] = (definition!.Properties as unknown as { ContainerDefinitions: [{ Secrets: Named[] }] })
    .ContainerDefinitions;
  return Object.fromEntries(container.Secrets.map(({ Name, ValueFrom }) => [Name, asText(ValueFrom)]));
}

interface Named {
  readonly Name: string;
  readonly ValueFrom: unknown;
}

const allowedOn = (template: ReturnType<typeof stackWith>, action: string) =>
  statementsOf(template).flatMap(({ statement }) =>
    listOf(statement.Action).includes(action) ? listOf(statement.Resource).map(asText) : [],
  );

test.each([
  [ARN, ARN, ARN],
  [`${ARN}:password`, `${ARN}:password::`, ARN],
  [`${ARN}:password::`, `${ARN}:password::`, ARN],
  [`${ARN}:password:AWSPREVIOUS:`, `${ARN}:password:AWSPREVIOUS:`, ARN],
  [ARN.replace(/-AbCdEf$/, "s"), ARN.replace(/-AbCdEf$/, "s"), `${ARN.replace(/-AbCdEf$/, "s")}-??????`],
])("%s is given to ECS as %s and read as %s", (reference, valueFrom, resource) => {
  const template = stackWith({ secrets: { PW: reference } });
  expect(referencesOf(template)).toEqual({ PW: valueFrom });
  expect(allowedOn(template, "secretsmanager:GetSecretValue")).toEqual([resource]);
});

test("a key of one's own is used by the execution role, through the services that hold the secrets, where they are", () => {
  const secrets = { A: "warehouse", B: "/dbt/token", C: ARN };
  const template = stackWith({ secrets, kmsKeyArns: [KEY] });
  const using = statementsOf(template).filter(({ statement }) => listOf(statement.Action).includes("kms:Decrypt"));
  expect(using.map(({ owner }) => owner)).toEqual([expect.stringMatching(/^ProjectshopExecutionRole/)]);
  const { Resource, Condition } = using[0]!.statement;
  expect(Resource).toBe(KEY);
  const services = (Condition as { StringEquals: { "kms:ViaService": unknown[] } }).StringEquals["kms:ViaService"];
  expect(services.map(asText).sort()).toEqual([
    "secretsmanager.<AWS::Region>.amazonaws.com",
    "secretsmanager.eu-central-1.amazonaws.com",
    "ssm.<AWS::Region>.amazonaws.com",
  ]);
  expect(allowedOn(stackWith({ secrets }), "kms:Decrypt")).toEqual([]);
});
