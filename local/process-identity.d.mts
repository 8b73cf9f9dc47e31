/** One process, for good: a recorded pid that was given to another process since does not match. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Start of the process as the system tells it; opaque. */
  readonly startMark: string;
}
export function startMarkOf(pid: number): string | undefined;
export function ownIdentity(): ProcessIdentity;
export function isRunning(identity: ProcessIdentity): boolean;
export function signalIfRunning(
  identity: ProcessIdentity,
  signal: NodeJS.Signals,
  options?: { readonly group?: boolean },
): boolean;
export function waitUntilEnded(identity: ProcessIdentity, withinMs: number): Promise<boolean>;
