/**
 * The thread of one function: loads its code once and runs its invocations, many at a time. Started by `sandbox.ts`.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { format, types } from "node:util";
import { parentPort, workerData } from "node:worker_threads";
import { redirectHttpsToEmulator } from "./custom-resource-https.ts";
import type { FromThread, FunctionFailure, Invocation, ThreadSettings } from "./thread-messages.ts";

type Handler = (event: unknown, context: object) => unknown;

class HandlerLoadError extends Error {
  constructor(name: string, message: string) {
    super(message);
    this.name = name;
  }
}

const settings = workerData as ThreadSettings;
const requestIds = new AsyncLocalStorage<string>();

function post(message: FromThread): void {
  parentPort?.postMessage(message);
}

/** AWS writes a tab-separated line with time, request id and level; concurrent invocations are told apart by the id. */
function redirectConsole(): void {
  const levels = { log: "INFO", info: "INFO", debug: "DEBUG", trace: "TRACE", warn: "WARN", error: "ERROR" } as const;
  for (const [method, level] of Object.entries(levels)) {
    console[method as keyof typeof levels] = (...values: unknown[]) => {
      const timestampMs = Date.now();
      const requestId = requestIds.getStore() ?? "";
      const line = `${new Date(timestampMs).toISOString()}\t${requestId}\t${level}\t${format(...values)}`;
      post({ kind: "log", line, timestampMs });
    };
  }
}

/** `index.handler` is the export `handler` of index.mjs, index.js or index.cjs. */
async function loadHandler(): Promise<Handler> {
  const dot = settings.handler.lastIndexOf(".");
  const [modulePath, exportName] = [settings.handler.slice(0, dot), settings.handler.slice(dot + 1)];
  const file = [".mjs", ".js", ".cjs"]
    .map((extension) => join(settings.codeDir, modulePath + extension))
    .find((candidate) => existsSync(candidate));
  if (file === undefined) {
    throw new HandlerLoadError("Runtime.ImportModuleError", `Error: Cannot find module '${modulePath}'`);
  }
  const loaded = (await import(pathToFileURL(file).href)) as Record<string, unknown> & { default?: object };
  const handler = loaded[exportName] ?? (loaded.default as Record<string, unknown> | undefined)?.[exportName];
  if (typeof handler !== "function") {
    throw new HandlerLoadError("Runtime.HandlerNotFound", `${settings.handler} is undefined or not exported`);
  }
  return handler as Handler;
}

/** As the Node runtime of Lambda reports what was thrown. */
function failureOf(thrown: unknown): FunctionFailure {
  if (thrown instanceof Error || types.isNativeError(thrown)) {
    return { errorType: thrown.name, errorMessage: thrown.message, trace: (thrown.stack ?? "").split("\n") };
  }
  return { errorType: typeof thrown, errorMessage: String(thrown), trace: [] };
}

async function invoke(handler: Handler, invocation: Invocation): Promise<void> {
  const { requestId, deadlineMs } = invocation;
  const context = {
    awsRequestId: requestId,
    functionName: settings.functionName,
    functionVersion: settings.functionVersion,
    invokedFunctionArn: settings.functionArn,
    memoryLimitInMB: String(settings.memoryMb),
    logGroupName: settings.logGroup,
    logStreamName: settings.logStream,
    callbackWaitsForEmptyEventLoop: true,
    getRemainingTimeInMillis: () => Math.max(0, deadlineMs - Date.now()),
  };
  try {
    const result = await handler(JSON.parse(invocation.event), context);
    post({ kind: "done", requestId, payload: JSON.stringify(result) ?? "null" });
  } catch (thrown) {
    const failure = failureOf(thrown);
    console.error("Invoke Error", JSON.stringify(failure));
    post({ kind: "failed", requestId, failure });
  }
}

redirectConsole();
redirectHttpsToEmulator(process.env.AWS_ENDPOINT_URL ?? "");
try {
  const handler = await loadHandler();
  parentPort?.on("message", (invocation: Invocation) => {
    void requestIds.run(invocation.requestId, () => invoke(handler, invocation));
  });
  post({ kind: "loaded" });
} catch (thrown) {
  const failure = failureOf(thrown);
  console.error("Load Error", JSON.stringify(failure));
  post({ kind: "notLoaded", failure });
}
