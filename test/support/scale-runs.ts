import { type ModelFigures, type ModelOptions, modelRun } from "../../bench/scale/model.ts";
import { type Failing, scaleProject } from "../../bench/scale/project.ts";

/** A run of the model with so many nodes and seven times as many tests. */
export const scaleRun = (
  nodes: number,
  failing: Failing,
  more: Partial<Pick<ModelOptions, "places" | "vcpu" | "maxTasks" | "policy" | "watch">> & { shared?: number } = {},
): Promise<ModelFigures> => {
  const { shared = 0, ...options } = more;
  const project = scaleProject({
    nodes,
    tests: Math.round(nodes * 6.67),
    failing,
    shared,
    nodeSeconds: 6,
    testSeconds: 1,
  });
  return modelRun({ project, threads: 16, pollSeconds: 5, watch: "wake", ...options });
};
