import { expect, test } from "vitest";
import type { CheckRunPayload, RunReference } from "#core/contracts/payloads.ts";
import { policySchema } from "#core/contracts/settings.ts";
import { answerTurn } from "../../functions/answer-turn.ts";
import { type CheckRunDeps, checkTurn, tellLaterTurn } from "../../functions/check-run/check-run.ts";
import { FakeArtefacts, FakeEvents, FakeExecutions, FakeTasks } from "../support/fake-clients.ts";
import { runRow } from "../support/ledger-rows.ts";
import { memoryLedger } from "../support/memory-ledger.ts";
import { planOf, vertex } from "../support/run-builders.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const key = { project: "shop", runId: "run-1" };
const plan = planOf([vertex("a"), vertex("b", ["a"])]);
const WAITS = { netSeconds: 60, averageSeconds: 7 };

/** Run's loop as Step Functions turns it: a turn that is not answered within its wait is over, and the next one begins. */
class Loop {
  turns = 0;
  atOnce = 0;
  mostAtOnce = 0;
  readonly #clock: VirtualClock;
  readonly #deps: CheckRunDeps;
  readonly #open = new Map<string, (answer: RunReference | null) => void>();

  constructor(clock: VirtualClock, deps: Omit<CheckRunDeps, "executions">) {
    this.#clock = clock;
    const succeed = async (token: string, answer: unknown) => {
      const end = this.#open.get(token);
      end?.(answer as RunReference);
      return end !== undefined;
    };
    this.#deps = { ...deps, executions: Object.assign(new FakeExecutions(), { succeed }) };
  }

  async turn(reference: RunReference): Promise<never> {
    let run = reference;
    for (;;) {
      this.turns += 1;
      const payload: CheckRunPayload = { taskToken: `turn ${this.turns}`, run, waits: WAITS };
      void this.#check(payload);
      run = (await this.#over(payload.taskToken, run.waitSeconds ?? WAITS.netSeconds)) ?? run;
    }
  }

  #over(token: string, seconds: number): Promise<RunReference | null> {
    return new Promise((resolve) => {
      const end = (answer: RunReference | null) => {
        this.#open.delete(token);
        resolve(answer);
      };
      this.#open.set(token, end);
      this.#clock.after(seconds * 1_000, () => end(null));
    });
  }

  /** Each call in an instance of its own, which has seen nothing. */
  async #check(payload: CheckRunPayload): Promise<void> {
    this.atOnce += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.atOnce);
    const deps = { ...this.#deps, seen: new Map(), pause: this.#clock.sleep };
    const late = (answer: RunReference) => tellLaterTurn(payload, answer, deps);
    await answerTurn(deps.executions, payload.taskToken, () => checkTurn(payload, deps), late);
    this.atOnce -= 1;
  }
}

/** A live build that beats, and a ledger whose vertices take so long to be read. */
async function loopWith(checkSeconds: number) {
  const clock = new VirtualClock(runRow(key).startedAtMs);
  const ledger = memoryLedger();
  const tasks = new FakeTasks();
  const readVertices: typeof ledger.readVertices = async (run) => {
    await clock.sleep(checkSeconds * 1_000);
    return await ledger.readVertices(run);
  };
  const loop = new Loop(clock, {
    ledger: { ...ledger, readVertices },
    artefacts: new FakeArtefacts(),
    tasks,
    events: new FakeEvents(),
    readPlan: async () => plan,
    consumerMachineArn: "arn:aws:states:us-east-1:000000000000:stateMachine:consumer",
    warn: () => undefined,
    nowMs: clock.nowMs,
    seen: new Map(),
  });
  const settings = { ...runRow(key).settings, policy: policySchema.parse({ recovery: "early" }) };
  await ledger.createRun({ ...runRow(key), settings, deadlineAtMs: clock.nowMs() + 3_600_000 });
  void loop.turn({ contract: 1, ...key, round: 1, next: "check", waitSeconds: 1 });
  await clock.advance(60_000, () => tasks.launched.length > 0);
  const { taskArn } = tasks.launched[0]!;
  await ledger.passFence(key, 1, { taskArn, startedAtMs: clock.nowMs() });
  await ledger.setPlan(key, { planKey: "plan", plannedVertices: 2, plannedNodes: 2 });
  let sequence = 0;
  const beat = () => {
    sequence += 1;
    void ledger.heartbeat(key, 1, { taskArn, atMs: clock.nowMs(), sequence });
    clock.after(1_000, beat);
  };
  beat();
  return { clock, loop };
}

test.each([0, 0.4, 1.5, 4, 20])(
  "F13: a check that takes %s s keeps to its net: turns neither pile up nor follow each other for as long as it is slow",
  async (checkSeconds) => {
    const { clock, loop } = await loopWith(checkSeconds);
    await clock.advance(120_000);
    const before = loop.turns;
    expect(loop.mostAtOnce).toBeLessThanOrEqual(Math.ceil(checkSeconds) + 2);
    loop.mostAtOnce = 0;
    await clock.advance(1_200_000);
    // One each minute, or a check and twice its time; without a floor it is one each second.
    expect(loop.turns - before).toBeLessThanOrEqual(31);
    expect(loop.mostAtOnce).toBeLessThanOrEqual(1);
    expect(before).toBeLessThanOrEqual(12 + 2 * checkSeconds);
  },
);
