import { Duration, Stack } from "aws-cdk-lib";
import { Rule } from "aws-cdk-lib/aws-events";
import { LambdaFunction } from "aws-cdk-lib/aws-events-targets";
import type { IFunction } from "aws-cdk-lib/aws-lambda";
import { Construct } from "constructs";
import type { ProjectConfig, StepwatchConfig } from "#core/config.ts";
import { EVENT_SOURCE } from "#core/contracts/events.ts";
import type { LineageSettings } from "#core/contracts/lineage.ts";
import { InputError } from "#core/errors.ts";
import { datasetNamespace } from "#core/run/lineage/dataset-names.ts";
import { LINEAGE_TYPES } from "#core/run/lineage/open-lineage.ts";
import { targetOutput } from "./database-place.ts";
import type { TellingFunctionProps } from "./functions.ts";
import { readSecret } from "./secrets.ts";

export interface LineageProps {
  readonly stackName: string;
  readonly settings: NonNullable<StepwatchConfig["openLineage"]>;
  readonly projects: readonly ProjectConfig[];
}

const EVENT_AGE = Duration.hours(6);

/** A lineage service that is told of runs and tables. */
export class Lineage extends Construct {
  readonly ofFunction: TellingFunctionProps;
  readonly #stackName: string;

  constructor(scope: Construct, id: string, { stackName, settings, projects }: LineageProps) {
    super(scope, id);
    this.#stackName = stackName;
    const { url, namespace, apiKeySecret } = settings;
    const told: LineageSettings = {
      ...{ url, namespace, warehouses: warehousesOf(settings, projects) },
      ...(apiKeySecret !== undefined && { apiKeySecret }),
    };
    const stack = Stack.of(this);
    this.ofFunction = {
      environment: { STEPWATCH_LINEAGE: JSON.stringify(told) },
      permissions: apiKeySecret === undefined ? [] : [readSecret(stack, apiKeySecret)],
    };
  }

  callOnEvents(lineage: IFunction): void {
    new Rule(this, "Told", {
      description: "Runs and tables of stepwatch that a lineage service is told of",
      eventPattern: { source: [EVENT_SOURCE], detailType: [...LINEAGE_TYPES], detail: { stack: [this.#stackName] } },
      targets: [new LambdaFunction(lineage, { maxEventAge: EVENT_AGE })],
    });
  }
}

/** @throws {InputError} where a profile does not say where its tables are: a wrong name joins what is not one. */
function warehousesOf(
  { warehouses }: LineageProps["settings"],
  projects: readonly ProjectConfig[],
): Record<string, string> {
  const problems: string[] = [];
  const found = projects.map((project) => {
    const known =
      warehouses[project.name] ?? datasetNamespace((targetOutput(project) ?? {}) as Record<string, unknown>);
    if (known === null)
      problems.push(
        `openLineage.warehouses.${project.name} is missing: the profile does not say it without a template. Name the warehouse as OpenLineage does, such as postgres://host:5432, snowflake://organization-account or bigquery.`,
      );
    return [project.name, known ?? ""] as const;
  });
  if (problems.length > 0) throw new InputError("stepwatch.yaml refused", problems);
  return Object.fromEntries(found);
}
