/**
 * ECS for an engine that has none, or none without containers: tasks are child processes of this program.
 *
 *     node local/bootstrap.mjs local/ecs/main.ts --port 4571 --rest http://127.0.0.1:4566
 */
import { join } from "node:path";
import { awsJson } from "../emulator/aws-json.ts";
import { LogShipper } from "../emulator/log-shipper.ts";
import { clientEnvironment } from "../endpoints.ts";
import { runEngineProgram, type Served, type Setting, urlIn } from "../engine-program.ts";
import { traceFolderOf } from "./container-launch.ts";
import { EcsEndpoint, forwardedTo, keptIn } from "./ecs-endpoint.ts";
import { EcsTasks } from "./ecs-tasks.ts";
import { endLeftoverContainers } from "./leftover-containers.ts";
import { TaskRegistry } from "./task-registry.ts";

/** Between SIGTERM and SIGKILL of the containers when the program is to end. */
const STOP_GRACE_SECONDS = 10;

async function start(setting: Setting): Promise<Served> {
  const { flags, restUrl, stateDir, region, keys, accountId, ownUrl } = setting;
  endLeftoverContainers(traceFolderOf(stateDir));
  const aws = awsJson(restUrl, region, keys.accessKeyId);
  const logs = new LogShipper(aws);
  const registryUrl = urlIn(flags, "registry");
  const own = new TaskRegistry({ file: join(stateDir, "ecs", "registry.json"), region, accountId });
  const tasks = new EcsTasks({
    stateDir,
    aws,
    registry: registryUrl === undefined ? own : awsJson(registryUrl, region, keys.accessKeyId),
    logs,
    baseEnvironment: clientEnvironment({ awsEndpointUrl: restUrl, ecsEndpointUrl: ownUrl, region }, keys),
    region,
    accountId,
    metadataBaseUrl: () => ownUrl,
  });
  const endpoint = new EcsEndpoint(tasks, registryUrl === undefined ? keptIn(own) : forwardedTo(registryUrl));
  return {
    answer: (request, response) => endpoint.answer(request, response),
    stop: async () => {
      await tasks.stopAll("The ECS endpoint was stopped", STOP_GRACE_SECONDS);
      await logs.flushAll();
    },
  };
}

await runEngineProgram({
  name: "ecs",
  usage: "node local/bootstrap.mjs local/ecs/main.ts --rest <url> [--port <n>] [--registry <url>]",
  flags: { registry: "URL of an ECS API that keeps clusters and task definitions; this program's own if absent" },
  start,
});
