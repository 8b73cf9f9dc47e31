/**
 * Seconds that Lambda would bill for a function's calls. The embedded AWS runs functions in threads of one process beside
 * the emulator, so that its times say nothing of Lambda: what was counted is, the time of each part is assumed.
 */
export const ASSUMED_LAMBDA = {
  /** Of a call by itself: parsing, logging, the runtime. Milliseconds. */
  callMs: 5,
  /** Of each call of a service from a function in the same region, where one waits for the other. Milliseconds. */
  serviceCallMs: 8,
  /** A function's own CPU for one call of a service (SDK, JSON, TLS): 0.5 ms were measured without TLS. Milliseconds. */
  serviceCpuMs: 0.7,
  /** Its CPU to read rows into objects: 75 ms were measured, for 20 MiB. Milliseconds a MiB. */
  readCpuMsPerMib: 90,
  /** MiB of memory that are one vCPU; a function with less gets its share. */
  wholeCpuMiB: 1769,
  /** Calls of one invocation that wait for each other; what is beyond them goes out ten at a time. */
  callsInTurn: 30,
  callsAtOnce: 10,
} as const;

export interface CountedCalls {
  readonly count: number;
  readonly memoryMiB: number;
  readonly serviceCalls: number;
  readonly readBytes: number;
}

export function billedSeconds({ count, memoryMiB, serviceCalls, readBytes }: CountedCalls): number {
  const { callMs, serviceCallMs, serviceCpuMs, readCpuMsPerMib, wholeCpuMiB, callsInTurn, callsAtOnce } =
    ASSUMED_LAMBDA;
  const share = Math.min(1, memoryMiB / wholeCpuMiB);
  const inTurn = Math.min(serviceCalls, count * callsInTurn);
  const besideEachOther = (serviceCalls - inTurn) * Math.max(serviceCallMs / callsAtOnce, serviceCpuMs / share);
  const readMs = ((readBytes / 2 ** 20) * readCpuMsPerMib) / share;
  return (count * callMs + inTurn * serviceCallMs + besideEachOther + readMs) / 1000;
}
