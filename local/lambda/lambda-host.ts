import { randomUUID } from "node:crypto";
import type { LogShipper } from "../emulator/log-shipper.ts";
import { type DeployedFunction, type FunctionSource, fetchFunction } from "./function-code.ts";
import { Sandbox } from "./sandbox.ts";
import type { FunctionFailure, Outcome } from "./thread-messages.ts";

const DEFAULT_TIMEOUT_SECONDS = 3;
const DEFAULT_MEMORY_MB = 128;

export interface LambdaHostOptions extends FunctionSource {
  /** Folder for the unpacked code. */
  readonly codeRoot: string;
  /** What every function sees besides its own variables: endpoints and credentials. */
  readonly baseEnvironment: Readonly<Record<string, string>>;
  readonly logs: LogShipper;
}

/** One invocation as MiniStack passes it on. */
export interface InvocationRequest {
  readonly functionName: string;
  readonly functionVersion: string;
  /** Changes with code and configuration. */
  readonly revision: string;
  readonly requestId: string;
  /** JSON. */
  readonly event: string;
}

/** What a function was called for since the host began. */
export interface FunctionCalls {
  calls: number;
  /** From the call to its answer, all of them together: of this machine, and no measure of Lambda. */
  milliseconds: number;
}

interface LoadedFunction {
  readonly revision: string;
  readonly deployed: Promise<DeployedFunction>;
  sandbox: Sandbox | undefined;
}

/** Runs the deployed functions: one thread each, new code as soon as it is invoked. */
export class LambdaHost {
  readonly #options: LambdaHostOptions;
  readonly #functions = new Map<string, LoadedFunction>();
  readonly #calls = new Map<string, FunctionCalls>();

  constructor(options: LambdaHostOptions) {
    this.#options = options;
  }

  /** By name of the function. */
  get calls(): Readonly<Record<string, FunctionCalls>> {
    return Object.fromEntries(this.#calls);
  }

  async invoke(request: InvocationRequest): Promise<Outcome> {
    const startedAtMs = performance.now();
    const outcome = await this.#invoke(request);
    const { calls, milliseconds } = this.#calls.get(request.functionName) ?? { calls: 0, milliseconds: 0 };
    const tookMs = performance.now() - startedAtMs;
    this.#calls.set(request.functionName, { calls: calls + 1, milliseconds: milliseconds + tookMs });
    return outcome;
  }

  async #invoke(request: InvocationRequest): Promise<Outcome> {
    const loaded = this.#currentRevision(request);
    try {
      const deployed = await loaded.deployed;
      if (loaded.sandbox === undefined || loaded.sandbox.retired) loaded.sandbox = this.#sandboxFor(deployed);
      return await loaded.sandbox.invoke(request.requestId, request.event);
    } catch (error) {
      this.#functions.delete(keyOf(request));
      const errorMessage = `${request.functionName} could not be loaded: ${wordsOf(error)}`;
      // Not every engine passes on why a call failed, and the function itself has no log yet.
      process.stderr.write(`${errorMessage}\n`);
      const failure: FunctionFailure = { errorType: "Lambda.ServiceException", errorMessage };
      return { failure };
    }
  }

  /** Ends all threads; what they were doing is answered with Runtime.ExitError. */
  async close(): Promise<void> {
    const functions = [...this.#functions.values()];
    this.#functions.clear();
    await Promise.all(functions.map((loaded) => loaded.sandbox?.terminate()));
  }

  #currentRevision(request: InvocationRequest): LoadedFunction {
    const key = keyOf(request);
    const known = this.#functions.get(key);
    if (known?.revision === request.revision) return known;
    known?.sandbox?.retire();
    const { codeRoot } = this.#options;
    const deployed = fetchFunction(this.#options, request.functionName, request.functionVersion, codeRoot);
    const loaded: LoadedFunction = { revision: request.revision, deployed, sandbox: undefined };
    this.#functions.set(key, loaded);
    return loaded;
  }

  #sandboxFor({ configuration, codeDir }: DeployedFunction): Sandbox {
    const version = configuration.Version ?? "$LATEST";
    const logGroup = configuration.LoggingConfig?.LogGroup ?? `/aws/lambda/${configuration.FunctionName}`;
    const day = new Date().toISOString().slice(0, 10).replaceAll("-", "/");
    const logStream = `${day}/[${version}]${randomUUID().replaceAll("-", "")}`;
    const memoryMb = configuration.MemorySize ?? DEFAULT_MEMORY_MB;
    return new Sandbox({
      settings: {
        codeDir,
        handler: configuration.Handler,
        functionName: configuration.FunctionName,
        functionVersion: version,
        functionArn: configuration.FunctionArn,
        memoryMb,
        logGroup,
        logStream,
      },
      env: {
        ...this.#options.baseEnvironment,
        TZ: ":UTC",
        _HANDLER: configuration.Handler,
        LAMBDA_TASK_ROOT: codeDir,
        AWS_LAMBDA_FUNCTION_NAME: configuration.FunctionName,
        AWS_LAMBDA_FUNCTION_VERSION: version,
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(memoryMb),
        AWS_LAMBDA_LOG_GROUP_NAME: logGroup,
        AWS_LAMBDA_LOG_STREAM_NAME: logStream,
        ...configuration.Environment?.Variables,
      },
      timeoutSeconds: configuration.Timeout ?? DEFAULT_TIMEOUT_SECONDS,
      writeLog: (line, timestampMs) => this.#options.logs.write(logGroup, logStream, line, timestampMs),
      onEnded: () => void this.#options.logs.close(logGroup, logStream),
    });
  }
}

/** `fetch failed` says nothing without its cause. */
function wordsOf(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error ? `${message}: ${cause.message}` : message;
}

function keyOf(request: InvocationRequest): string {
  return `${request.functionName}:${request.functionVersion}`;
}
