import { cpus, loadavg, totalmem } from "node:os";

/** What a figure depends on besides the code. */
export interface Machine {
  readonly cores: number;
  readonly processor: string;
  readonly memoryGib: number;
  readonly node: string;
  /** ISO 8601. */
  readonly at: string;
}

export const thisMachine = (): Machine => ({
  cores: cpus().length,
  processor: cpus()[0]?.model.trim() ?? "unknown",
  memoryGib: Math.round(totalmem() / 2 ** 30),
  node: process.version,
  at: new Date().toISOString(),
});

/** Processes that ran or waited for a core in the last minute, on average: above the number of cores, times are inflated. */
export const loadNow = (): number => loadavg()[0] ?? 0;

export const machineLine = ({ cores, processor, memoryGib, node, at }: Machine): string =>
  `${cores} cores (${processor}), ${memoryGib} GiB, Node ${node}, ${at}`;
