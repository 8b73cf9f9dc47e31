"""CloudFormation makes clusters and task definitions by the ECS API of the engine, wherever that is answered."""

import uuid

from localstack.services.cloudformation.resource_provider import OperationStatus, ProgressEvent, ResourceProvider


def success(model):
    return ProgressEvent(status=OperationStatus.SUCCESS, resource_model=model)


def camel(value, path=()):
    """A template writes `ContainerDefinitions`, the API `containerDefinitions`. Keys of free maps stay as they are."""
    if isinstance(value, list):
        return [camel(inner, path) for inner in value]
    if not isinstance(value, dict):
        return value
    if path and path[-1] in FREE_MAPS:
        return value
    return {lower(key): camel(inner, (*path, lower(key))) for key, inner in value.items()}


FREE_MAPS = {"options", "dockerLabels", "labels", "driverOpts"}


def lower(key):
    return key[0].lower() + key[1:]


class ClusterProvider(ResourceProvider):
    TYPE = "AWS::ECS::Cluster"
    SCHEMA = {
        "typeName": TYPE,
        "primaryIdentifier": ["/properties/ClusterName"],
        "readOnlyProperties": ["/properties/Arn"],
        "createOnlyProperties": ["/properties/ClusterName"],
        "properties": {"ClusterName": {"type": "string"}, "Arn": {"type": "string"}},
    }

    def create(self, request):
        model = request.desired_state
        name = model.get("ClusterName") or f"{request.stack_name}-{uuid.uuid4().hex[:12]}"
        cluster = request.aws_client_factory.ecs.create_cluster(clusterName=name)["cluster"]
        return success({**model, "ClusterName": name, "Arn": cluster["clusterArn"]})

    def update(self, request):
        # Settings and tags: nothing here looks at them. The name is create-only.
        return success({**(request.previous_state or {}), **request.desired_state})

    def delete(self, request):
        ecs = request.aws_client_factory.ecs
        try:
            ecs.delete_cluster(cluster=(request.previous_state or request.desired_state)["ClusterName"])
        except ecs.exceptions.ClusterNotFoundException:
            pass
        return success({})


class TaskDefinitionProvider(ResourceProvider):
    TYPE = "AWS::ECS::TaskDefinition"
    SCHEMA = {
        "typeName": TYPE,
        "primaryIdentifier": ["/properties/TaskDefinitionArn"],
        "readOnlyProperties": ["/properties/TaskDefinitionArn"],
        "createOnlyProperties": [],
        "properties": {"TaskDefinitionArn": {"type": "string"}, "Family": {"type": "string"}},
    }

    def create(self, request):
        ecs = request.aws_client_factory.ecs
        model = {key: value for key, value in request.desired_state.items() if key != "TaskDefinitionArn"}
        family = model.get("Family") or f"{request.stack_name}{request.logical_resource_id}"
        wanted = {**camel(model), "family": family}
        known = ecs.meta.service_model.operation_model("RegisterTaskDefinition").input_shape.members
        answer = ecs.register_task_definition(**typed({k: v for k, v in wanted.items() if k in known}))
        arn = answer["taskDefinition"]["taskDefinitionArn"]
        return success({**model, "Family": family, "TaskDefinitionArn": arn})

    def update(self, request):
        # As on AWS each change is a new revision; the old one stays for the runs that began with it.
        return self.create(request)

    def delete(self, request):
        arn = (request.previous_state or request.desired_state).get("TaskDefinitionArn")
        if arn:
            request.aws_client_factory.ecs.deregister_task_definition(taskDefinition=arn)
        return success({})


def typed(value, key=""):
    """A template may write `"true"` and `"30"` where the API takes a boolean and a number."""
    if isinstance(value, dict):
        return {inner_key: typed(inner, inner_key) for inner_key, inner in value.items()}
    if isinstance(value, list):
        return [typed(inner, key) for inner in value]
    if key in BOOLEANS and isinstance(value, str):
        return value.lower() == "true"
    if key in NUMBERS and isinstance(value, str):
        return int(value)
    return value


BOOLEANS = {"essential", "readonlyRootFilesystem", "initProcessEnabled", "privileged", "interactive", "pseudoTerminal"}
NUMBERS = {"stopTimeout", "startTimeout", "sizeInGiB", "containerPort", "hostPort"}
