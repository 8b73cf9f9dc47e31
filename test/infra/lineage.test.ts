import { describe, expect, test } from "vitest";
import { exampleConfig } from "../support/projects.ts";
import { DeployedRole, roleIdOf } from "../support/roles.ts";
import { resourcesOf, synthesise } from "./example-stack.ts";

const URL = "https://marquez.example.com/api/v1/lineage";
const openLineage = { url: URL, namespace: "nightly", apiKeySecret: "marquez", warehouses: { shop: "bigquery" } };

describe("H3: openLineage", () => {
  test("has a function and a rule where it is asked for; the function reads one secret, and no row or object", () => {
    const { template } = synthesise(exampleConfig({ openLineage }));
    const made = Object.values(resourcesOf(template)).find(
      ({ Properties }) => Properties?.FunctionName === "stepwatch-lineage",
    );
    const { Variables } = (made!.Properties as unknown as { Environment: { Variables: Record<string, string> } })
      .Environment;
    expect(JSON.parse(Variables.STEPWATCH_LINEAGE!)).toEqual({ ...openLineage });
    const role = new DeployedRole(template, roleIdOf(template, "lineage"));
    const secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret";
    const decide = (action: string, resource: string) => role.decide({ action, resource, context: {} } as never);
    expect(decide("secretsmanager:GetSecretValue", `${secret}:marquez-AbCdEf`)).toBe("allowed");
    expect(decide("secretsmanager:GetSecretValue", `${secret}:warehouse-AbCdEf`)).not.toBe("allowed");
    const names = Object.values(resourcesOf(synthesise().template)).map(({ Properties }) => Properties?.FunctionName);
    expect(names).not.toContain("stepwatch-lineage");
  });

  test.each([
    [{ ...openLineage, warehouses: {} }, {}, /openLineage\.warehouses\.shop is missing/],
    [{ ...openLineage, url: "http://marquez.example.com/api" }, {}, /is not https/],
    [{ ...openLineage, url: "https://me:secret@marquez.example.com/api" }, {}, /holds a user or password/],
    [{ ...openLineage, url: "marquez" }, {}, /no address of a lineage service/],
    [openLineage, { events: { datasets: false } }, /made of the events of runs and datasets/],
  ])("%j with %j is refused by its reason", (given, more, reason) => {
    expect(() => synthesise(exampleConfig({ openLineage: given, ...more }))).toThrow(reason);
  });
});
