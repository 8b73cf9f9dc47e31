import { beforeEach, describe, expect, test } from "vitest";
import { exampleSettings } from "../support/projects.ts";
import { type FakeStack, fakeStack, stepwatch } from "./fake-context.ts";

const DIGEST = `sha256:${"d".repeat(64)}`;
const IMAGE = `registry.example/shop@${DIGEST}`;
const { producer, executionQueue } = exampleSettings();

let stack: FakeStack;
beforeEach(() => {
  stack = fakeStack([]);
});

describe("D14: stepwatch image", () => {
  test("chooses an image for the runs to come: revisions of both sizes, made from the deployed ones, and who did it", async () => {
    const end = await stepwatch(["image", "shop", IMAGE, "--reason", "new models"], { stack });
    expect(end.exitCode).toBe(0);
    expect(await stack.ledger.readImage("shop")).toEqual({
      project: "shop",
      image: IMAGE,
      over: { producer: producer.taskDefinitionArn, executionQueue: executionQueue.taskDefinitionArn },
      producer: `${producer.taskDefinitionArn} with dbt-runner = ${IMAGE}`,
      executionQueue: `${executionQueue.taskDefinitionArn} with dbt-runner = ${IMAGE}`,
      by: "jane",
      atMs: expect.any(Number),
      reason: "new models",
    });
    expect(end.stdout).toContain(`Runs of shop that begin from now on are built with ${IMAGE}.\n  chosen by jane at `);
    expect(await stack.ledger.listHands("shop", 9)).toMatchObject([
      { action: "image", by: "jane", reason: "new models", sentence: `chose the image ${IMAGE}` },
    ]);
  });

  test("the same image again changes nothing", async () => {
    await stepwatch(["image", "shop", IMAGE], { stack });
    const end = await stepwatch(["image", "shop", IMAGE, "--json"], { stack });
    expect(JSON.parse(end.stdout)).toMatchObject({ changed: false, image: IMAGE, chosen: { holds: true, by: "jane" } });
    expect(await stack.ledger.listHands("shop", 9)).toHaveLength(1);
  });

  test("--deployed takes it back; alone, the command tells", async () => {
    await stepwatch(["image", "shop", IMAGE], { stack });
    await stepwatch(["image", "shop", "--deployed"], { stack });
    expect(await stack.ledger.readImage("shop")).toBeNull();
    const end = await stepwatch(["image", "shop"], { stack });
    expect(end.stdout).toBe(
      `Runs of shop that begin from now on are built with image of ${producer.taskDefinitionArn}.\n`,
    );
  });

  test("after a deploy that changed the definitions it says that the choice counts no more", async () => {
    await stepwatch(["image", "shop", IMAGE], { stack });
    const later = { ...producer, taskDefinitionArn: "deployed:9" };
    const redeployed = { ...stack, readSettings: async () => ({ ...exampleSettings(), producer: later }) };
    const end = await stepwatch(["image", "shop"], { stack: redeployed });
    expect(end.stdout).toContain("are built with image of deployed:9.\n");
    expect(end.stdout).toMatch(
      /, counts no more: the stack was deployed after that\.\n {2}→ npx stepwatch image shop /,
    );
    await stepwatch(["image", "shop", IMAGE], { stack: redeployed });
    expect((await stack.ledger.readImage("shop"))?.over.producer).toBe("deployed:9");
  });

  test.each([
    [["image", "shop", "registry.example/shop:latest"], "only a tag of ECR can be looked up"],
    [["image", "shopp", IMAGE], "There is no project shopp in the deployed stack"],
    [["image", "shop", IMAGE, "--deployed"], "An image and --deployed are two things"],
  ])("%j is refused, and nothing is chosen", async (line, sentence) => {
    const end = await stepwatch(line, { stack });
    expect(end.exitCode).toBe(2);
    expect(end.stderr).toContain(sentence);
    expect(await stack.ledger.readImage("shop")).toBeNull();
  });
});
