import { it } from "vitest";
import { canBeGood } from "../../support/simulated-oracle.ts";
import { randomProject } from "../../support/simulated-project.ts";
import { Random } from "../../support/simulated-random.ts";
import { simulateRun } from "../../support/simulated-run.ts";
it("x", () => {
  const random = new Random(59554596);
  const p = randomProject(random, { failFast: true });
  const end = simulateRun(p, random);
  console.log(JSON.stringify([...p.vertices.values()]), JSON.stringify(p.plan.vertices.map(v=>[v.uniqueId,v.builds,v.gateParents])), JSON.stringify(p.policy));
  console.log(end.verdict, JSON.stringify(end.rows,null,0), JSON.stringify(end.tasks.map(t=>[t.kind,t.reason,t.end?.cause.kind, t.end?.failFast,t.stop?.exitCode])), [...canBeGood(p)]);
});
