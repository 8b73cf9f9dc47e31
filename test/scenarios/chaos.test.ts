import { describe, expect, it } from "vitest";
import { expectSound, expectTruth, expectVerdict } from "../support/simulated-checks.ts";
import { type ProjectOptions, randomProject } from "../support/simulated-project.ts";
import { Random } from "../support/simulated-random.ts";
import { SimulatedWorld, type WorldOptions } from "../support/simulated-world.ts";

const first = Number(process.env.STEPWATCH_TEST_SEED ?? Date.now() % 1_000_000_000);

/** Settings under which no chance event reaches a bound, so that the project alone decides the verdict. */
const policy = {
  launchFailures: 20,
  losses: 6,
  producerRetries: 10,
  heartbeatSeconds: 10,
  orphanGraceSeconds: 0,
  runTimeoutMinutes: 10_000,
};
const troubles = { refusedPercent: 10, neverStartedPercent: 5, forgottenTokenPercent: 50, most: 4 };

async function play(seed: number, options: Partial<WorldOptions>, kind?: ProjectOptions): Promise<void> {
  const plain = { mostNodes: 7, unreported: false, failFast: false };
  const project = randomProject(new Random(seed), { ...plain, ...kind, policy: { ...policy, ...kind?.policy } });
  const world = new SimulatedWorld({ seed, project, ...options });
  world.begin("run-1");
  await world.settled();
  try {
    await expectSound(world);
    // Which vertices are left after these is a matter of chance; the verdict is not.
    if (kind === undefined) await expectTruth(world, project, "run-1");
    else expectVerdict(world, project, "run-1");
  } catch (error) {
    throw new Error(`Seed ${seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

async function playMany(count: number, options: Partial<WorldOptions>, kind?: ProjectOptions): Promise<void> {
  for (let n = 0; n < count; n++) await play(first + n, options, kind);
}

describe(`a simulated world (STEPWATCH_TEST_SEED=${first})`, () => {
  it("ends as its vertices allow when nothing goes wrong around it", () => playMany(15, {}));

  it("F11: ends the same when calls of the functions are refused, before or after they took effect", () =>
    playMany(15, { faults: { crashes: 0, refusals: 0.1 } }));

  it("D2, D11: ends the same when functions die anywhere and launches come to nothing", () =>
    playMany(25, { faults: { crashes: 0.05, refusals: 0.02 }, troubles }));

  it("G5: ends the same when checks run at once", () => playMany(25, { lingering: 0.5 }));

  it("D2, D4, D10, E4, G5: ends the same when all of it happens", () =>
    playMany(30, { faults: { crashes: 0.03, refusals: 0.03 }, troubles, lingering: 0.3 }));

  it("B8: and after a build that failed fast", () =>
    playMany(15, { faults: { crashes: 0.03, refusals: 0.03 }, lingering: 0.3 }, { failFast: true }));

  it("C12: and where nodes are built again for their tests: no table is replaced while another build reads it", () =>
    playMany(15, { troubles, lingering: 0.3 }, { policy: { onTestFailure: "node" } }));
});

it("a scenario is told by its seed", async () => {
  const calls = [1, 2].map(async () => {
    const project = randomProject(new Random(5), { mostNodes: 7, unreported: false, failFast: false, policy });
    const world = new SimulatedWorld({ seed: 5, project, troubles, lingering: 0.3 });
    world.begin("run-1");
    await world.settled();
    return [world.calls.calls, world.schedule.nowMs];
  });
  expect(await calls[0]).toEqual(await calls[1]);
});
