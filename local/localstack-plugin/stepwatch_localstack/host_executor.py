"""Functions run in stepwatch's host of functions (local/lambda/main.ts), not in a container or a process each.

Many invocations at once share one thread there, so that a hundred pollers cost the memory of one function.
"""

import hashlib
import http.client
import json
import os
from urllib.parse import urlsplit

from localstack import config
from localstack.services.lambda_.invocation.lambda_models import InvocationResult
from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor

# The host ends a function at its timeout by itself and gives its code half a minute to load before.
HOST_GRACE_SECONDS = 45


class HostExecutor(RuntimeExecutor):
    def start(self, env_vars):
        self.started = True

    def stop(self):
        self.started = False

    def get_address(self):
        return "127.0.0.1"

    def get_endpoint_from_executor(self):
        return "127.0.0.1"

    def get_runtime_endpoint(self):
        return f"http://127.0.0.1:{config.GATEWAY_LISTEN[0].port}/_localstack_lambda/{self.id}"

    def invoke(self, payload):
        request_id = payload["invoke-id"]
        body, is_error = self.call_host(request_id, payload["payload"] or "{}")
        return InvocationResult(
            request_id=request_id,
            payload=body,
            is_error=is_error,
            logs="",
            executed_version=self.function_version.id.qualifier,
        )

    def call_host(self, request_id, event):
        settings = self.function_version.config
        host = urlsplit(os.environ.get("STEPWATCH_LAMBDA_URL", "http://127.0.0.1:4572"))
        headers = {
            "Content-Type": "application/json",
            "X-Function-Name": self.function_version.id.function_name,
            "X-Function-Version": self.function_version.id.qualifier,
            "X-Function-Revision": self.revision(),
            "X-Request-Id": request_id,
        }
        connection = http.client.HTTPConnection(host.hostname, host.port, timeout=settings.timeout + HOST_GRACE_SECONDS)
        try:
            connection.request("POST", "/_lambda", event.encode("utf-8"), headers)
            response = connection.getresponse()
            body = response.read()
            return body, response.status >= 400 or response.getheader("X-Function-Error") is not None
        except (OSError, http.client.HTTPException) as error:
            message = f"the host of the functions at {host.geturl()} did not answer: {error}"
            return json.dumps({"errorType": "Lambda.ServiceException", "errorMessage": message}).encode(), True
        finally:
            connection.close()

    def revision(self):
        """Changes with the code and with every setting that the running function sees."""
        settings = self.function_version.config
        seen = [settings.code.code_sha256, settings.handler, settings.environment, settings.timeout, settings.memory_size]
        return hashlib.sha256(json.dumps(seen, sort_keys=True, default=str).encode()).hexdigest()[:16]

    def get_logs(self):
        return ""

    @classmethod
    def prepare_version(cls, function_version):
        pass

    @classmethod
    def cleanup_version(cls, function_version):
        pass
