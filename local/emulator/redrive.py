"""RedriveExecution, which MiniStack does not have, and its traces in DescribeExecution and in the status events."""

import contextvars
import json
import threading

from ministack.services import eventbridge
from ministack.services import stepfunctions as states

from patching import replace, require

REDRIVABLE = ("FAILED", "TIMED_OUT", "ABORTED")


def apply():
    require(states, "_executions", "_finalize_response", "_emit_execution_status_event", "_iso_to_epoch_ms")
    replace(states, "handle_request", ["method", "path", "headers", "body", "query_params"], handle_request)
    replace(states, "_describe_execution", ["data"], with_redrive_fields)
    replace(eventbridge, "_put_events", ["data", "allow_aws_source"], put_events)


def handle_request(original):
    async def handle(method, path, headers, body, query_params):
        if headers.get("x-amz-target", "").endswith(".RedriveExecution"):
            return states._finalize_response(redrive(json.loads(body or b"{}")))
        return await original(method, path, headers, body, query_params)

    return handle


def redrive(data):
    arn = data.get("executionArn")
    execution = states._executions.get(arn)
    if execution is None:
        return states.error_response_json("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'", 400)
    token = data.get("clientToken")
    if token and token == execution.get("redriveToken"):
        return states.json_response({"redriveDate": execution["redriveDate"]})
    if execution["status"] not in REDRIVABLE:
        message = f"Execution is {execution['status']} and cannot be redriven"
        return states.error_response_json("ExecutionNotRedrivable", message, 400)
    count = execution.get("redriveCount", 0) + 1
    execution.update(redriveCount=count, redriveDate=states.now_iso(), redriveToken=token)
    execution.update(status="RUNNING", stopDate=None, output=None, error=None, cause=None)
    states._add_event(execution, "ExecutionRedriven", {"executionRedrivenEventDetails": {"redriveCount": count}})
    states._emit_execution_status_event(execution)
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(states._run_execution, arn), daemon=True).start()
    return states.json_response({"redriveDate": execution["redriveDate"]})


def redrive_fields(execution):
    redrivable = execution["status"] in REDRIVABLE
    fields = {"redriveCount": execution.get("redriveCount", 0)}
    fields["redriveStatus"] = "REDRIVABLE" if redrivable else "NOT_REDRIVABLE"
    if not redrivable:
        fields["redriveStatusReason"] = f"Execution is {execution['status']} and cannot be redriven"
    if execution.get("redriveDate"):
        fields["redriveDate"] = execution["redriveDate"]
    return fields


def with_redrive_fields(original):
    def describe(data):
        status, headers, body = original(data)
        if status != 200:
            return status, headers, body
        return states.json_response({**json.loads(body), **redrive_fields(states._executions[data["executionArn"]])})

    return describe


def put_events(original):
    """MiniStack's status events say that nothing was ever redriven."""

    def put(data, allow_aws_source=False):
        for entry in data.get("Entries", []) if allow_aws_source else ():
            if entry.get("Source") != "aws.states":
                continue
            detail = json.loads(entry["Detail"])
            execution = states._executions.get(detail.get("executionArn"))
            if execution is not None:
                fields = redrive_fields(execution)
                fields["redriveDate"] = states._iso_to_epoch_ms(execution.get("redriveDate"))
                entry["Detail"] = json.dumps({**detail, **fields})
        return original(data, allow_aws_source)

    return put
