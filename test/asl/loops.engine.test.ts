import { SFNClient } from "@aws-sdk/client-sfn";
import { afterAll, beforeAll } from "vitest";
import { CalledFunctions, type Engine, loopTests } from "../support/engine-loops.ts";
import { type Moto, startMoto } from "../support/moto.ts";

/** moto's Step Functions are LocalStack's: what holds here holds on both. */
const ACCOUNT = "123456789012";
const functions = new CalledFunctions();
let moto: Moto;
let sfn: SFNClient;

beforeAll(async () => {
  moto = await startMoto(await functions.listen());
  const credentials = { accessKeyId: "test", secretAccessKey: "test" };
  sfn = new SFNClient({ region: "us-east-1", credentials, endpoint: moto.url });
}, 300_000);
afterAll(async () => {
  functions.close();
  sfn?.destroy();
  await moto?.stop();
});

const engine = (): Engine => ({
  sfn,
  roleArn: `arn:aws:iam::${ACCOUNT}:role/machine`,
  functionArn: (name) => `arn:aws:lambda:us-east-1:${ACCOUNT}:function:${name}`,
});

loopTests("LocalStack's engine (moto)", engine, () => functions);
