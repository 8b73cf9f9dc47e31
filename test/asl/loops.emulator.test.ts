import { afterAll, beforeAll } from "vitest";
import { EmbeddedAwsFixture } from "../local/embedded-aws-fixture.ts";
import { CalledFunctions, type Engine, loopTests } from "../support/engine-loops.ts";

const functions = new CalledFunctions();
const arns = new Map<string, string>();
let aws: EmbeddedAwsFixture;

beforeAll(async () => {
  const url = await functions.listen();
  aws = await EmbeddedAwsFixture.start();
  for (const name of ["start-run", "check-run", "settle-run", "watch-node"]) {
    const source = `export const handler = async (event) => {
      const answer = await fetch("${url}/${name}", { method: "POST", body: JSON.stringify(event) });
      return answer.json();
    };`;
    arns.set(name, await aws.deployFunction(name, source));
  }
}, 120_000);
afterAll(async () => {
  functions.close();
  await aws?.end();
});

const engine = (): Engine => ({
  sfn: aws.sfn,
  roleArn: "arn:aws:iam::000000000000:role/machine",
  functionArn: (name) => arns.get(name)!,
});

loopTests("MiniStack", engine, () => functions);
