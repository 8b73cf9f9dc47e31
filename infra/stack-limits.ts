import { counted } from "#core/counted.ts";
import { RUN_STATES } from "./state-machines/run-machine.ts";

/** What the ids of projects' scopes begin with. */
export const PROJECT_SCOPE = "Project-";

/** The same in logical ids, which hold letters and digits alone. */
const PROJECT_ID = PROJECT_SCOPE.replace("-", "");

/** Context that switches CDK's own count of resources off: ours says what to do. */
export const NO_LIMIT_OF_CDK = { "@aws-cdk/core:stackResourceLimit": 0 };

/** What AWS refuses of a stack by size, with its source. A deploy would say it an hour later, half done. */
export const STACK_LIMITS = {
  /** CloudFormation user guide, "Quotas": resources of a template, and bytes of a template in S3. */
  resources: 500,
  templateBytes: 1_000_000,
  /** IAM user guide, "Quotas": characters without white space of all inline policies of a role together. */
  rolePolicyCharacters: 10_240,
  /** Step Functions developer guide, "Quotas". */
  definitionBytes: 1_048_576,
  /**
   * The settings of all projects in start-run's payload. A payload has 262,144 bytes; what is left over is the run
   * input's, and the envelope's.
   */
  settingsBytes: 200 * 1024,
  /** EventBridge, PutTargets: constant input of a rule's target. */
  ruleInputCharacters: 8_192,
  /** Lambda developer guide, "Lambda quotas": all environment variables of a function. */
  functionVariablesBytes: 4_096,
  /** ECS developer guide, "Service quotas": a task definition. */
  taskDefinitionBytes: 64 * 1024,
} as const;

/**
 * Characters that stand for what CloudFormation fills in. The longest are ARNs of roles below our path: 31 and the
 * account, a path of 52 and a name of 64.
 */
const FILLED_IN = 170;
const SHORTER: Readonly<Record<string, number>> = {
  "AWS::Partition": 10,
  "AWS::Region": 14,
  "AWS::AccountId": 12,
  "AWS::URLSuffix": 16,
  // By type of what is named: ids, and a name of ours.
  "AWS::EC2::Subnet": 24,
  "AWS::EC2::SecurityGroup": 20,
  "AWS::ECS::Cluster": 60,
};

interface Resource {
  readonly Type: string;
  readonly Properties?: Readonly<Record<string, unknown>>;
}

export interface Template {
  readonly Resources?: Readonly<Record<string, Resource>>;
}

/**
 * Why a synthesised stack of so many projects could not be deployed, one sentence each; none if it can.
 * @param templateBytes of the file that is uploaded.
 */
export function stackProblems(template: Template, projectCount: number, templateBytes: number): string[] {
  const resources = Object.entries(template.Resources ?? {});
  const measure = measures(template);
  const problems = resources.flatMap(([id, resource]) => problemsOf(id, resource, measure));
  if (templateBytes > STACK_LIMITS.templateBytes)
    problems.push(tooMuch("The template", templateBytes, "bytes", STACK_LIMITS.templateBytes, SPLIT));
  if (resources.length > STACK_LIMITS.resources) {
    const advice = whatFits(resources, projectCount);
    problems.push(tooMuch("The stack", resources.length, "resources", STACK_LIMITS.resources, advice));
  }
  for (const [role, size] of policySizes(resources, measure)) {
    if (size <= STACK_LIMITS.rolePolicyCharacters) continue;
    const advice = role.startsWith(PROJECT_ID) ? "name fewer statements or secrets in its project" : SPLIT;
    problems.push(
      tooMuch(`The role ${role}`, size, "characters of policies", STACK_LIMITS.rolePolicyCharacters, advice),
    );
  }
  return problems;
}

const SPLIT = "give some of the projects a stepwatch.yaml of their own, with another stackName";

const tooMuch = (what: string, size: number, unit: string, limit: number, advice: string) =>
  `${what} has ${size.toLocaleString("en")} ${unit}, and AWS takes ${limit.toLocaleString("en")}: ${advice}.`;

/** How many projects like these fit. */
function whatFits(resources: readonly (readonly [string, Resource])[], projectCount: number): string {
  const ofProjects = resources.filter(([id]) => id.startsWith(PROJECT_ID)).length;
  const room = STACK_LIMITS.resources - (resources.length - ofProjects);
  const fit = Math.floor(room / (ofProjects / projectCount));
  return `it has ${counted(projectCount, "project")}, and ${fit} like these fit; ${SPLIT}`;
}

function problemsOf(id: string, { Type, Properties = {} }: Resource, { filled, jsonLength }: Measure): string[] {
  if (Type === "AWS::StepFunctions::StateMachine") return machineProblems(id, filled(Properties.DefinitionString));
  if (Type === "AWS::ECS::TaskDefinition") {
    const most = STACK_LIMITS.taskDefinitionBytes;
    const bytes = jsonLength(Properties);
    const advice = "name fewer variables or secrets in its project";
    return bytes > most ? [tooMuch(`The task definition ${id}`, bytes, "bytes", most, advice)] : [];
  }
  if (Type === "AWS::Lambda::Function") {
    const most = STACK_LIMITS.functionVariablesBytes;
    const bytes = jsonLength((Properties.Environment as { Variables?: object } | undefined)?.Variables ?? {});
    return bytes > most ? [tooMuch(`The function ${id}`, bytes, "bytes of environment variables", most, SPLIT)] : [];
  }
  if (Type !== "AWS::Events::Rule") return [];
  const most = STACK_LIMITS.ruleInputCharacters;
  return ((Properties.Targets ?? []) as { Input?: unknown }[])
    .map(({ Input }) => filled(Input ?? "").length)
    .filter((size) => size > most)
    .map((size) => tooMuch(`The rule ${id}`, size, "characters of input", most, SPLIT));
}

function machineProblems(id: string, definition: string): string[] {
  const problems: string[] = [];
  const size = Buffer.byteLength(definition);
  if (size > STACK_LIMITS.definitionBytes)
    problems.push(tooMuch(`The machine ${id}`, size, "bytes", STACK_LIMITS.definitionBytes, SPLIT));
  const { States } = JSON.parse(definition) as {
    States: Record<string, { Parameters?: { Payload?: { projects?: object } } }>;
  };
  const settings = States[RUN_STATES.start]?.Parameters?.Payload?.projects;
  const bytes = settings === undefined ? 0 : Buffer.byteLength(JSON.stringify(settings));
  const what = "What a run's start is told of the projects";
  if (bytes > STACK_LIMITS.settingsBytes)
    problems.push(tooMuch(what, bytes, "bytes", STACK_LIMITS.settingsBytes, SPLIT));
  return problems;
}

/** Characters of all inline policies by role, those that are attached as resources of their own among them. */
function policySizes(
  resources: readonly (readonly [string, Resource])[],
  { filled, jsonLength }: Measure,
): Map<string, number> {
  const sizes = new Map<string, number>();
  const add = (role: string, document: unknown) => sizes.set(role, (sizes.get(role) ?? 0) + jsonLength(document));
  for (const [id, { Type, Properties = {} }] of resources) {
    if (Type === "AWS::IAM::Role")
      for (const { PolicyDocument } of (Properties.Policies ?? []) as { PolicyDocument: unknown }[])
        add(id, PolicyDocument);
    if (Type === "AWS::IAM::Policy")
      for (const role of (Properties.Roles ?? []) as { Ref?: string }[])
        add(role.Ref ?? filled(role), Properties.PolicyDocument);
  }
  return sizes;
}

interface Measure {
  /** A text with something of full length where CloudFormation fills in. */
  readonly filled: (value: unknown) => string;
  /** Bytes as JSON without white space. */
  readonly jsonLength: (value: unknown) => number;
}

function measures(template: Template): Measure {
  const lengthOf = (name: string) => SHORTER[name] ?? SHORTER[template.Resources?.[name]?.Type ?? ""] ?? FILLED_IN;
  const filled = (value: unknown): string => {
    if (typeof value !== "object" || value === null) return String(value);
    const [[name, argument] = ["", undefined]] = Object.entries(value);
    if (name === "Ref") return "x".repeat(lengthOf(String(argument)));
    if (name === "Fn::GetAtt") return "x".repeat(lengthOf(String((argument as string[])[0])));
    if (name !== "Fn::Join") return "x".repeat(FILLED_IN);
    const [separator, parts] = argument as [string, unknown[]];
    return parts.map(filled).join(separator);
  };
  const jsonLength = (value: unknown): number => {
    if (typeof value !== "object" || value === null) return Buffer.byteLength(JSON.stringify(value) ?? "");
    if (isFunction(value)) return Buffer.byteLength(filled(value)) + 2;
    const parts = Array.isArray(value)
      ? value.map(jsonLength)
      : Object.entries(value).map(([key, inner]) => JSON.stringify(key).length + 1 + jsonLength(inner));
    return 2 + Math.max(0, parts.length - 1) + parts.reduce((sum, part) => sum + part, 0);
  };
  return { filled, jsonLength };
}

const isFunction = (value: object): boolean => {
  const [name = "", ...others] = Object.keys(value);
  return others.length === 0 && (name === "Ref" || name.startsWith("Fn::"));
};
