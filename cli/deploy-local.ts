import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ProjectConfig, StepwatchConfig } from "#core/config.ts";
import { writeLocalImage } from "#local/ecs/local-image.ts";
import { withLock } from "#local/lock-file.mjs";
import { ensureVenv } from "#local/python.ts";
import { BUNDLE_FOLDER } from "../infra/bundle.ts";
import { localImageConfig, localImageHash, localImageReference } from "../infra/local-image.ts";
import { cdk } from "./cdk.ts";
import { installDbtPackages } from "./dbt-packages.ts";
import { type DeploymentRecord, fingerprint, readDeployment, writeDeployment } from "./deployment-record.ts";
import { isDeployed } from "./embedded.ts";
import { packageRoot } from "./paths.ts";
import { checkExecutable, checkPackages, checkProject } from "./preflight.ts";

export interface LocalDeploy {
  readonly config: StepwatchConfig;
  readonly configPath: string;
  /** Images, runners and work folders: whoever runs the containers reads it. */
  readonly stateDir: string;
  /** Assembly, record and logs of what is deployed to one place; `stateDir` if absent. */
  readonly folder?: string;
  /** A turn is never shorter there, whatever stepwatch.yaml says. */
  readonly leastTurnSeconds?: number;
  readonly environment: Record<string, string | undefined>;
  readonly signal: AbortSignal;
  readonly onProgress: (line: string) => void;
}

/** An AWS on which a container is a process of this machine: the embedded one, or somebody else's engine. */
export interface DeployTarget {
  /** For messages: "the embedded AWS". */
  readonly name: string;
  /** Of the CDK. */
  readonly environment: Record<string, string | undefined>;
  /** What to bootstrap; empty: whatever account and region the credentials are of. */
  readonly account: readonly string[];
  /** Points this process' AWS clients to it. */
  readonly use: () => void;
  /** What to do when the CDK fails there. */
  readonly afterFailure: string;
}

/**
 * The dbt executable of every project, installed if stepwatch.yaml names packages. Projects with the same packages
 * share one environment; different ones are made side by side.
 * @throws {UsageError, PythonEnvironmentError}
 */
export async function installDbt(deploy: LocalDeploy): Promise<Map<string, string>> {
  const projects = Object.values(deploy.config.projects);
  for (const project of projects) {
    checkProject(project, { packages: "installed later" });
    if (project.dbt.executable === undefined) checkPackages(project);
  }
  const executables = await Promise.all(
    projects.map(async (project) => [project.name, await dbtOf(project, deploy)] as const),
  );
  for (const [name, dbt] of executables) await installDbtPackages(deploy.config.projects[name]!, dbt, deploy);
  return new Map(executables);
}

async function dbtOf(project: ProjectConfig, { environment, onProgress }: LocalDeploy): Promise<string> {
  if (project.dbt.executable !== undefined) return checkExecutable(project, environment.PATH ?? "");
  const venv = await ensureVenv(project.dbt.packages, { label: "the dbt environment", onProgress });
  return join(venv.bin, "dbt");
}

const folderOf = ({ folder, stateDir }: LocalDeploy) => folder ?? stateDir;
const assemblyOf = (deploy: LocalDeploy) => join(folderOf(deploy), "cdk.out");
const logOf = (deploy: LocalDeploy, name: string) => join(folderOf(deploy), "logs", `cdk-${name}.log`);
const bundledRunner = () => join(packageRoot, BUNDLE_FOLDER, "dbt-runner", "runner.mjs");

/** What was synthesised, if it had to be: the template and the bundles it holds. */
export interface Synthesis {
  readonly fingerprint: string;
  /** False: the assembly at hand is of the same sources, so that nothing was synthesised. */
  readonly fresh: boolean;
}

/** Synthesises the stack unless the assembly at hand is of the same sources. Needs no emulator: it may be starting yet. */
export async function synthesise(deploy: LocalDeploy): Promise<Synthesis> {
  return alone(deploy, () => synthesiseAlone(deploy));
}

/** One deploy at a time: two that share a state folder share its assembly, the emulator and the stack. */
async function alone<T>(deploy: LocalDeploy, action: () => Promise<T>): Promise<T> {
  const onWait = (pid: number) => deploy.onProgress(`Waiting for process ${pid}, which is deploying …`);
  return withLock(join(folderOf(deploy), "deploy.lock"), action, { onWait, signal: deploy.signal });
}

async function synthesiseAlone(deploy: LocalDeploy): Promise<Synthesis> {
  const { configPath, stateDir, environment, signal, leastTurnSeconds = 0 } = deploy;
  const print = fingerprint(packageRoot, configPath, leastTurnSeconds);
  if (assembledFrom(deploy) === print && existsSync(runnerOf(stateDir, print)))
    return { fingerprint: print, fresh: false };
  deploy.onProgress("Synthesising the stack …");
  rmSync(assemblyOf(deploy), { recursive: true, force: true });
  await cdk({
    doing: "synthesising the stack",
    cdkArguments: ["synth", "--quiet", "--output", assemblyOf(deploy), ...contextOf(configPath, leastTurnSeconds)],
    environment,
    logFile: logOf(deploy, "synth"),
    signal,
  });
  keepRunner(stateDir, print);
  writeFileSync(stampOf(deploy), print);
  return { fingerprint: print, fresh: true };
}

/** Written into the assembly when it is complete: what it was made from. */
const stampOf = (deploy: LocalDeploy) => join(assemblyOf(deploy), "stepwatch-fingerprint");

const assembledFrom = (deploy: LocalDeploy): string | null =>
  existsSync(stampOf(deploy)) ? readFileSync(stampOf(deploy), "utf8") : null;

const contextOf = (configPath: string, leastTurnSeconds: number) => [
  ...["--context", "local=true", "--context", `config=${configPath}`],
  ...(leastTurnSeconds === 0 ? [] : ["--context", `leastTurnSeconds=${leastTurnSeconds}`]),
];

/** The runner as it was deployed. `build/` is written anew by every synth, also by one for AWS: running tasks need theirs. */
const runnerOf = (stateDir: string, print: string) => join(stateDir, "runners", `${print.slice(0, 16)}.mjs`);

function keepRunner(stateDir: string, print: string): void {
  mkdirSync(join(stateDir, "runners"), { recursive: true });
  copyFileSync(bundledRunner(), runnerOf(stateDir, print));
}

export interface DeployedLocally {
  readonly deployment: DeploymentRecord;
  /** False: everything was there already. */
  readonly changed: boolean;
}

/** Brings the synthesised stack onto an AWS of this machine, unless it is there. */
export async function deployLocal(
  deploy: LocalDeploy,
  target: DeployTarget,
  synthesis: Synthesis,
  dbt: ReadonlyMap<string, string>,
): Promise<DeployedLocally> {
  target.use();
  return alone(deploy, () => deployAlone(deploy, target, synthesis, dbt));
}

async function deployAlone(
  deploy: LocalDeploy,
  target: DeployTarget,
  synthesis: Synthesis,
  dbt: ReadonlyMap<string, string>,
): Promise<DeployedLocally> {
  writeImages(deploy, synthesis, dbt);
  const last = readDeployment(folderOf(deploy));
  const there = last !== null && (await isDeployed(last));
  if (last !== null && there && last.fingerprint === synthesis.fingerprint) return { deployment: last, changed: false };
  // Between our synthesis and our turn another deploy may have put its own assembly in this place.
  if (assembledFrom(deploy) !== synthesis.fingerprint) await synthesiseAlone(deploy);
  // Whatever ends a deploy half-way, the next one must not take what it left for what was deployed before.
  if (last !== null) writeDeployment(folderOf(deploy), { ...last, fingerprint: "" });
  if (!there) await bootstrap(deploy, target);
  const deployment = await deployAssembly(deploy, target, synthesis);
  return { deployment, changed: true };
}

/** Tells the ECS endpoint what each project's image is: programs of this machine. */
function writeImages(deploy: LocalDeploy, synthesis: Synthesis, dbt: ReadonlyMap<string, string>): void {
  const runnerFile = runnerOf(deploy.stateDir, synthesis.fingerprint);
  for (const project of Object.values(deploy.config.projects)) {
    const reference = localImageReference(project.name, localImageHash(project, runnerFile));
    const image = localImageConfig({
      project,
      dbtExecutable: dbt.get(project.name) ?? "dbt",
      runnerFile,
      nodeExecutable: process.execPath,
      workDir: join(deploy.stateDir, "work"),
    });
    writeLocalImage(deploy.stateDir, reference, image);
  }
}

/** Once per life of the emulator: the bucket and roles that every `cdk deploy` needs. */
async function bootstrap(deploy: LocalDeploy, target: DeployTarget): Promise<void> {
  deploy.onProgress("Bootstrapping the CDK …");
  await cdk({
    doing: `bootstrapping the CDK on ${target.name}`,
    cdkArguments: ["bootstrap", ...target.account, "--app", assemblyOf(deploy)],
    environment: target.environment,
    logFile: logOf(deploy, "bootstrap"),
    signal: deploy.signal,
    afterFailure: target.afterFailure,
  });
}

async function deployAssembly(
  deploy: LocalDeploy,
  target: DeployTarget,
  synthesis: Synthesis,
): Promise<DeploymentRecord> {
  const { config } = deploy;
  const outputsFile = join(folderOf(deploy), "cdk-outputs.json");
  rmSync(outputsFile, { force: true });
  deploy.onProgress(`Deploying the stack ${config.stackName} …`);
  await cdk({
    doing: `deploying onto ${target.name}`,
    cdkArguments: [
      "deploy",
      config.stackName,
      "--app",
      assemblyOf(deploy),
      "--require-approval",
      "never",
      "--progress",
      "events",
      "--outputs-file",
      outputsFile,
    ],
    environment: target.environment,
    logFile: logOf(deploy, "deploy"),
    signal: deploy.signal,
    afterFailure: target.afterFailure,
  });
  const outputs =
    (JSON.parse(readFileSync(outputsFile, "utf8")) as Record<string, Record<string, string>>)[config.stackName] ?? {};
  const deployment = {
    stackName: config.stackName,
    outputs,
    fingerprint: synthesis.fingerprint,
    configPath: deploy.configPath,
    projects: Object.keys(config.projects),
    ...(deploy.leastTurnSeconds === undefined ? {} : { leastTurnSeconds: deploy.leastTurnSeconds }),
  };
  writeDeployment(folderOf(deploy), deployment);
  return deployment;
}
