import { Stack } from "aws-cdk-lib";
import { Effect, type IRole, Policy, PolicyDocument, PolicyStatement, Role } from "aws-cdk-lib/aws-iam";
import { Construct } from "constructs";
import type { ProjectConfig } from "#core/config.ts";
import { deployedNames } from "./deployed-names.ts";
import { policyNamed } from "./identity.ts";
import { trustedTasks } from "./trust.ts";

export interface ProjectTaskRoleProps {
  readonly stackName: string;
  readonly project: ProjectConfig;
  /** What stepwatch's own code needs. */
  readonly statements: readonly PolicyStatement[];
}

/**
 * The role that a project's dbt and its supervisor have: one of stepwatch's, with what `taskRole` adds for the adapter, or
 * one of the account's, to which stepwatch's own rights are attached as a policy.
 */
export class ProjectTaskRole extends Construct {
  readonly role: IRole;

  constructor(scope: Construct, id: string, props: ProjectTaskRoleProps) {
    super(scope, id);
    const { taskRole } = props.project;
    this.role = taskRole.arn === undefined ? this.#ownRole(props) : this.#givenRole(taskRole.arn, props);
  }

  #ownRole({ stackName, project, statements }: ProjectTaskRoleProps): Role {
    const { managedPolicies, statements: added } = project.taskRole;
    return new Role(this, "Role", {
      assumedBy: trustedTasks(Stack.of(this)),
      path: deployedNames.taskRolePath(stackName),
      description: `dbt of project ${project.name}: what its adapter needs is named under taskRole in stepwatch.yaml`,
      inlinePolicies: {
        stepwatch: new PolicyDocument({ statements: [...statements] }),
        ...(added.length > 0 && {
          project: new PolicyDocument({ statements: added.map((one) => PolicyStatement.fromJson(one)) }),
        }),
      },
      managedPolicies: managedPolicies.map((name, index) => policyNamed(this, `Managed${index}`, name)),
    });
  }

  #givenRole(arn: string, { statements }: ProjectTaskRoleProps): IRole {
    const role = Role.fromRoleArn(this, "Given", arn);
    // It may be several projects': what one of them is refused is not refused to the others by that.
    const allowed = statements.filter(({ effect }) => effect === Effect.ALLOW);
    new Policy(this, "Policy", { statements: allowed, roles: [role] });
    return role;
  }
}
