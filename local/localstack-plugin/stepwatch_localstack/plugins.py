"""What LocalStack finds by the entry points of this package. Imports wait until LocalStack loads a plugin."""

import os

from localstack.services.cloudformation.resource_provider import CloudFormationResourceProviderPlugin
from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin
from localstack.services.plugins import aws_provider


class ClusterPlugin(CloudFormationResourceProviderPlugin):
    name = "AWS::ECS::Cluster"

    def __init__(self):
        self.factory = None

    def load(self):
        from stepwatch_localstack.ecs_resources import ClusterProvider

        self.factory = ClusterProvider


class TaskDefinitionPlugin(CloudFormationResourceProviderPlugin):
    name = "AWS::ECS::TaskDefinition"

    def __init__(self):
        self.factory = None

    def load(self):
        from stepwatch_localstack.ecs_resources import TaskDefinitionProvider

        self.factory = TaskDefinitionProvider


class HostExecutorPlugin(RuntimeExecutorPlugin):
    """Chosen by LAMBDA_RUNTIME_EXECUTOR=stepwatch."""

    name = "stepwatch"

    def load(self, *args, **kwargs):
        from stepwatch_localstack.host_executor import HostExecutor

        return HostExecutor


def url_of(variable):
    """Where a service of somebody else answers. Said at the start of the service, not in the middle of a deploy."""
    url = os.environ.get(variable, "").rstrip("/")
    if not url:
        raise ValueError(f"{variable} is not set: it names the URL to which this service's calls are sent.")
    return url


def forwarded(service_name, variable):
    """A service whose every call is sent on to a URL."""
    from localstack.aws.forwarder import AwsRequestProxy
    from localstack.aws.spec import load_service
    from localstack.services.plugins import Service

    class Forwarded:
        service = service_name

    proxy = AwsRequestProxy(url_of(variable))
    table = dict.fromkeys(load_service(service_name).operation_names, proxy)
    return Service.for_provider(Forwarded(), dispatch_table_factory=lambda _: table)


@aws_provider(api="ecs", name="stepwatch")
def ecs():
    """Chosen by PROVIDER_OVERRIDE_ECS=stepwatch."""
    return forwarded("ecs", "STEPWATCH_ECS_URL")


@aws_provider(api="dynamodb", name="stepwatch")
def dynamodb():
    """Chosen by PROVIDER_OVERRIDE_DYNAMODB=stepwatch, where DynamoDB Local can not be had."""
    return forwarded("dynamodb", "STEPWATCH_DYNAMODB_URL")


@aws_provider(api="dynamodbstreams", name="stepwatch")
def dynamodbstreams():
    """Chosen by PROVIDER_OVERRIDE_DYNAMODBSTREAMS=stepwatch."""
    return forwarded("dynamodbstreams", "STEPWATCH_DYNAMODB_URL")
