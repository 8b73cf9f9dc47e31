import { findPython } from "#local/python.ts";
import { InfrastructureError } from "../failure.ts";
import { findEngine } from "../image/engine.ts";
import { checkDisk } from "../preflight.ts";
import { type Finding, findingsOf } from "./finding.ts";

const finding = findingsOf("machine");

/** What this machine has of what stepwatch needs. */
export async function examineMachine(stateDir: string, environment: NodeJS.ProcessEnv): Promise<Finding[]> {
  const node = finding("node", "ok", `Node ${process.versions.node} runs stepwatch (${process.execPath}).`);
  return [node, await python(environment), disk(stateDir), await engine()];
}

async function python(environment: NodeJS.ProcessEnv): Promise<Finding> {
  try {
    const { version, executable } = await findPython(environment);
    return finding(
      "python",
      "ok",
      `Python ${version} with venv makes the environments of dbt and the emulator (${executable}).`,
    );
  } catch (error) {
    return finding("python", "problem", (error as Error).message, "Local runs need it; a deploy to AWS does not.");
  }
}

function disk(stateDir: string): Finding {
  try {
    checkDisk(stateDir);
    return finding("disk", "ok", `${stateDir} has room for the embedded AWS.`);
  } catch (error) {
    if (!(error instanceof InfrastructureError)) throw error;
    return finding("disk", "problem", error.message, error.next ?? null);
  }
}

async function engine(): Promise<Finding> {
  try {
    const { command, version } = await findEngine(undefined);
    return finding(
      "engine",
      "ok",
      `The container engine ${command} ${version} answers, for the images of a deploy to AWS.`,
    );
  } catch (error) {
    if (!(error instanceof InfrastructureError)) throw error;
    return finding(
      "engine",
      "none",
      `${error.message.replace(/\.$/, "")} (${error.lines.join("; ")}).`,
      "A deploy to AWS builds an image per project: install Docker, podman or finch, or name image.uri. The embedded AWS needs none.",
    );
  }
}
