/**
 * Runs the Node functions of an engine, in threads of this program: an engine's own way may be a process for each call.
 *
 *     node local/bootstrap.mjs local/lambda/main.ts --port 4572 --rest http://127.0.0.1:4566
 *
 * `POST /_lambda` takes an invocation with the function's name in headers (see local/localstack-plugin);
 * `POST /2015-03-31/functions/<name>/invocations` is the Lambda API's own.
 */
import { join } from "node:path";
import { awsJson } from "../emulator/aws-json.ts";
import { LogShipper } from "../emulator/log-shipper.ts";
import { clientEnvironment } from "../endpoints.ts";
import { runEngineProgram, type Served, type Setting, urlIn } from "../engine-program.ts";
import { deployedRevision } from "./function-code.ts";
import { answerInvocation, answerInvoke } from "./invocations.ts";
import { LambdaHost } from "./lambda-host.ts";

async function start(setting: Setting): Promise<Served> {
  const { flags, restUrl, stateDir, region, keys } = setting;
  const ecsEndpointUrl = urlIn(flags, "ecs") ?? restUrl;
  const logs = new LogShipper(awsJson(restUrl, region, keys.accessKeyId));
  const host = new LambdaHost({
    emulatorUrl: restUrl,
    region,
    accessKeyId: keys.accessKeyId,
    codeRoot: join(stateDir, "functions"),
    baseEnvironment: clientEnvironment({ awsEndpointUrl: restUrl, ecsEndpointUrl, region }, keys),
    logs,
  });
  const revisionOf = (name: string, version: string) =>
    deployedRevision({ emulatorUrl: restUrl, region, accessKeyId: keys.accessKeyId }, name, version);
  return {
    answer: async (request, response) => {
      if (request.method !== "POST" || request.url !== "/_lambda")
        return answerInvoke(host, revisionOf, request, response);
      await answerInvocation(host, request, response);
      return true;
    },
    stop: async () => {
      await host.close();
      await logs.flushAll();
    },
  };
}

await runEngineProgram({
  name: "lambda",
  usage: "node local/bootstrap.mjs local/lambda/main.ts --rest <url> [--port <n>] [--ecs <url>]",
  flags: { ecs: "URL of the ECS endpoint that functions call; --rest if absent" },
  start,
});
