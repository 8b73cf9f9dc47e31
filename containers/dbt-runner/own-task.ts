import { get } from "node:http";
import { text } from "node:stream/consumers";
import { InputError } from "#core/errors.ts";

/** What ECS says of the container that asks. */
export interface OwnTask {
  readonly taskArn: string;
  /** CloudWatch log stream; absent with another log driver. */
  readonly logStream?: string | undefined;
}

type Fetch = (url: string) => Promise<{ ok: boolean; status: number; json(): Promise<unknown> }>;

/** What ECS may take to answer; milliseconds. */
const ANSWER_MS = 2_000;

/** Node's `fetch` alone would cost 10 ms of the container's start, and memory for good; the SDK has this one loaded. */
const fetchPlainly: Fetch = (url) =>
  new Promise((resolve, reject) => {
    const request = get(url, { timeout: ANSWER_MS }, async (response) => {
      const status = response.statusCode ?? 0;
      const body = await text(response).catch(reject);
      resolve({ ok: status >= 200 && status < 300, status, json: async () => JSON.parse(body ?? "") });
    });
    request.on("timeout", () => request.destroy(new Error(`no answer within ${ANSWER_MS} ms`)));
    request.on("error", reject);
  });

const ATTEMPTS = 5;
const WAIT_MS = 500;

/**
 * Reads the task's own ARN from the container metadata endpoint (version 4). The endpoint may answer late just after
 * the start, hence five attempts. Throws {@link InputError} when it does not tell.
 */
export async function readOwnTask(metadataUri: string, fetchJson: Fetch = fetchPlainly): Promise<OwnTask> {
  let problem = "no answer";
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    try {
      const response = await fetchJson(`${metadataUri}/task`);
      const task = response.ok ? ((await response.json()) as { TaskARN?: unknown } | null) : null;
      if (typeof task?.TaskARN === "string")
        return { taskArn: task.TaskARN, logStream: await readLogStream(metadataUri, fetchJson) };
      problem = response.ok ? "the answer has no TaskARN" : `HTTP ${response.status}`;
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
    }
    if (attempt < ATTEMPTS) await new Promise((resolve) => setTimeout(resolve, WAIT_MS * attempt));
  }
  throw new InputError("Environment refused", [
    `ECS_CONTAINER_METADATA_URI_V4 = ${JSON.stringify(metadataUri)} does not tell the task's ARN (${problem}): run this container as an ECS task, platform version 1.4 or later.`,
  ]);
}

/** The stream's name is a convenience of `stepwatch logs`: nothing depends on it, so that its absence is no error. */
async function readLogStream(metadataUri: string, fetchJson: Fetch): Promise<string | undefined> {
  try {
    const response = await fetchJson(metadataUri);
    const container = (await response.json()) as { LogOptions?: Record<string, unknown> } | null;
    const stream = container?.LogOptions?.["awslogs-stream"];
    return typeof stream === "string" ? stream : undefined;
  } catch {
    return undefined;
  }
}
