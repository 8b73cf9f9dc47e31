import type { TaskRow } from "#core/contracts/ledger.ts";
import type { LaunchTarget } from "#core/contracts/settings.ts";

/**
 * What ECS says of a launch for which there is no room at the moment, by itself, in a zone, on Spot, or within the
 * account's limits of tasks, vCPUs and network interfaces: nothing is wrong with it, and it comes right by waiting
 * (behaviour D21). `RESOURCE:…` are the reasons of RunTask's `failures`.
 */
const NO_ROOM =
  /capacity is (currently )?unavailable|(insufficient|out of|lack of|no) (\w+ )?capacity|reached the limit (on|of) the number of|limit on the number of (tasks|v?cpus)|concurrently|\bRESOURCE:|InsufficientFreeAddresses|insufficient free addresses|NetworkInterfaceLimitExceeded/i;

export const isCapacityRefusal = (reason: string): boolean => NO_ROOM.test(reason);

/** The first wait for room, and the longest; it doubles in between. Milliseconds. */
const FIRST_WAIT_MS = 15_000;
const LONGEST_WAIT_MS = 120_000;

/**
 * When a launch that met no room is tried again: 15 s, 30 s, 60 s, then every two minutes, until the run's deadline ends
 * it. Short enough that room which comes back is used, and some thirty calls an hour at most. Milliseconds since 1970.
 */
export const nextRoomAtMs = (refusals: number, nowMs: number): number =>
  nowMs + Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.max(0, refusals - 1));

/** Where one launch is to go. */
export interface Placement {
  readonly provider: "FARGATE" | "FARGATE_SPOT";
  readonly subnets: readonly string[];
}

/**
 * Where the next attempt of a task goes. The first is left to ECS; after a refusal each subnet, hence each zone, has its
 * turn, and then all of them again. `spot_then_on_demand` leaves Spot at the first refusal, or where the run has lost a
 * container to it, and then waits for room like any other.
 */
export function placementOf(
  target: Pick<LaunchTarget, "capacity" | "subnets">,
  task: Pick<TaskRow, "capacityRefusals" | "onDemand">,
): Placement {
  const refusals = task.capacityRefusals ?? 0;
  const { capacity = "on_demand", subnets } = target;
  if (capacity === "on_demand") return { provider: "FARGATE", subnets: inTurn(subnets, refusals) };
  if (capacity === "spot") return { provider: "FARGATE_SPOT", subnets: inTurn(subnets, refusals) };
  if (task.onDemand) return { provider: "FARGATE", subnets: inTurn(subnets, refusals) };
  if (refusals === 0) return { provider: "FARGATE_SPOT", subnets };
  return { provider: "FARGATE", subnets: inTurn(subnets, refusals - 1) };
}

function inTurn(subnets: readonly string[], refusals: number): readonly string[] {
  const turn = refusals % (subnets.length + 1);
  return turn === 0 || subnets.length === 1 ? subnets : [subnets[turn - 1]!];
}

/** Whether a refused launch is tried elsewhere at once, instead of waiting: from Spot to on demand. */
export const triesElsewhere = (
  target: Pick<LaunchTarget, "capacity">,
  task: Pick<TaskRow, "onDemand">,
  refusals: number,
) => target.capacity === "spot_then_on_demand" && !task.onDemand && refusals === 1;

/** Stop codes of ECS for a container that was taken away, by no fault of what ran in it. */
const TAKEN_AWAY: ReadonlySet<string> = new Set(["SpotInterruption", "TerminationNotice", "InfrastructureHealth"]);

/**
 * Whether a task was ended from outside: its container was told to end (SIGTERM) and this run had not asked for it, or
 * ECS says so of one that had no time left. What kills containers itself (memory, a crash) comes without a warning.
 */
export const wasTaken = ({ end, stop }: Pick<TaskRow, "end" | "stop">): boolean =>
  end === undefined ? TAKEN_AWAY.has(stop?.stopCode ?? "") : end.cause.kind === "terminated";

/**
 * How many containers may be taken away from under one vertex before it is given up: they use neither tries nor losses,
 * and the run's deadline bounds them too; this bounds what a warehouse is asked to begin again and again.
 */
export const MOST_TAKEN = 20;
