import { expect, it } from "vitest";
import { fakeStack, known, stepwatch } from "./fake-context.ts";
import { begun, green } from "./looks.ts";

const RESPONSE = { query_id: "01b2", bytes_processed: 3_565_158 };

/** The stack of one look, whose run has left its run_results.json. */
function stackOf(look: typeof green) {
  const uniqueId = look.plan!.vertices[0]!.uniqueId;
  const stack = fakeStack([look]);
  known(stack, "run-1");
  const results = JSON.stringify({ metadata: {}, results: [{ unique_id: uniqueId, adapter_response: RESPONSE }] });
  const getText = async (key: string) => (key === "runs/shop/run-1/run_results.json" ? results : null);
  return { uniqueId, stack: { ...stack, artefacts: { ...stack.artefacts, getText } } };
}

it("status --json has what the warehouse said of each vertex, by the run's run_results.json, once it has ended", async () => {
  const responsesOf = async (look: typeof green) => {
    const { uniqueId, stack } = stackOf(look);
    const { nodes } = JSON.parse((await stepwatch(["status", "run-1", "--json"], { stack })).stdout);
    return nodes.find((node: { uniqueId: string }) => node.uniqueId === uniqueId)?.adapterResponse;
  };
  expect(await responsesOf(green)).toEqual(RESPONSE);
  expect(await responsesOf({ ...begun, plan: green.plan! })).toBeNull();
});

it("why of a node says it in a line of its own, and as JSON", async () => {
  const { uniqueId, stack } = stackOf(green);
  const text = await stepwatch(["why", "run-1", uniqueId], { stack });
  expect(text.stdout).toContain("  warehouse: query_id 01b2, bytes_processed 3565158");
  const json = await stepwatch(["why", "run-1", uniqueId, "--json"], { stack });
  expect(JSON.parse(json.stdout).node).toMatchObject({ uniqueId, adapterResponse: RESPONSE });
});
