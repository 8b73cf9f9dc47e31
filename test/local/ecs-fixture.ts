import { existsSync, readFileSync } from "node:fs";
import { CreateLogGroupCommand } from "@aws-sdk/client-cloudwatch-logs";
import {
  CreateClusterCommand,
  DescribeTasksCommand,
  RegisterTaskDefinitionCommand,
  type RegisterTaskDefinitionCommandInput,
  RunTaskCommand,
  type RunTaskCommandInput,
  StopTaskCommand,
  type Tag,
  type Task,
} from "@aws-sdk/client-ecs";
import { taskLogPath } from "#local/ecs/container-launch.ts";
import { writeLocalImage } from "#local/ecs/local-image.ts";
import { EmbeddedAwsFixture, eventually } from "./embedded-aws-fixture.ts";

export const IMAGE = "example/dbt@sha256:0123";
export const GROUP = "/example/tasks";

type Container = NonNullable<RegisterTaskDefinitionCommandInput["containerDefinitions"]>[number];

/** An embedded AWS with the cluster "dbt", a log group, and the task definition "runner", whose image is a shell. */
export class EcsFixture {
  readonly aws: EmbeddedAwsFixture;

  private constructor(aws: EmbeddedAwsFixture) {
    this.aws = aws;
  }

  static async start(): Promise<EcsFixture> {
    const aws = await EmbeddedAwsFixture.start();
    writeLocalImage(aws.stateDir, IMAGE, {
      Entrypoint: ["/bin/sh", "-c"],
      Cmd: ["echo from the image"],
      Env: { FROM_IMAGE: "image", BOTH: "image" },
      WorkingDir: aws.stateDir,
    });
    await aws.ecs.send(
      new CreateClusterCommand({ clusterName: "dbt", capacityProviders: ["FARGATE", "FARGATE_SPOT"] }),
    );
    await aws.logs.send(new CreateLogGroupCommand({ logGroupName: GROUP }));
    const fixture = new EcsFixture(aws);
    await fixture.define("runner", {});
    return fixture;
  }

  async define(
    family: string,
    container: Partial<Container>,
    others: Container[] = [],
    tags: Tag[] = [],
  ): Promise<void> {
    const logConfiguration = {
      logDriver: "awslogs" as const,
      options: { "awslogs-group": GROUP, "awslogs-stream-prefix": "run", "awslogs-region": "us-east-1" },
    };
    const runner = { name: "runner", image: IMAGE, essential: true, logConfiguration, ...container };
    const sizes = { networkMode: "awsvpc" as const, cpu: "512", memory: "1024" };
    await this.aws.ecs.send(
      new RegisterTaskDefinitionCommand({ family, ...sizes, containerDefinitions: [runner, ...others], tags }),
    );
  }

  async run(more: Partial<RunTaskCommandInput> = {}): Promise<Task> {
    const networkConfiguration = { awsvpcConfiguration: { subnets: ["subnet-1"] } };
    const { tasks = [], failures } = await this.aws.ecs.send(
      new RunTaskCommand({ cluster: "dbt", taskDefinition: "runner", networkConfiguration, ...more }),
    );
    const [task] = tasks;
    if (task === undefined) throw new Error(`Nothing was started: ${JSON.stringify(failures)}`);
    return task;
  }

  async stop(task: Task, reason?: string): Promise<void> {
    await this.aws.ecs.send(new StopTaskCommand({ cluster: "dbt", task: task.taskArn, reason }));
  }

  async describe(task: Task): Promise<Task | undefined> {
    const { tasks } = await this.aws.ecs.send(
      new DescribeTasksCommand({ cluster: "dbt", tasks: [task.taskArn ?? ""], include: ["TAGS"] }),
    );
    return tasks?.[0];
  }

  when(task: Task, status: string): Promise<Task> {
    return eventually(async () => {
      const described = await this.describe(task);
      return described?.lastStatus === status ? described : undefined;
    });
  }

  printed(task: Task): string {
    const path = taskLogPath(this.aws.stateDir, task.taskArn?.split("/").at(-1) ?? "");
    return existsSync(path) ? readFileSync(path, "utf8") : "";
  }

  async control(faults: object): Promise<void> {
    const answer = await fetch(`${this.aws.endpoints.ecsEndpointUrl}/_control`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(faults),
    });
    if (!answer.ok) throw new Error(`The faults were not taken: ${await answer.text()}`);
  }
}

/** Overrides: the shell script to run instead, and variables for it. */
export function command(script: string, environment: Record<string, string> = {}): Partial<RunTaskCommandInput> {
  const pairs = Object.entries(environment).map(([name, value]) => ({ name, value }));
  return { overrides: { containerOverrides: [{ name: "runner", command: [script], environment: pairs }] } };
}
