import { isAbsolute, relative, sep } from "node:path";
import { stringify } from "yaml";

/** A dbt project as it is to stand in stepwatch.yaml. */
export interface InitProject {
  readonly name: string;
  readonly projectDir: string;
  readonly profilesDir: string;
  readonly profile: string;
  readonly target: string | null;
  readonly adapter: string;
  readonly packages: readonly string[];
}

export const APP_FILE = "stepwatch-app.mjs";

/** Completes fields and explains them in an editor; the path is there once the package is installed. */
const SCHEMA_LINE = "# yaml-language-server: $schema=./node_modules/stepwatch/schemas/stepwatch.schema.json";

/** stepwatch.yaml of these projects, whose paths begin in its folder. */
export function configText(projects: readonly InitProject[], folder: string): string {
  const entries = projects.map(({ name, projectDir, profilesDir, target, packages }) => [
    name,
    {
      projectDir: pathFrom(folder, projectDir),
      ...(profilesDir !== projectDir && { profilesDir: pathFrom(folder, profilesDir) }),
      ...(target !== null && { target }),
      dbt: { packages },
    },
  ]);
  const yaml = stringify({ projects: Object.fromEntries(entries) }, { lineWidth: 0 });
  return `${SCHEMA_LINE}\n${yaml}`;
}

/** As a person would write it: below the folder or near it by the way there, elsewhere by its whole path. */
function pathFrom(folder: string, path: string): string {
  const way = relative(folder, path);
  if (way === "") return ".";
  return isAbsolute(way) || way.split(sep).filter((part) => part === "..").length > 3 ? path : way;
}

export const APP_TEXT = `// The CDK app of stepwatch.yaml, for AWS: npx cdk deploy. On the embedded AWS: npx stepwatch deploy --local.
import { App } from "aws-cdk-lib";
import { StepwatchStack } from "stepwatch";

const app = new App();
const stack = await StepwatchStack.fromConfig(app, "stepwatch.yaml");

// What else a project's dbt may do: someBucket.grantRead(stack.project("my_project").taskRole)
`;

export const CDK_TEXT = `${JSON.stringify({ app: `node ${APP_FILE}`, output: "cdk.out" }, null, 2)}\n`;

const IGNORED = ["node_modules/", ".stepwatch/", "cdk.out/"];

/** What of {@link IGNORED} a .gitignore does not name yet, in any of the ways of writing it. */
export function missingLines(text: string): string[] {
  const lines = new Set(
    text.split("\n").map((line) =>
      line
        .trim()
        .replace(/^(\*\*)?\//, "")
        .replace(/\/$/, ""),
    ),
  );
  return IGNORED.filter((line) => !lines.has(line.replace(/\/$/, "")));
}
