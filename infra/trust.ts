import type { Stack } from "aws-cdk-lib";
import { ServicePrincipal } from "aws-cdk-lib/aws-iam";

/**
 * Who may assume a role: a service, for resources of this account alone (the "confused deputy"). Only for services whose
 * documentation says that they send these keys: ECS ("IAM roles for Amazon ECS"), Step Functions and EventBridge
 * Scheduler ("Confused deputy prevention"). Lambda's does not; a function's role can be passed within its account alone.
 * @param sourceArn in the form that the service sends: tasks and schedules are known by their region and group only.
 */
export const trusted = (stack: Stack, service: string, sourceArn: string): ServicePrincipal =>
  new ServicePrincipal(service, {
    conditions: {
      StringEquals: { "aws:SourceAccount": stack.account },
      ArnLike: { "aws:SourceArn": sourceArn },
    },
  });

/** A task's role is assumed before the task has an ARN: AWS' own example names every resource of ECS in the region. */
export const trustedTasks = (stack: Stack): ServicePrincipal =>
  trusted(stack, "ecs-tasks.amazonaws.com", stack.formatArn({ service: "ecs", resource: "*" }));
