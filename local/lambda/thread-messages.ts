/** What a sandbox and its thread say to each other. */

export interface ThreadSettings {
  readonly codeDir: string;
  /** "file.export", as in the function's configuration. */
  readonly handler: string;
  readonly functionName: string;
  readonly functionVersion: string;
  readonly functionArn: string;
  readonly memoryMb: number;
  readonly logGroup: string;
  readonly logStream: string;
}

export interface Invocation {
  readonly requestId: string;
  /** JSON. */
  readonly event: string;
  readonly deadlineMs: number;
}

/** The body of a failed invocation, as Lambda returns it and Step Functions gives it as the cause. */
export interface FunctionFailure {
  readonly errorType: string;
  readonly errorMessage: string;
  readonly trace?: readonly string[];
}

export type FromThread =
  | { readonly kind: "loaded" }
  | { readonly kind: "notLoaded"; readonly failure: FunctionFailure }
  | { readonly kind: "log"; readonly line: string; readonly timestampMs: number }
  /** payload: JSON. */
  | { readonly kind: "done"; readonly requestId: string; readonly payload: string }
  | { readonly kind: "failed"; readonly requestId: string; readonly failure: FunctionFailure };

export type Outcome = { readonly payload: string } | { readonly failure: FunctionFailure };
