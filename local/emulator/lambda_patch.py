"""Lambda: Node functions run in our own host, whose errors keep their names; filters see leaves, as Lambda's do.

MiniStack's process pool has no ceiling (sixty pollers made fifty processes). Its proxy mode would need a variable in
each function's environment, hence in the template, and it calls every error ``Runtime.HandlerError``. Here every
``nodejs`` function is sent to the host; the template knows nothing of it.
"""

import hashlib
import http.client
import json
import socket
from urllib.parse import urlsplit

from ministack.services import lambda_svc

from patching import replace

# The host ends a function at its timeout by itself and gives its code half a minute to load before. Only a host that
# hangs is noticed here.
HOST_GRACE_SECONDS = 45


def apply(host_url):
    host = urlsplit(host_url)

    def runs_in_host(config):
        return (config.get("Runtime") or "").startswith("nodejs") and bool(config.get("Handler"))

    def proxy_url_for(original):
        return lambda config: host_url if runs_in_host(config) else original(config)

    def execute_function_proxy(_original):
        def execute(func, event, _url, request_id):
            config = func.get("config") or func
            return call_host(host, config, event, request_id)

        return execute

    def emit_lambda_logs(original):
        # The host writes the log while the function runs.
        def emit(func, *args, **kwargs):
            if not runs_in_host(func.get("config") or func):
                original(func, *args, **kwargs)

        return emit

    replace(lambda_svc, "_proxy_url_for", ["config"], proxy_url_for)
    replace(lambda_svc, "_execute_function_proxy", ["func", "event", "url", "request_id"], execute_function_proxy)
    replace(
        lambda_svc,
        "_emit_lambda_logs",
        ["func", "request_id", "log_text", "error", "duration_ms", "log_source"],
        emit_lambda_logs,
    )
    replace(lambda_svc, "_match_esm_filter", ["record", "pattern"], match_leaves)


def match_leaves(original):
    """Filters of event sources: what lies below an absent attribute is absent, and a map is no leaf.

    MiniStack finds no match wherever the way to a leaf is missing, so that ``exists: false`` never holds below an
    attribute that a record does not have, and takes a map for something that ``exists`` sees.
    """

    def matches(record, pattern):
        for key, wanted in pattern.items():
            found = record.get(key)
            if isinstance(wanted, dict):
                if not matches(found if isinstance(found, dict) else {}, wanted):
                    return False
            elif not original({} if found is None or isinstance(found, dict) else {key: found}, {key: wanted}):
                return False
        return True

    return matches


def revision_of(config):
    """Changes with the code and with every setting that the running function sees."""
    seen = {key: config.get(key) for key in ("CodeSha256", "Handler", "Environment", "Timeout", "LoggingConfig")}
    return hashlib.sha256(json.dumps(seen, sort_keys=True, default=str).encode()).hexdigest()[:16]


def call_host(host, config, event, request_id):
    timeout = int(config.get("Timeout") or 3)
    headers = {
        "Content-Type": "application/json",
        "X-Function-Name": config.get("FunctionName", ""),
        "X-Function-Arn": config.get("FunctionArn", ""),
        "X-Function-Version": config.get("Version", "$LATEST"),
        "X-Function-Revision": revision_of(config),
        "X-Request-Id": request_id,
    }
    connection = http.client.HTTPConnection(host.hostname, host.port, timeout=timeout + HOST_GRACE_SECONDS)
    try:
        connection.request("POST", host.path, json.dumps(event, ensure_ascii=False).encode("utf-8"), headers)
        response = connection.getresponse()
        body = json.loads(response.read() or b"null")
        if response.getheader("X-Function-Error"):
            return {"body": body, "error": True}
        return {"body": body}
    except socket.timeout:
        return failure("Sandbox.Timedout", f"RequestId: {request_id} Error: Task timed out after {timeout}.00 seconds")
    except (OSError, http.client.HTTPException, ValueError) as error:
        return failure("Lambda.ServiceException", f"the host of the functions did not answer: {error}")
    finally:
        connection.close()


def failure(error_type, message):
    return {"body": {"errorType": error_type, "errorMessage": message}, "error": True}
