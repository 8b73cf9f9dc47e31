import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { ensureVenv, type Venv } from "#local/python.ts";
import type { NamedPolicy } from "../support/concrete-template.ts";

const here = import.meta.dirname;

/** An environment of their own, made on first use: 200 MB, most of it descriptions of AWS' resources. */
export const linters = (): Promise<Venv> =>
  ensureVenv(readFileSync(join(here, "requirements.txt"), "utf8").split("\n").filter(Boolean), {
    label: "the linters' environment",
  });

/** Regions whose resource descriptions templates are held against: the oldest, a European one, a small one. */
const REGIONS = ["us-east-1", "eu-central-1", "ap-southeast-3"];

export interface TemplateFinding {
  readonly rule: string;
  readonly message: string;
  readonly file: string;
}

/** What cfn-lint says of templates. It ends with a code of its own where it finds something; 1 and 32 on are its own failures. */
export async function lintTemplates({ bin }: Venv, files: readonly string[]): Promise<TemplateFinding[]> {
  const options = ["--format", "json", "--regions", ...REGIONS, "--"];
  const { code, stdout, stderr } = await run(join(bin, "cfn-lint"), [...options, ...files], "");
  if (code === 1 || code >= 32) throw new Error(`cfn-lint ended with ${code}: ${stderr}`);
  const found = JSON.parse(stdout) as { Rule: { Id: string }; Message: string; Filename: string }[];
  return found.map(({ Rule, Message, Filename }) => ({ rule: Rule.Id, message: Message, file: Filename }));
}

export interface PolicyFinding {
  readonly policy: string;
  readonly sid: string;
  readonly rule: string;
  readonly detail: string;
}

/** What iam_lint.py says of policies: actions, resources and condition keys that AWS does not know, and risks. */
export async function lintPolicies({ bin }: Venv, policies: readonly NamedPolicy[]): Promise<PolicyFinding[]> {
  const script = join(here, "iam_lint.py");
  const { code, stdout, stderr } = await run(join(bin, "python"), [script], JSON.stringify(policies));
  if (code !== 0) throw new Error(`iam_lint.py ended with ${code}: ${stderr}`);
  return JSON.parse(stdout) as PolicyFinding[];
}

async function run(program: string, args: readonly string[], input: string) {
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
  const ended = new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code ?? 1));
  });
  child.stdin.end(input);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await ended, stdout, stderr };
}
