import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { parseConfig } from "#core/config.ts";
import { addBuildOptions, buildOptionsOf } from "../../cli/build-options.ts";

const folder = join(import.meta.dirname, "../../examples/github-actions");
const read = (name: string) => readFileSync(join(folder, name), "utf8");

interface Workflow {
  readonly permissions: Record<string, string>;
  readonly jobs: Record<string, { readonly steps: readonly { readonly run?: string; readonly uses?: string }[] }>;
}
const workflows = readdirSync(folder)
  .filter((name) => name.endsWith(".yml"))
  .map((name) => [name, parse(read(name)) as Workflow] as const);
const stepsOf = ({ jobs }: Workflow) => Object.values(jobs).flatMap(({ steps }) => steps);

/** The arguments of a command line without a shell: what is quoted is one. */
const words = (line: string) => [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare!);

describe("the example workflows", () => {
  test.each(workflows)("%s takes its credentials by OIDC and holds no key", (name, workflow) => {
    expect(workflow.permissions["id-token"]).toBe("write");
    expect(stepsOf(workflow).some(({ uses }) => uses?.startsWith("aws-actions/configure-aws-credentials@"))).toBe(true);
    expect(read(name)).not.toMatch(/secrets\.|access-key/);
  });

  test.each(workflows)("variables of the repository that %s reads are explained beside it", (name) => {
    const named = [...read(name).matchAll(/vars\.(\w+)/g)].map(([, variable]) => variable!);
    expect(named.length).toBeGreaterThan(0);
    for (const variable of named) expect(read("README.md")).toContain(`\`${variable}\``);
  });

  test("H10: the slim run's options are those of this command line, and select by a state", () => {
    const lines = workflows.flatMap(([, workflow]) => stepsOf(workflow).flatMap(({ run }) => run?.trim() ?? []));
    const runs = lines.filter((line) => line.startsWith("npx stepwatch run"));
    expect(runs).toHaveLength(2);
    const selected = runs.map((line) => {
      const command = addBuildOptions(new Command().exitOverride().argument("<project>"))
        .option("--config <path>")
        .option("--stack <name>")
        .option("--commit <sha>");
      command.parse(words(line).slice(3), { from: "user" });
      expect(command.args).toEqual(["shop"]);
      return buildOptionsOf(command.opts());
    });
    expect(selected).toEqual(
      expect.arrayContaining([{}, { select: ["state:modified+"], vars: { pull_request: "$PULL_REQUEST" } }]),
    );
  });

  test("H10: the stack of pull requests compares with production's latest green run, and defers to it", () => {
    const { stackName, projects } = parseConfig(parse(read("stepwatch.ci.yaml")), "/repo", join);
    expect(stackName).toBe("stepwatch-ci");
    expect(projects.shop).toMatchObject({
      target: "ci",
      build: { state: expect.stringMatching(/^s3:\/\/[\w-]+\/latest-green\/shop$/), defer: true },
    });
  });
});
