import { scopeOf } from "#core/run/judging/rounds.ts";
import {
  expectAllGood,
  expectCured,
  expectOrder,
  expectSound,
  expectTruth,
  expectVerdict,
  isCurable,
} from "./simulated-checks.ts";
import { expectHooks } from "./simulated-hooks.ts";
import { beginNeighbours, drawNeighbours, expectNeighbours } from "./simulated-neighbours.ts";
import { type ProjectOptions, randomProject, type SimulatedProject } from "./simulated-project.ts";
import { Random } from "./simulated-random.ts";
import { expectSteps } from "./simulated-steps.ts";
import { expectEnded, stopSomehow } from "./simulated-stops.ts";
import { SimulatedWorld, type WorldOptions } from "./simulated-world.ts";

/** What goes wrong around a simulated run, and what is special about its project. */
export interface Trouble {
  /** As a test's name says it. */
  readonly title: string;
  readonly world: Partial<WorldOptions>;
  /** A person redrives what ended red, the run or a consumer, until it is green or this many times. */
  readonly redrives?: number;
  /** Beside redriving, a person asks for named nodes, marks what never becomes good, and goes on as a new run. */
  readonly byHand?: boolean;
  readonly project?: ProjectOptions;
  /** Which vertices are left is a matter of chance; the verdict is not. */
  readonly byChance?: boolean;
  /** The run is stopped at some moment: its verdict and what is left of it are what counts then. */
  readonly stopped?: true;
  /** Several runs of one lock, which wait for, replace, skip and refuse each other. */
  readonly neighbours?: true;
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

/** Builds that are long enough, and failures that are tried again, so that much is recovered beside the producer. */
const early = {
  mostNodes: 16,
  policy: {
    recovery: "early",
    heartbeatSeconds: 1,
    retryDelaySeconds: 0,
    retryOn: "all",
    retries: { node: 2, test: 2 },
  },
};

/** Two tries at least: the hook fails once. */
const hooked: ProjectOptions = { endHook: true, policy: { hooks: "once", retries: { node: 1, test: 1 } } };

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
    title: "F13: ends the same, consumers and all, when the stream that wakes them is taken away",
    world: { watch: "wake", stream: { lost: 1, doubled: 0 } },
  },
  {
    title: "F13, F11: and when wakes are lost, late and doubled, and die",
    world: {
      watch: "wake",
      stream: { lost: 0.3, doubled: 0.3 },
      faults: { crashes: 0.05, refusals: 0.05 },
      lingering: 0.3,
    },
  },
  {
    title: "D2, D4, D10, E4, G5: ends the same when all of it happens",
    world: { faults: { crashes: 0.03, refusals: 0.03 }, troubles, lingering: 0.3 },
  },
  {
    title: "B8: and after a build that failed fast",
    world: { faults: { crashes: 0.03, refusals: 0.03 }, lingering: 0.3 },
    project: { failFast: true },
    byChance: true,
  },
  {
    title: "C12: and where nodes are built again for their tests: no table is replaced while another build reads it",
    world: { troubles, lingering: 0.3 },
    project: { policy: { onTestFailure: "node" } },
    byChance: true,
  },
  {
    title: "G19, F3: recovery: early: ends as its vertices allow, and no vertex is alive twice",
    world: {},
    project: early,
  },
  {
    title: "G19, D2, D4, D10, E4, G5: recovery: early: and the same when all of it happens",
    world: { stream: { lost: 0.2, doubled: 0.2 }, faults: { crashes: 0.03, refusals: 0.03 }, troubles, lingering: 0.3 },
    project: early,
  },
  {
    title: "G19, C12: recovery: early: and where nodes are built again for their tests",
    world: { troubles, lingering: 0.3 },
    project: { ...early, policy: { ...early.policy, onTestFailure: "node" } },
    byChance: true,
  },
  {
    title:
      "G8, F14: redriven, runs and consumers, until everything is good that can be, and nothing good is built again",
    world: {},
    redrives: 20,
  },
  {
    title:
      "G8, F14, D2, G5: redriven while functions die, calls are refused, launches come to nothing and checks overlap",
    world: { stream: { lost: 0.2, doubled: 0.2 }, faults: { crashes: 0.03, refusals: 0.03 }, troubles, lingering: 0.3 },
    redrives: 20,
  },
  {
    title: "G9, G8: redriven, with rounds that open by themselves",
    world: { faults: { crashes: 0.03, refusals: 0.03 }, lingering: 0.3 },
    project: { policy: { runRetries: 2, runRetryDelaySeconds: 30 } },
    redrives: 20,
  },
  {
    title: "G19, G8: recovery: early: redriven, with rounds that open by themselves",
    world: { faults: { crashes: 0.03, refusals: 0.03 }, lingering: 0.3 },
    project: { ...early, policy: { ...early.policy, runRetries: 1, runRetryDelaySeconds: 30 } },
    redrives: 20,
  },
  {
    title:
      "G25, G8: named nodes are asked for, what never becomes good is marked, and a new run goes on with the old one",
    world: {},
    redrives: 20,
    byHand: true,
  },
  {
    title: "G25, G8, D2, G5: and where functions die, calls are refused, launches come to nothing and checks overlap",
    world: { faults: { crashes: 0.03, refusals: 0.03 }, troubles, lingering: 0.3 },
    redrives: 20,
    byHand: true,
  },
  {
    title: "G30: hooks: once: the last process of all runs the hooks, told how each table stands, in a red run too",
    world: {},
    project: hooked,
  },
  {
    title: "G30, D2, G5: hooks: once: and the same when all of it happens",
    world: { faults: { crashes: 0.03, refusals: 0.03 }, troubles, lingering: 0.3 },
    project: hooked,
  },
  {
    title: "G30, G8: hooks: once: and in each further round again",
    world: { faults: { crashes: 0.03, refusals: 0.03 }, lingering: 0.3 },
    project: hooked,
    redrives: 20,
  },
  {
    title: "H13: steps: none begins before its turn, none that was good runs again, and green says all of them were",
    world: {},
    project: { steps: true },
  },
  {
    title: "H13, D2, D4, G5: steps: and the same when all of it happens",
    world: { faults: { crashes: 0.03, refusals: 0.03 }, troubles, lingering: 0.3 },
    project: { steps: true },
  },
  {
    title: "H13, G8: steps: and in each further round",
    world: { faults: { crashes: 0.03, refusals: 0.03 }, lingering: 0.3 },
    project: { steps: true },
    redrives: 20,
  },
  {
    title:
      "G12, G33: stopped at any moment, by the flag or by ending its machine, it has a verdict and nothing of it goes on",
    world: { lingering: 0.3 },
    stopped: true,
  },
  {
    title: "G12, G33: and where calls are refused, functions die, launches come to nothing, events are lost or doubled",
    world: { stream: { lost: 0.2, doubled: 0.2 }, faults: { crashes: 0.03, refusals: 0.03 }, troubles, lingering: 0.3 },
    stopped: true,
  },
  {
    title: "G23, G8: stopped at any moment and redriven at any other: no event of the old round touches the new one",
    world: { lingering: 0.3 },
    stopped: true,
    redrives: 20,
  },
  {
    title:
      "G23, G8, D2: and where calls are refused, functions die, launches come to nothing, events are late or doubled",
    world: { faults: { crashes: 0.03, refusals: 0.03 }, troubles, lingering: 0.3 },
    stopped: true,
    redrives: 20,
  },
  {
    title: "G10, G11, G22, G25: several runs of one lock: never two at once, each ends, each next one begins at once",
    world: {},
    neighbours: true,
  },
  {
    title: "G10, G11, G22, G25, D2: several runs of one lock while functions die and calls are refused",
    world: { faults: { crashes: 0.03, refusals: 0.03 }, troubles, lingering: 0.2 },
    neighbours: true,
  },
  {
    title: "D21, D2: ends the same when containers are taken away and there is no room for launches",
    world: { troubles: { ...troubles, neverStartedPercent: 0, refusedPercent: 40, takenPercent: 70, most: 30 } },
  },
  {
    title: "D21, D2, G8: and where functions die, calls are refused and the run is redriven",
    world: {
      faults: { crashes: 0.03, refusals: 0.03 },
      troubles: { ...troubles, neverStartedPercent: 0, takenPercent: 70, most: 30 },
      lingering: 0.2,
    },
    redrives: 20,
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
  if (trouble.neighbours) return await playNeighbours(seed, trouble, { world, project });
  world.begin("run-1");
  if (trouble.stopped) stopSomehow(world, seed, trouble.redrives !== undefined);
  try {
    await world.settled();
    await expectSound(world);
    if (trouble.stopped) await expectEnded(world, project);
    if (trouble.project?.steps) await expectSteps(world, "run-1");
    if (trouble.project?.endHook) await expectHooks(world, project, "run-1");
    if (trouble.stopped && trouble.redrives === undefined) return { world, project, violation: null };
    if (trouble.byHand) {
      await repairedByHand(world, project);
      await expectAllGood(world, project);
    } else if (trouble.redrives !== undefined) {
      await redriven(world, isCurable(project) ? trouble.redrives : REDRIVES_IN_VAIN);
      if (trouble.project?.steps) await expectSteps(world, "run-1");
      await expectCured(world, project, "run-1");
    } else if (trouble.byChance !== true) await expectTruth(world, project, "run-1");
    else expectVerdict(world, project, "run-1");
    if (trouble.byHand !== true) expectOrder(world, project, "run-1");
    return { world, project, violation: null };
  } catch (error) {
    return { world, project, violation: error instanceof Error ? error.message : String(error) };
  }
}

async function playNeighbours(seed: number, trouble: Trouble, played: Omit<Play, "violation">): Promise<Play> {
  const random = new Random(seed + 1);
  const runs = drawNeighbours(random);
  beginNeighbours(played.world, runs, random);
  try {
    await played.world.settled();
    await expectNeighbours(played.world, runs, trouble.world.faults === undefined);
    return { ...played, violation: null };
  } catch (error) {
    return { ...played, violation: error instanceof Error ? error.message : String(error) };
  }
}

/** As often as something must come to, of what never becomes good. */
const REDRIVES_IN_VAIN = 3;

const isRed = (world: SimulatedWorld) => ["red", "aborted"].includes(world.ends.get("run-1")?.state ?? "");

/** At first one consumer or another, then the whole run. */
async function redriven(world: SimulatedWorld, most: number): Promise<void> {
  for (let turn = 0; turn < most && isRed(world); turn++) {
    const red = [...world.consumers.values()].filter((one) => one.outcome === "red" && !one.stopped);
    const some = turn < 3 ? red.filter(() => world.random.chance(0.5)) : [];
    for (const consumer of some) world.redriveConsumer(consumer);
    if (some.length === 0) world.redrive("run-1");
    await world.settled();
    await expectSound(world);
  }
}

const KEY = { project: "shop", runId: "run-1" };

/** Rounds for nodes that somebody names, then marks on what never becomes good, then a new run for the rest. */
async function repairedByHand(world: SimulatedWorld, project: SimulatedProject): Promise<void> {
  for (let turn = 0; turn < 3 && isRed(world); turn++) await askForSome(world, project);
  if (!isRed(world)) return;
  for (const { uniqueId, resourceType } of project.plan.vertices) {
    const { failures, kills } = project.vertices.get(uniqueId)!;
    if (Number.isFinite(failures) && Number.isFinite(kills)) continue;
    const as = resourceType === "model" ? "good" : "skip";
    world.warehouse.vouchFor(uniqueId);
    await world.ledger.setMark(KEY, uniqueId, 1, { as, by: "ada", atMs: world.schedule.nowMs, reason: "looked at it" });
  }
  world.begin("run-2", 0, { resume: { run: "run-1" } });
  await world.settled();
  for (let turn = 0; turn < 20 && world.ends.get("run-2")?.state === "red"; turn++) {
    world.redrive("run-2");
    await world.settled();
    await expectSound(world);
  }
}

/** A good model that is to be built again, with all that is below it: until it is, nothing of that is good. */
function wantedAnew(world: SimulatedWorld, project: SimulatedProject, bad: readonly string[]): string[] {
  const good = project.plan.vertices.filter(({ uniqueId: id }) => id.startsWith("model_") && !bad.includes(id));
  const nodes = good.filter(({ safeToRepeat }) => safeToRepeat && world.random.chance(0.3)).map((one) => one.uniqueId);
  const scope = scopeOf(project.plan, nodes, true);
  for (const { uniqueId, builds } of project.plan.vertices)
    if (builds && scope.has(uniqueId)) world.warehouse.askFor(uniqueId);
  return nodes;
}

/** As `stepwatch retry --node`: a request on the run's row, then Redrive. */
async function askForSome(world: SimulatedWorld, project: SimulatedProject): Promise<void> {
  const run = (await world.ledger.readRun(KEY))!;
  const bad = project.plan.vertices.map((one) => one.uniqueId).filter((id) => !world.warehouse.table(id).good);
  const nodes = bad.filter((id) => id.startsWith("model_") && world.random.chance(0.5));
  const downstream = world.random.chance(0.5);
  if (downstream) nodes.push(...wantedAnew(world, project, bad));
  if (nodes.length === 0) return;
  const wish = { by: "person" as const, who: "ada", downstream, force: false, fullRefresh: false };
  await world.ledger.requestRound(run, { ...wish, round: run.round, atMs: world.schedule.nowMs, nodes });
  world.redrive("run-1");
  await world.settled();
  await expectSound(world);
}
