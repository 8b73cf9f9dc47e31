import { describe, expect, it } from "vitest";
import { AwsLimitExceeded, bytesOf } from "#core/aws-limits.ts";
import { parseRunInput } from "#core/contracts/run-input.ts";
import { artefactKeys, consumerName, isWholeId, keys } from "#core/names.ts";
import { FakeArtefacts, FakeExecutions } from "../support/fake-clients.ts";
import { runRow } from "../support/ledger-rows.ts";
import { memoryLedger } from "../support/memory-ledger.ts";

const key = { project: "shop", runId: "run-1" };
const long = `test.shop.accepted_values_country_iso2__${"aa__".repeat(500)}.4c1f`;
const umlauts = `model.shop.${"ü".repeat(700)}`;

describe("ids of any length", () => {
  it.each([long, umlauts, `model.shop.${"𝄞".repeat(400)}`])(
    "D18: every key stays within its service's limit (%#)",
    (id) => {
      expect(bytesOf(id)).toBeGreaterThan(1_024);
      expect(bytesOf(keys.vertex(id))).toBeLessThanOrEqual(1_024);
      expect(keys.vertex(id)).not.toContain("\uFFFD");
      expect(consumerName({ ...key, round: 12 }, id, "tests").length).toBeLessThanOrEqual(80);
      expect(isWholeId(id)).toBe(false);
    },
  );

  it("D18: two long ids that differ only at their ends have two keys and two names", () => {
    const other = `${long}x`;
    expect(keys.vertex(other)).not.toBe(keys.vertex(long));
    expect(consumerName({ ...key, round: 1 }, other)).not.toBe(consumerName({ ...key, round: 1 }, long));
  });

  it("D18: ids that fit keep the key that rows of earlier runs have", () => {
    expect(keys.vertex("model.shop.orders")).toBe("VERTEX#model.shop.orders");
    const fits = "x".repeat(1_024 - "VERTEX#".length);
    expect(keys.vertex(fits)).toBe(`VERTEX#${fits}`);
    expect(isWholeId(fits)).toBe(true);
    expect(isWholeId(`${fits}x`)).toBe(false);
  });

  it("D18: a lock of any target fits, in the queue too", () => {
    const target = "t".repeat(3_000);
    expect(bytesOf(keys.queue(target, 1_700_000_000_000, "r".repeat(80)))).toBeLessThanOrEqual(1_024);
    expect(keys.queue(target, 1, "r").startsWith(keys.queuePrefix(target))).toBe(true);
    expect(keys.lock(`${target}x`)).not.toBe(keys.lock(target));
    expect(keys.lock("prod")).toBe("LOCK#prod");
  });

  it("D18: artefacts of a task have keys that hold no id", () => {
    expect(bytesOf(artefactKeys.set("p".repeat(63), "r".repeat(80), 999_999, "h".repeat(16)))).toBeLessThan(1_024);
  });
});

describe("what refuses as AWS does, in memory", () => {
  it("D18: the ledger refuses a row that is too large", async () => {
    const ledger = memoryLedger();
    await ledger.createRun(runRow(key));
    const write = { uniqueId: "model.shop.a", status: "error", evidence: true, message: "x".repeat(500_000) };
    await expect(ledger.writeVertex(key, 1, write)).rejects.toThrow(AwsLimitExceeded);
  });

  it("D18: executions refuse names and inputs, artefacts keys", async () => {
    const executions = new FakeExecutions();
    await expect(executions.start("arn", "n".repeat(81), {})).rejects.toThrow(AwsLimitExceeded);
    await expect(executions.start("arn", "a b", {})).rejects.toThrow(AwsLimitExceeded);
    await expect(executions.start("arn", "n", { text: "x".repeat(300_000) })).rejects.toThrow(AwsLimitExceeded);
    await expect(new FakeArtefacts().putJson("k".repeat(1_025), {})).rejects.toThrow(AwsLimitExceeded);
  });

  it("D18: a run input that its row could not hold is refused before anything starts, with its size", () => {
    const input = { project: "shop", vars: { text: "x".repeat(200_000) } };
    expect(() => parseRunInput(input)).toThrow(/input of 200\d{3} bytes: at most 131072/);
  });
});
