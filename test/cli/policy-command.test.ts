import { describe, expect, test } from "vitest";
import { POLICY_LEVELS, peoplePolicy } from "../../cli/people-policy.ts";
import { resourcesOf } from "../../cli/resources.ts";
import { deployedNames, TASK_ROLES } from "../../infra/deployed-names.ts";
import { fakeStack, stepwatch } from "./fake-context.ts";

const outputs = {
  TableName: "stepwatch-LedgerTable-1",
  BucketName: "stepwatch-bucket-1",
  RunMachineArn: "arn:aws-cn:states:cn-north-1:123456789012:stateMachine:night-run",
  ConsumerMachineArn: "arn:aws-cn:states:cn-north-1:123456789012:stateMachine:night-consumer",
  BackfillMachineArn: "arn:aws-cn:states:cn-north-1:123456789012:stateMachine:night-backfill",
};
const resources = resourcesOf("night", outputs);

describe("the policy of people", () => {
  test("names this stack's own resources, in its partition, region and account", () => {
    const { Statement } = peoplePolicy("operate", resources);
    expect(Statement.flatMap(({ Resource }) => Resource)).toEqual(
      expect.arrayContaining([
        "arn:aws-cn:cloudformation:cn-north-1:123456789012:stack/night/*",
        "arn:aws-cn:states:cn-north-1:123456789012:execution:night-run:*",
        "arn:aws-cn:states:cn-north-1:123456789012:execution:night-backfill:*",
        "arn:aws-cn:dynamodb:cn-north-1:123456789012:table/stepwatch-LedgerTable-1",
        "arn:aws-cn:s3:::stepwatch-bucket-1/runs/*",
        "arn:aws-cn:s3:::stepwatch-bucket-1/latest/*",
        "arn:aws-cn:logs:cn-north-1:123456789012:log-group:/stepwatch/night/*:log-stream:*",
      ]),
    );
    const released = peoplePolicy("release", resources).Statement.filter(
      ({ Sid }) => !Statement.some((one) => one.Sid === Sid),
    );
    expect(released.flatMap(({ Resource }) => Resource)).toEqual([
      // DescribeTaskDefinition has no resource in IAM.
      "*",
      "arn:aws-cn:ecs:cn-north-1:123456789012:task-definition/night-*",
      "arn:aws-cn:ecs:cn-north-1:123456789012:task-definition/night-*",
      "arn:aws-cn:iam::123456789012:role/stepwatch/night/*",
      "arn:aws-cn:ecr:cn-north-1:123456789012:repository/*",
    ]);
    for (const { Action, Resource } of Statement)
      for (const text of [...Action, ...Resource]) expect(text).not.toBe("*");
  });

  test("each level has what the one before it has; who only reads writes nothing", () => {
    const actions = POLICY_LEVELS.map((level) => peoplePolicy(level, resources).Statement.flatMap((one) => one.Action));
    expect(actions[1]).toEqual(expect.arrayContaining(actions[0]!));
    expect(actions[2]).toEqual(expect.arrayContaining(actions[1]!));
    for (const action of actions[0]!) expect(action).toMatch(/:(Get|BatchGet|Query|List|Describe)/);
    expect(actions[3]).toEqual(expect.arrayContaining(actions[2]!));
    expect(actions.slice(0, 3).flat().join()).not.toMatch(/iam:|ecs:|ecr:/);
    expect(actions.flat().join()).not.toMatch(/lambda:|RunTask|PutObject|PutItem/);
  });

  test("roles are passed to ECS' tasks alone, which have the path that the stack gives them", () => {
    const passes = peoplePolicy("release", resources).Statement.find(({ Sid }) => Sid === "GiveTasksTheirRoles")!;
    expect(passes.Condition).toEqual({ StringEquals: { "iam:PassedToService": "ecs-tasks.amazonaws.com" } });
    expect(passes.Resource[0]).toContain(`role${deployedNames.taskRolePath("night")}`);
    for (const role of TASK_ROLES) expect(deployedNames.taskFamily("night", "shop", role)).toMatch(/^night-/);
  });

  test("a stack with a key of its own lets people use it through DynamoDB and S3 alone", () => {
    const key = "arn:aws-cn:kms:cn-north-1:123456789012:key/1";
    const withKey = peoplePolicy("read", resourcesOf("night", { ...outputs, DataKeyArn: key })).Statement;
    expect(withKey.find(({ Sid }) => Sid === "UseTheDataKey")).toMatchObject({
      Resource: [key],
      Condition: {
        StringEquals: { "kms:ViaService": ["dynamodb.cn-north-1.amazonaws.com", "s3.cn-north-1.amazonaws.com"] },
      },
    });
    expect(JSON.stringify(peoplePolicy("read", resources))).not.toContain("kms");
  });

  test("is printed as JSON and nothing else; a level that is none is refused with those that are", async () => {
    const stack = { ...fakeStack([]), resources };
    const { exitCode, stdout } = await stepwatch(["policy", "--for", "run"], { stack });
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toEqual(JSON.parse(JSON.stringify(peoplePolicy("run", resources))));
    const wrong = await stepwatch(["policy", "--for", "admin"], { stack });
    expect(wrong.exitCode).toBe(2);
    expect(wrong.stderr).toMatch(/read, run, operate, release/);
  });
});
