import { spawn } from "node:child_process";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { RunSummary } from "#core/run/reporting/summary.ts";
import type { EndpointPlace } from "./endpoint-place.ts";

const main = join(import.meta.dirname, "../../cli/main.ts");

export interface CliEnd {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Where a command finds its stack: the embedded AWS of a state folder, or an endpoint. */
interface CliPlace {
  readonly stateDir: string;
  readonly endpoint?: Pick<EndpointPlace, "url" | "environment"> | null;
}

/** Runs `stepwatch …` as a person does: a process of its own. */
export async function runCli(place: CliPlace, args: readonly string[]): Promise<CliEnd> {
  const child = spawn(process.execPath, [main, ...args], {
    env: {
      ...process.env,
      ...place.endpoint?.environment,
      STEPWATCH_ENDPOINT: place.endpoint?.url ?? "",
      STEPWATCH_STATE_DIR: place.stateDir,
      NO_COLOR: "1",
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await ended, stdout, stderr };
}

type Place = CliPlace & { readonly configPath: string };

/** `stepwatch run … --json`: the exit code and the run's summary. */
export async function runProject(
  place: Place,
  project: string,
  options: readonly string[] = [],
): Promise<CliEnd & { readonly summary: RunSummary }> {
  const end = await runCli(place, ["run", project, "--config", place.configPath, "--json", ...options]);
  try {
    return { ...end, summary: JSON.parse(end.stdout) as RunSummary };
  } catch (cause) {
    throw new Error(`stepwatch run ${project} ended with ${end.code} and no summary:\n${end.stderr}\n${end.stdout}`, {
      cause,
    });
  }
}

/** Starts a run and leaves it alone; answers its run id. */
export async function startProject(place: Place, project: string, options: readonly string[] = []): Promise<string> {
  const end = await runCli(place, ["run", project, "--config", place.configPath, "--json", "--no-follow", ...options]);
  if (end.code !== 0) throw new Error(`stepwatch run ${project} ended with ${end.code}:\n${end.stderr}`);
  return (JSON.parse(end.stdout) as { runId: string }).runId;
}
