import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** /proc counts CPU time in ticks of a hundredth of a second on every Linux that Node runs on. */
const TICK_MS = 10;

const SAMPLE_MS = 100;

/** CPU time of a process, and of all of its children that have ended and been waited for. Milliseconds. */
interface CpuTime {
  readonly ownMs: number;
  readonly childrenMs: number;
}

/** Null when there is no such process any more. */
export function cpuOf(pid: number | "self"): CpuTime | null {
  const stat = readProc(`/proc/${pid}/stat`);
  if (stat === null) return null;
  // The second field is the program's name in parentheses, and may hold spaces itself.
  const fields = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
  const [user = 0, system = 0, childUser = 0, childSystem = 0] = fields.slice(11, 15);
  return { ownMs: (user + system) * TICK_MS, childrenMs: (childUser + childSystem) * TICK_MS };
}

/** `VmHWM`: the most resident memory that the process has had; `VmRSS`: what it has now. Bytes. */
export function memoryOf(pid: number, what: "VmHWM" | "VmRSS"): number | null {
  const kib = new RegExp(`^${what}:\\s+(\\d+) kB`, "m").exec(readProc(`/proc/${pid}/status`) ?? "")?.[1];
  return kib === undefined ? null : Number(kib) * 1024;
}

const childrenOf = (pid: number): number[] =>
  (readProc(`/proc/${pid}/task/${pid}/children`) ?? "").split(" ").filter(Boolean).map(Number);

function readProc(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

export interface Usage {
  readonly cpuMs: number;
  readonly peakRssBytes: number;
}

/** What one run used, part by part. */
export interface RunUsage {
  /** All dbt processes of the run together; memory: the largest one. */
  readonly dbt: Usage;
  /** The supervisors around dbt, without it. */
  readonly runner: Usage;
  /** The process that runs the functions, and with them ECS' and the logs' part of the embedded AWS. */
  readonly functions: Usage;
  /** MiniStack: Step Functions, DynamoDB, S3 and the rest. */
  readonly emulator: Usage;
}

export interface WatchedProcesses {
  readonly functions: number;
  readonly emulator: number;
  /** Folder with a file for each running container that names its process. */
  readonly containerFolder: string;
}

/**
 * Samples the processes of the embedded AWS from its making to {@link end}. CPU of containers is exact, since the
 * kernel adds it up when they are waited for; memory and the split between dbt and runner are as of the last sample.
 */
export class UsageSampler {
  readonly #watched: WatchedProcesses;
  readonly #timer = setInterval(() => this.#sample(), SAMPLE_MS);
  readonly #first: { functions: CpuTime; emulator: CpuTime };
  readonly #dbtCpuMs = new Map<number, number>();
  readonly #peaks = { dbt: 0, runner: 0, functions: 0, emulator: 0 };

  constructor(watched: WatchedProcesses) {
    this.#watched = watched;
    this.#first = this.#now();
    this.#sample();
  }

  /** To be called when all containers are gone. */
  end(): RunUsage {
    clearInterval(this.#timer);
    this.#sample();
    const last = this.#now();
    const containersMs = last.functions.childrenMs - this.#first.functions.childrenMs;
    const dbtMs = [...this.#dbtCpuMs.values()].reduce((total, ms) => total + ms, 0);
    const { dbt, runner, functions, emulator } = this.#peaks;
    return {
      dbt: { cpuMs: dbtMs, peakRssBytes: dbt },
      runner: { cpuMs: containersMs - dbtMs, peakRssBytes: runner },
      functions: { cpuMs: last.functions.ownMs - this.#first.functions.ownMs, peakRssBytes: functions },
      emulator: { cpuMs: last.emulator.ownMs - this.#first.emulator.ownMs, peakRssBytes: emulator },
    };
  }

  #now(): { functions: CpuTime; emulator: CpuTime } {
    const none = { ownMs: 0, childrenMs: 0 };
    return { functions: cpuOf(this.#watched.functions) ?? none, emulator: cpuOf(this.#watched.emulator) ?? none };
  }

  #sample(): void {
    const { functions, emulator, containerFolder } = this.#watched;
    this.#peak("functions", memoryOf(functions, "VmRSS"));
    this.#peak("emulator", memoryOf(emulator, "VmRSS"));
    for (const runner of containersIn(containerFolder)) {
      this.#peak("runner", memoryOf(runner, "VmHWM"));
      const live = childrenOf(runner);
      for (const dbt of live) this.#peak("dbt", memoryOf(dbt, "VmHWM"));
      const running = live.reduce((total, dbt) => total + (cpuOf(dbt)?.ownMs ?? 0), 0);
      const ended = cpuOf(runner)?.childrenMs ?? 0;
      this.#dbtCpuMs.set(runner, Math.max(this.#dbtCpuMs.get(runner) ?? 0, ended + running));
    }
  }

  #peak(part: keyof RunUsage, bytes: number | null): void {
    this.#peaks[part] = Math.max(this.#peaks[part], bytes ?? 0);
  }
}

function containersIn(folder: string): number[] {
  try {
    return readdirSync(folder)
      .map((name) => readProc(join(folder, name)))
      .map((text) => (text === null || text === "" ? 0 : (JSON.parse(text) as { pid: number }).pid))
      .filter((pid) => pid > 0);
  } catch {
    return [];
  }
}
