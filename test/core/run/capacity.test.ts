import { describe, expect, it } from "vitest";
import type { BuildEnd } from "#core/contracts/ledger.ts";
import {
  isCapacityRefusal,
  MOST_TAKEN,
  nextRoomAtMs,
  placementOf,
  triesElsewhere,
  wasTaken,
} from "#core/run/watching/capacity.ts";
import {
  decide,
  finalsOf,
  killed,
  launchesOf,
  over,
  planOf,
  row,
  stepInput,
  vertex,
} from "../../support/run-builders.ts";

const terminated: Partial<BuildEnd> = {
  inOrder: false,
  exitCode: null,
  signal: "SIGINT",
  cause: { kind: "terminated", sentence: "The container was told to stop (SIGTERM).", lines: [] },
};
const fallback = { kind: "fallback" as const };

describe("D21: what ECS refuses for want of room", () => {
  it.each([
    "Capacity is unavailable at this time. Please try again later or in a different availability zone",
    "ClientException: Capacity is unavailable at this time",
    "You've reached the limit on the number of tasks you can run concurrently",
    "ClientException: You've reached the limit on the number of vCPUs you can run concurrently",
    "RESOURCE:ENI: none left",
    "Unexpected EC2 error while attempting to Create Network Interface in subnet 'subnet-1': InsufficientFreeAddressesInSubnet",
    "NetworkInterfaceLimitExceeded: the maximum number of network interfaces has been reached",
  ])("%s", (reason) => expect(isCapacityRefusal(reason)).toBe(true));

  it.each([
    "ClientException: ECS was unable to assume the role 'arn:aws:iam::1:role/x'",
    "InvalidParameterException: The subnet ID 'subnet-1' does not exist",
    "InvalidParameterException: The specified capacity provider 'FARGATE_SPOT' was not found",
    "AccessDeniedException: not authorized to perform: iam:PassRole",
    "CannotPullContainerError: pull image manifest has been retried 5 time(s)",
    "ResourceInitializationError: unable to pull secrets or registry auth",
    "The task did not start within 20 minutes.",
    "MISSING",
  ])("not: %s", (reason) => expect(isCapacityRefusal(reason)).toBe(false));

  it("waits 15 s, twice as long with each refusal, two minutes at most", () => {
    const waits = [1, 2, 3, 4, 5, 100].map((refusals) => nextRoomAtMs(refusals, 1_000) - 1_000);
    expect(waits).toEqual([15_000, 30_000, 60_000, 120_000, 120_000, 120_000]);
  });
});

describe("D21: where a launch goes", () => {
  const subnets = ["subnet-a", "subnet-b"];
  const places = (target: Parameters<typeof placementOf>[0], onDemand?: boolean) =>
    [0, 1, 2, 3, 4].map((capacityRefusals) => {
      const { provider, subnets: chosen } = placementOf(target, { capacityRefusals, onDemand });
      return `${provider} ${chosen.map((subnet) => subnet.at(-1)).join("")}`;
    });

  it("each zone has its turn, and then ECS chooses again", () => {
    const turns = ["FARGATE ab", "FARGATE a", "FARGATE b", "FARGATE ab", "FARGATE a"];
    expect(places({ subnets })).toEqual(turns);
    expect(places({ subnets, capacity: "on_demand" })).toEqual(turns);
    expect(places({ subnets, capacity: "spot" })).toEqual(turns.map((turn) => turn.replace("FARGATE", "FARGATE_SPOT")));
    expect(places({ subnets: ["subnet-a"] })).toEqual(Array(5).fill("FARGATE a"));
  });

  it("Spot is left at the first refusal, at once, and never taken where the run has lost a container to it", () => {
    const target = { subnets, capacity: "spot_then_on_demand" as const };
    expect(places(target)).toEqual(["FARGATE_SPOT ab", "FARGATE ab", "FARGATE a", "FARGATE b", "FARGATE ab"]);
    expect(places(target, true)).toEqual(["FARGATE ab", "FARGATE a", "FARGATE b", "FARGATE ab", "FARGATE a"]);
    expect([1, 2].map((refusals) => triesElsewhere(target, {}, refusals))).toEqual([true, false]);
    expect(triesElsewhere(target, { onDemand: true }, 1)).toBe(false);
    expect(triesElsewhere({ capacity: "spot" }, {}, 1)).toBe(false);
  });
});

describe("D21: a container that was taken away", () => {
  it("is known by its supervisor's word, or by ECS' where it had no time for one", () => {
    expect(wasTaken(over(1, terminated))).toBe(true);
    for (const stopCode of ["SpotInterruption", "TerminationNotice", "InfrastructureHealth"])
      expect(wasTaken(killed(1, { stopCode }))).toBe(true);
    for (const stopCode of ["EssentialContainerExited", "UserInitiated", "TaskFailedToStart", null])
      expect(wasTaken(killed(1, { stopCode }))).toBe(false);
    expect(wasTaken(over(1))).toBe(false);
  });

  const plan = planOf([vertex("m0"), vertex("m1"), vertex("m2"), vertex("m3", ["m1"])]);
  const rows = [row("m0", "success"), row("m1", "started"), row("m2", "started")];

  it("uses no try and blames nobody: what ran in it is built again in one build with the rest, not each alone", () => {
    for (const task of [over(1, terminated), killed(1, { stopCode: "SpotInterruption" })]) {
      const decision = decide({ plan, rows, tasks: [task] });
      expect(launchesOf(decision)).toEqual([{ kind: "recovery", set: ["m1", "m2", "m3"] }]);
      expect(decision.launches[0]!.claims.map(({ lostTask }) => lostTask)).toEqual([1, 1, undefined]);
    }
  });

  const lostIn = (tasks: readonly number[]) => ({
    plan: planOf([vertex("m1")]),
    rows: [row("m1", "started", { task: tasks.at(-1)!, tryTasks: [...tasks], lostTasks: tasks.slice(0, -1) })],
  });

  it("counts for no bound of losses, however often, up to one of its own", () => {
    const tasksOf = (count: number) =>
      Array.from({ length: count }, (_, n) => over(n + 1, terminated, n === 0 ? {} : fallback));
    const decided = (count: number) => {
      const tasks = tasksOf(count);
      return decide({ ...lostIn(tasks.map(({ task }) => task)), tasks });
    };
    for (const count of [1, 3, 10, MOST_TAKEN])
      expect(launchesOf(decided(count))).toEqual([{ kind: "recovery", set: ["m1"] }]);
    expect(decided(1).launches[0]!.reason).toBe("1 vertex ran in a container that was taken away: one build for all.");
    const last = decided(MOST_TAKEN + 1);
    expect(finalsOf(last)).toEqual({ m1: "dead" });
    expect(last.finals[0]!.finalReason).toBe("Each of 21 builds that ran it lost its container to somebody else.");
  });

  it("does not hide kills among them: those have their bound, and are retried alone", () => {
    const tasks = [over(1, terminated), killed(2, {}, fallback), killed(3, {}, fallback)];
    expect(launchesOf(decide({ ...lostIn([1, 2, 3]), tasks }))).toEqual([{ kind: "fallback", set: ["m1"] }]);
    const once = [...tasks, killed(4, {}, fallback)];
    expect(finalsOf(decide({ ...lostIn([1, 2, 3, 4]), tasks: once }))).toEqual({ m1: "dead" });
  });

  it("ends tasks that had begun nothing without using up their bound", () => {
    const silent = Array.from({ length: 8 }, (_, n) => over(n + 2, terminated, fallback));
    const failed = [row("m1", "error", { task: 1, tryTasks: [1] })];
    const input = { plan: planOf([vertex("m1")]), rows: failed, tasks: [over(1), ...silent] };
    expect(launchesOf(decide(input))).toEqual([{ kind: "fallback", set: ["m1"] }]);
    expect(stepInput(input).policy.launchFailures).toBe(5);
  });
});
