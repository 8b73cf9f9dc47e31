import { describe, expect, test, vi } from "vitest";
import { type Template as Limited, STACK_LIMITS, stackProblems } from "../../infra/stack-limits.ts";
import { exampleConfig } from "../support/projects.ts";
import { resourcesOf, synthesise } from "./example-stack.ts";

/** A stack of so many projects, with the longest names that there may be. */
function stackOf(count: number, project: Record<string, unknown> = {}, nameLength = 63) {
  const names = Array.from({ length: count }, (_, n) => `p${"x".repeat(nameLength - 3)}${String(n).padStart(2, "0")}`);
  const projects = Object.fromEntries(names.map((name) => [name, { projectDir: name, ...project }]));
  return synthesise(exampleConfig({ stackName: "s".repeat(40), projects })).template.toJSON() as Limited;
}

const problemsOf = (template: Limited, count: number) =>
  stackProblems(template, count, JSON.stringify(template).length);

const rich = {
  schedule: "cron(0 3 ? * MON-FRI *)",
  scheduleTimeZone: "Europe/Berlin",
  secrets: { PASSWORD: "warehouse:password", TOKEN: "/dbt/token" },
  environment: { A: "1", B: "2" },
};

describe("the size of a stack", () => {
  test("thirty projects with everything fit into one stack", () => {
    expect(problemsOf(stackOf(30, rich), 30)).toEqual([]);
  });

  test("no function's policy grows with the projects", () => {
    const ofFunctions = (count: number) =>
      Object.entries(stackOf(count).Resources ?? {}).filter(
        ([id, { Type }]) => Type === "AWS::IAM::Role" && id.startsWith("Functions"),
      );
    expect(ofFunctions(5)).toEqual(ofFunctions(1));
  });

  test("more projects than CloudFormation takes are refused by one sentence that says how many fit", () => {
    const silent = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const [problem, ...others] = problemsOf(stackOf(60, rich, 12), 60);
    silent.mockRestore();
    expect(others).toEqual([]);
    const fit = Number(/and (\d+) like these fit/.exec(problem ?? "")?.[1]);
    expect(problem).toMatch(
      /^The stack has \d+ resources, and AWS takes 500: it has 60 projects, and \d+ like these fit; /,
    );
    expect(fit).toBeGreaterThanOrEqual(30);
    expect(problemsOf(stackOf(fit, rich, 12), fit)).toEqual([]);
  });

  test("H3: warehouses that a lineage function's environment does not hold are refused", () => {
    const names = Array.from({ length: 30 }, (_, n) => `p${n}`);
    const warehouses = Object.fromEntries(names.map((name) => [name, `postgres://${"h".repeat(180)}`]));
    const openLineage = { url: "https://lineage.example.com/api/v1/lineage", namespace: "n", warehouses };
    const projects = Object.fromEntries(names.map((name) => [name, { projectDir: name }]));
    const template = synthesise(exampleConfig({ projects, openLineage })).template.toJSON() as Limited;
    expect(problemsOf(template, 30)).toEqual([
      expect.stringMatching(
        /^The function Functionslineage\w+ has [\d,]+ bytes of environment variables, and AWS takes 4,096: give /,
      ),
    ]);
  });

  test("settings that a run's start could not be told are refused", () => {
    const failureMessages = Array.from({ length: 50 }, (_, n) => ({
      pattern: `${"x".repeat(400)}${n}`,
      kind: "connection",
    }));
    const problems = problemsOf(stackOf(10, { policy: { failureMessages } }), 10);
    expect(problems).toEqual([
      expect.stringMatching(
        /^What a run's start is told of the projects has [\d,]+ bytes, and AWS takes 204,800: give some /,
      ),
    ]);
  });

  test("a role's policies, a task definition, a rule and a template are held to their limits", () => {
    const policy = { PolicyDocument: { Statement: ["x".repeat(STACK_LIMITS.rolePolicyCharacters / 2)] } };
    const template = {
      Resources: {
        ProjectARole: { Type: "AWS::IAM::Role", Properties: { Policies: [policy] } },
        More: { Type: "AWS::IAM::Policy", Properties: { ...policy, Roles: [{ Ref: "ProjectARole" }] } },
        Definition: { Type: "AWS::ECS::TaskDefinition", Properties: { Family: "x".repeat(70_000) } },
        Rule: { Type: "AWS::Events::Rule", Properties: { Targets: [{ Input: "x".repeat(9_000) }] } },
      },
    };
    expect(stackProblems(template, 1, 1_000_001)).toEqual([
      expect.stringMatching(
        /^The task definition Definition has 70,\d+ bytes, and AWS takes 65,536: name fewer variables/,
      ),
      expect.stringMatching(
        /^The rule Rule has 9,000 characters of input, and AWS takes 8,192: give some of the projects/,
      ),
      expect.stringMatching(/^The template has 1,000,001 bytes, and AWS takes 1,000,000: give some of the projects/),
      expect.stringMatching(
        /^The role ProjectARole has 10,\d+ characters of policies, and AWS takes 10,240: name fewer/,
      ),
    ]);
  });
});

describe("D9: any name of a project makes a stack", () => {
  const names = [
    "Ledger",
    "Artefacts",
    "Network",
    "Cluster",
    "Functions",
    "Machines",
    "StopRules",
    "Projects",
    "Default",
  ];
  const more = ["Resource", "TaskRole", "Log", "Schedule", "Image", "a", "a-schedule", "a-image", "RunMachineArn", "A"];

  test("those of its own parts, of CDK and of another project's parts among them", () => {
    const projects = Object.fromEntries(
      [...names, ...more].map((name) => [name, { projectDir: name, schedule: "rate(1 day)" }]),
    );
    const { template } = synthesise(exampleConfig({ projects }));
    const families = Object.values(resourcesOf(template)).flatMap(({ Type, Properties }) =>
      Type === "AWS::ECS::TaskDefinition" ? [String(Properties.Family)] : [],
    );
    expect(new Set(families).size).toBe(2 * (names.length + more.length));
    template.resourceCountIs("AWS::Scheduler::Schedule", names.length + more.length);
  });
});
