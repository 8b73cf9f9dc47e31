import type { Ledger } from "#clients/ledger.ts";
import { isTerminal } from "#core/dbt/status.ts";
import type { LedgerChange } from "#core/run/watching/ledger-change.ts";

/** A change without the run that it is of, as the methods below make it. */
type Change = LedgerChange extends infer One
  ? One extends LedgerChange
    ? Omit<One, "project" | "runId">
    : never
  : never;

/** What a call of the ledger changes that somebody waits for, by what it was given and answered. */
const CHANGES: Readonly<Record<string, (given: never, answer: unknown) => Change | null>> = {
  writeVertex: ([, , { uniqueId, status }]: Parameters<Ledger["writeVertex"]>) => ({
    kind: "vertex",
    uniqueId,
    is: isTerminal(status) ? "ended" : "started",
    status,
  }),
  tellPlan: (_, answer) => (answer === true ? { kind: "plan told" } : null),
  setFinal: ([, , { uniqueId }]: Parameters<Ledger["setFinal"]>) => ({ kind: "vertex", uniqueId, is: "closed" }),
  endTask: (_, answer) => (answer === true ? { kind: "task over" } : null),
  markStopped: (_, answer) => (answer === true ? { kind: "task over" } : null),
  setPlan: (_, answer) => (answer === true ? { kind: "planned" } : null),
  requestStop: () => ({ kind: "stop" }),
  markFault: () => ({ kind: "stop" }),
  setMark: () => ({ kind: "marked" }),
};

/** The ledger in memory with the table's stream: `tell` hears what passes its filters, as the records say it. */
export function withStream(ledger: Ledger, tell: (change: LedgerChange) => void): Ledger {
  return new Proxy(ledger, {
    get(from, name) {
      const method = Reflect.get(from, name) as (...given: unknown[]) => Promise<unknown>;
      const changed = CHANGES[String(name)];
      if (changed === undefined) return method;
      return async (...given: unknown[]) => {
        const answer = await method(...given);
        const change = changed(given as never, answer);
        const { project, runId } = given[0] as { project: string; runId: string };
        if (change !== null) tell({ project, runId, ...change } as LedgerChange);
        return answer;
      };
    },
  });
}
