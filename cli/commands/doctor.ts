import type { StepwatchConfig } from "#core/config.ts";
import { InputError } from "#core/errors.ts";
import { status } from "#local/embedded-aws.ts";
import { sameOptions } from "../command-line.ts";
import type { CommonOptions, Context } from "../context.ts";
import { readDeployment } from "../deployment-record.ts";
import { type Account, examineAccount, realAccount } from "../doctor/account.ts";
import { type Finding, type FindingState, findingsOf } from "../doctor/finding.ts";
import { examineMachine } from "../doctor/machine.ts";
import { examineProject } from "../doctor/project.ts";
import { exitCodes } from "../failure.ts";
import { printJson, printLines } from "../output.ts";
import { configNameOf, stateDirOf } from "../paths.ts";
import { version } from "../version.ts";

export interface DoctorFlags extends CommonOptions {
  readonly connection?: boolean;
}

const MARKS: Readonly<Record<FindingState, string>> = { ok: "✔", none: "-", unknown: "?", warning: "!", problem: "✖" };

/**
 * `stepwatch doctor`: looks at everything that a local run or a deploy needs, changes nothing, and says one sentence of
 * each. Exit code 1 if something would fail.
 */
export async function doctorCommand(
  context: Context,
  flags: DoctorFlags,
  account: Account = realAccount(),
): Promise<number> {
  const { config, finding } = configFinding(context, flags);
  const projects = Object.values(config?.projects ?? {});
  const deploy = `npx stepwatch deploy --local${sameOptions({ config: flags.config })}`;
  const examination = { environment: context.environment, connection: flags.connection === true, deploy };
  const stack = flags.stack ?? config?.stackName ?? "stepwatch";
  const [machine, ofProjects, ofAccount] = await Promise.all([
    examineMachine(stateDirOf(context.environment), context.environment),
    Promise.all(projects.map((project) => examineProject(project, examination))),
    examineAccount(account, config, { stack, needed: flags.stack !== undefined }),
  ]);
  const findings = [...machine, await embeddedFinding(context, deploy), finding, ...ofProjects.flat(), ...ofAccount];
  const problems = findings.filter(({ state }) => state === "problem").length;
  if (flags.json === true) printJson(context, { contract: 1, version, healthy: problems === 0, findings });
  else printLines(context, wordsOf(findings, problems));
  return problems === 0 ? exitCodes.green : exitCodes.red;
}

function configFinding(context: Context, flags: DoctorFlags): { config: StepwatchConfig | null; finding: Finding } {
  const name = configNameOf(flags.config, context.cwd);
  try {
    const config = context.loadConfig(flags.config);
    const projects = Object.keys(config.projects);
    return { config, finding: findingsOf("project")("config", "ok", `${name} holds, with ${projects.join(", ")}.`) };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    const remedy = /does not exist/.test(error.message) ? "npx stepwatch init" : "Correct it.";
    return { config: null, finding: findingsOf("project")("config", "problem", error.message, remedy) };
  }
}

async function embeddedFinding(context: Context, deploy: string): Promise<Finding> {
  const finding = findingsOf("machine");
  const stateDir = stateDirOf(context.environment);
  const { running, endpoints } = await status({ stateDir });
  if (!running) return finding("embedded", "none", "The embedded AWS does not run.", `${deploy} starts it.`);
  const deployed = readDeployment(stateDir);
  return finding(
    "embedded",
    "ok",
    `The embedded AWS runs at ${endpoints?.awsEndpointUrl}${deployed === null ? "" : `, with the stack ${deployed.stackName}`}.`,
  );
}

function wordsOf(findings: readonly Finding[], problems: number): string[] {
  return [
    ...findings.flatMap(({ state, sentence, remedy }) => [
      `${MARKS[state]} ${sentence}`,
      ...(remedy === null || state === "ok" ? [] : [`    → ${remedy}`]),
    ]),
    "",
    problems === 0
      ? "Nothing stands in the way."
      : `${problems} of ${findings.length} would make a deploy or run fail.`,
  ];
}
