import { describe, expect, test } from "vitest";
import { parseRunInput } from "#core/contracts/run-input.ts";
import { policyOfRun } from "#core/contracts/run-policy.ts";
import { policySchema } from "#core/contracts/settings.ts";
import { policyOf } from "../support/run-builders.ts";

const DAY = 1_440;
const given = (policy: unknown) => parseRunInput({ project: "shop", policy }).policy;

describe("H5: a run's own policy", () => {
  test("changes what it names and nothing else", () => {
    const project = policyOf({ retries: { node: 3, test: 4 }, retryOn: "all", holdSeconds: 9 });
    const changed = policyOfRun(project, given({ retries: { node: 0 }, fallbacks: "alone" }), DAY);
    expect(changed).toEqual({ ...project, retries: { node: 0, test: 4 }, fallbacks: "alone" });
    expect(policyOfRun(project, given({}), DAY)).toEqual(project);
    expect(policyOfRun(project, undefined, DAY)).toBe(project);
  });

  test("every field that a run may change takes the value that the project's takes", () => {
    const whole = policySchema.parse({});
    const fixed = ["heartbeatSeconds", "lostAfterSeconds", "ttlDays"];
    for (const [field, value] of Object.entries(whole).filter(([name]) => !fixed.includes(name)))
      expect(given({ [field]: value }), field).toEqual({ [field]: value });
  });

  test.each([
    [{ retryOn: "never" }, 'policy.retryOn = "never": must be one of all, transient.'],
    [{ retries: { node: 21 } }, "policy.retries.node = 21: must be at most 20."],
    [{ retries: 0 }, "policy.retries = 0: must be a mapping"],
    [{ retryon: "all" }, "policy.retryon: there is no such setting; did you mean retryOn?"],
    [{ failureMessages: [{ pattern: "(", kind: "load" }] }, "policy.failureMessages[0].pattern"],
    [{ overlap: "never" }, 'policy.overlap = "never": must be one of queue, latest, skip, refuse.'],
    [{ ttlDays: 3 }, "policy.ttlDays = 3: is the project's"],
    [{ heartbeatSeconds: 1 }, "policy.heartbeatSeconds = 1: is the project's"],
    ["fast", 'policy = "fast": must be a mapping'],
  ])("%j is refused, naming field and value", (policy, words) => {
    expect(() => given(policy)).toThrow(words);
  });

  test("may be longer than its project's only as far as the stack's machines hold", () => {
    expect(policyOfRun(policyOf(), { runTimeoutMinutes: 600 }, 600).runTimeoutMinutes).toBe(600);
    expect(() => policyOfRun(policyOf(), { runTimeoutMinutes: 601 }, 600)).toThrow(
      "policy.runTimeoutMinutes = 601: must be at most 600",
    );
  });
});
