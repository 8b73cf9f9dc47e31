import { expectSound, expectTruth, expectVerdict } from "./simulated-checks.ts";
import { type ProjectOptions, randomProject, type SimulatedProject } from "./simulated-project.ts";
import { Random } from "./simulated-random.ts";
import { SimulatedWorld, type WorldOptions } from "./simulated-world.ts";

/** What goes wrong around a simulated run, and what is special about its project. */
export interface Trouble {
  /** As a test's name says it. */
  readonly title: string;
  readonly world: Partial<WorldOptions>;
  /** Set: which vertices are left is a matter of chance then; the verdict is not. */
  readonly project?: ProjectOptions;
}

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

export const TROUBLES: readonly Trouble[] = [
  { title: "ends as its vertices allow when nothing goes wrong around it", world: {} },
  {
    title: "F11: ends the same when calls of the functions are refused, before or after they took effect",
    world: { faults: { crashes: 0, refusals: 0.1 } },
  },
  {
    title: "D2, D11: ends the same when functions die anywhere and launches come to nothing",
    world: { faults: { crashes: 0.05, refusals: 0.02 }, troubles },
  },
  { title: "G5: ends the same when checks run at once", world: { lingering: 0.5 } },
  {
    title: "D2, D4, D10, E4, G5: ends the same when all of it happens",
    world: { faults: { crashes: 0.03, refusals: 0.03 }, troubles, lingering: 0.3 },
  },
  {
    title: "B8: and after a build that failed fast",
    world: { faults: { crashes: 0.03, refusals: 0.03 }, lingering: 0.3 },
    project: { failFast: true },
  },
  {
    title: "C12: and where nodes are built again for their tests: no table is replaced while another build reads it",
    world: { troubles, lingering: 0.3 },
    project: { policy: { onTestFailure: "node" } },
  },
];

/** How a simulated run went. */
export interface Play {
  readonly world: SimulatedWorld;
  readonly project: SimulatedProject;
  /** What did not hold at its end; null if everything did. */
  readonly violation: string | null;
}

/** One run from start to end under one kind of trouble; the same for the same seed. */
export async function play(seed: number, trouble: Trouble): Promise<Play> {
  const plain = { mostNodes: 7, unreported: false, failFast: false };
  const changes = { ...policy, ...trouble.project?.policy };
  const project = randomProject(new Random(seed), { ...plain, ...trouble.project, policy: changes });
  const world = new SimulatedWorld({ seed, project, ...trouble.world });
  world.begin("run-1");
  try {
    await world.settled();
    await expectSound(world);
    if (trouble.project === undefined) await expectTruth(world, project, "run-1");
    else expectVerdict(world, project, "run-1");
    return { world, project, violation: null };
  } catch (error) {
    return { world, project, violation: error instanceof Error ? error.message : String(error) };
  }
}
