"""Step Functions: redrive, stops that stay, refusals and task tokens, as AWS has them.

One function walks the top level of an execution, in the place of MiniStack's: a redrive enters the same walk at the
state that was entered last. States themselves are MiniStack's.
"""

import contextvars
import copy
import json
import time

from ministack.services import stepfunctions as states

import execution_start
import redrive
import task_tokens
from execution_start import MAX_PAYLOAD_BYTES
from patching import replace, require

# AWS takes about as long between StartExecution and the first state.
START_DELAY_SECONDS = 0.05

# (execution, redrive count at which this thread was started): tells a thread that it was overtaken.
_walk = contextvars.ContextVar("walk", default=None)


class ExecutionStopped(Exception):
    """The execution of this thread was stopped, or has been redriven since; whatever the state says is moot."""


def apply():
    require(
        states,
        *("_executions", "_state_machines", "_task_tokens", "_add_event", "_emit_execution_status_event"),
        *("_execute_pass", "_execute_task", "_execute_choice", "_execute_wait", "_execute_parallel", "_execute_map"),
        *("_fail_state_error", "_apply_input_path", "_apply_output_path", "_ExecutionError", "_finalize_response"),
    )
    replace(states, "_run_execution", ["exec_arn"], lambda _: run_execution)
    replace(states, "_fail_execution", ["execution", "error", "cause"], fail_execution)
    replace(states, "_stop_execution", ["data"], stop_execution)
    replace(states, "_call_lambda", ["func_ref", "event"], call_lambda)
    execution_start.apply()
    redrive.apply()
    task_tokens.apply(ensure_alive, lambda: _walk.get())


def alive():
    walk = _walk.get()
    if walk is None:
        return True
    execution, redrives = walk
    return execution["status"] == "RUNNING" and execution.get("redriveCount", 0) == redrives


def ensure_alive():
    if not alive():
        raise ExecutionStopped()


# --- the walk ---------------------------------------------------------------


def run_execution(exec_arn):
    execution = states._executions.get(exec_arn)
    if execution is None:
        return
    redrives = execution.get("redriveCount", 0)
    # MiniStack walks a nested execution in its parent's thread, which goes on with its own walk afterwards.
    outer = _walk.set((execution, redrives))
    time.sleep(START_DELAY_SECONDS)
    try:
        definition = definition_of(execution)
        entered = execution.get("lastEntered") if redrives else None
        name, state_input = entered or (definition["StartAt"], json.loads(execution["input"]))
        output = walk(execution, definition, name, copy.deepcopy(state_input), resumed=bool(entered))
        succeed(execution, output)
    except ExecutionStopped:
        pass
    except states._ExecutionError as error:
        states._fail_execution(execution, error.error, error.cause)
    except Exception as error:
        states.logger.exception("Unexpected error in execution %s", exec_arn)
        states._fail_execution(execution, "States.Runtime", str(error))
    finally:
        _walk.reset(outer)


def definition_of(execution):
    """The definition with which the execution started, also for a redrive after a deploy, as on AWS."""
    if "definition" not in execution:
        execution["definition"] = states._state_machines[execution["stateMachineArn"]]["definition"]
    return json.loads(execution["definition"])


def context_of(execution, definition):
    machine_arn = execution["stateMachineArn"]
    about = {
        "Id": execution["executionArn"],
        "Input": json.loads(execution["input"]),
        "Name": execution["name"],
        "StartTime": execution["startDate"],
        "RedriveCount": execution.get("redriveCount", 0),
    }
    if execution.get("redriveDate"):
        about["RedriveTime"] = execution["redriveDate"]
    return {
        "QueryLanguage": definition.get("QueryLanguage", "JSONPath"),
        "Execution": about,
        "StateMachine": {"Id": machine_arn, "Name": machine_arn.rsplit(":", 1)[-1]},
        "variables": {},
    }


def walk(execution, definition, name, value, resumed):
    ctx = context_of(execution, definition)
    while name:
        ensure_alive()
        state = definition["States"].get(name)
        if state is None:
            raise states._ExecutionError("States.Runtime", f"State '{name}' not found in definition")
        execution["lastEntered"] = (name, copy.deepcopy(value))
        ctx["State"] = {"Name": name, "EnteredTime": states.now_iso(), "RetryCount": 0}
        if not resumed:
            # A redriven state is scheduled again, not entered again.
            record(execution, f"{state['Type']}StateEntered", stateEntered={"name": name, "input": json.dumps(value)})
        resumed = False
        value, next_name = execute_state(state, value, execution, ctx)
        ensure_alive()
        output = json.dumps(value)
        record(execution, f"{state['Type']}StateExited", stateExited={"name": name, "output": output})
        if len(output.encode()) > MAX_PAYLOAD_BYTES:
            message = f"The state/task '{name}' returned a result with a size exceeding the maximum number of bytes."
            raise states._ExecutionError("States.DataLimitExceeded", message)
        name = next_name
    return value


def execute_state(state, value, execution, ctx):
    kind = state.get("Type")
    if kind == "Succeed":
        return states._apply_output_path(state, states._apply_input_path(state, value, ctx), ctx), None
    if kind == "Fail":
        raise states._ExecutionError(*states._fail_state_error(state, value, ctx))
    if kind in ("Task", "Parallel", "Map"):
        return getattr(states, f"_execute_{kind.lower()}")(state, value, execution, ctx)
    if kind in ("Pass", "Choice", "Wait"):
        return getattr(states, f"_execute_{kind.lower()}")(state, value, ctx)
    raise states._ExecutionError("States.Runtime", f"Unknown state type: {kind}")


def record(execution, event_type, **details):
    states._add_event(execution, event_type, {f"{key}EventDetails": value for key, value in details.items()})


def succeed(execution, value):
    ensure_alive()
    output = json.dumps(value)
    execution.update(status="SUCCEEDED", output=output, stopDate=states.now_iso())
    record(execution, "ExecutionSucceeded", executionSucceeded={"output": output})
    states._emit_execution_status_event(execution)


# --- what ends, and what stays ended ----------------------------------------


def fail_execution(original):
    def fail(execution, error, cause):
        if execution["status"] == "RUNNING" and alive():
            original(execution, error, cause)

    return fail


def call_lambda(original):
    def call(func_ref, event):
        # A Retry of an execution that has been stopped meanwhile calls nothing any more.
        ensure_alive()
        return original(func_ref, event)

    return call


def stop_execution(original):
    def stop(data):
        response = original(data)
        task_tokens.release_waits_of(data.get("executionArn"))
        return response

    return stop
