"""Task tokens: a new one for each attempt, and a Lambda behind a token wait whose failure fails the state.

A wait lasts as long as its state says, or (TimeoutSecondsPath, which MiniStack ignores) as the state data say.
"""

import contextvars
import json
import threading
from collections import OrderedDict

from ministack.services import stepfunctions as states

from patching import replace, require

# Tokens of waits that are over, so that a late answer is told from a wrong one. A token takes about 150 bytes here.
MAX_PAST_TOKENS = 20_000
_past_tokens = OrderedDict()
# Seconds of the wait that this thread's state is about to begin.
_wait_seconds = contextvars.ContextVar("wait_seconds", default=None)
# An answer is either accepted before its wait is over, and then counts, or refused: never accepted and lost.
_settling = threading.Lock()


def apply(ensure_alive, current_walk):
    require(states, "_resolve_lambda_function_ref", "_extract_lambda_ref", "new_uuid")
    parameters = ["resource", "input_data", "token", "state_def"]
    replace(states, "_invoke_with_callback", parameters, invoke_with_callback(ensure_alive, current_walk))
    replace(states, "_apply_parameters", ["state_def", "data", "ctx"], before_each_attempt(ensure_alive))
    for name in ("_send_task_success", "_send_task_failure", "_send_task_heartbeat"):
        replace(states, name, ["data"], with_late_answers)


def before_each_attempt(ensure_alive):
    """MiniStack keeps one token for all attempts of a state, so that a late answer to the first would end the second;
    and it goes on with the attempts of an execution that has been stopped.

    Parameters are worked out once for each attempt, hence the place.
    """

    def build(original):
        def apply_parameters(state_def, data, ctx=None):
            ensure_alive()
            if ctx and "Task" in ctx and ".waitForTaskToken" in state_def.get("Resource", ""):
                ctx["Task"]["Token"] = states.new_uuid()
                _wait_seconds.set(seconds_of(state_def, data))
            return original(state_def, data, ctx)

        return apply_parameters

    return build


def seconds_of(state_def, data):
    """Of a state whose wait is told by its data. What is no whole number from 1 on ends the execution, as on AWS."""
    path = state_def.get("TimeoutSecondsPath")
    if path is None:
        return None
    seconds = data
    for step in path.split(".")[1:]:
        seconds = seconds.get(step) if isinstance(seconds, dict) else None
    if not isinstance(seconds, int) or isinstance(seconds, bool) or seconds < 1:
        raise states._ExecutionError(
            "States.Runtime", f"The TimeoutSecondsPath '{path}' does not lead to a positive number: {json.dumps(seconds)}"
        )
    return seconds


def invoke_with_callback(ensure_alive, current_walk):
    def build(original):
        def invoke(resource, input_data, token, state_def):
            target = lambda_target(resource, input_data)
            if target is None:
                return original(resource, input_data, token, state_def)
            ensure_alive()
            walk = current_walk()
            wait = {"event": threading.Event(), "result": None, "error": None, "heartbeat": None}
            wait["execution"] = walk[0]["executionArn"] if walk else None
            states._task_tokens[token] = wait
            try:
                start_lambda(wait, *target)
                wait["event"].wait(timeout=_wait_seconds.get() or state_def.get("TimeoutSeconds", 99_999_999))
            finally:
                forget(token)
            ensure_alive()
            return outcome_of(wait)

        return invoke

    return build


def lambda_target(resource, input_data):
    clean = resource.replace(".waitForTaskToken", "")
    reference = states._extract_lambda_ref(clean)
    if not reference and "states:::lambda:invoke" in clean:
        reference = states._resolve_lambda_function_ref(input_data.get("FunctionName", ""), optimized=True)
    if not reference:
        return None
    return reference, input_data.get("Payload", input_data) if isinstance(input_data, dict) else input_data


def start_lambda(wait, reference, payload):
    """The function runs beside the wait: its token may be answered, or time out, before it returns."""

    def call():
        try:
            states._call_lambda(reference, payload)
        except states._ExecutionError as error:
            with _settling:
                if not wait["event"].is_set():
                    wait["error"] = {"Error": error.error, "Cause": error.cause}
                    wait["event"].set()
        except Exception:
            # The execution was stopped before the function was called: the wait is released by the stop.
            states.logger.debug("A function behind a task token was not called", exc_info=True)

    threading.Thread(target=contextvars.copy_context().run, args=(call,), daemon=True).start()


def outcome_of(wait):
    if wait["error"]:
        raise states._ExecutionError(wait["error"].get("Error", "TaskFailed"), wait["error"].get("Cause", ""))
    if wait["result"] is None:
        raise states._ExecutionError("States.Timeout", "")
    return json.loads(wait["result"])


def forget(token):
    with _settling:
        states._task_tokens.pop(token, None)
        _past_tokens[token] = True
        while len(_past_tokens) > MAX_PAST_TOKENS:
            _past_tokens.popitem(last=False)


def release_waits_of(execution_arn):
    for wait in list(states._task_tokens.values()):
        if wait.get("execution") == execution_arn:
            wait["event"].set()


def with_late_answers(original):
    def send(data):
        with _settling:
            return refuse_answer(data) or original(data)

    return send


def refuse_answer(data):
    token = data.get("taskToken")
    wait = states._task_tokens.get(token)
    if token in _past_tokens or (wait is not None and wait["event"].is_set()):
        message = "Task Timed Out: 'Provided task does not exist anymore'"
        return states.error_response_json("TaskTimedOut", message, 400)
    if wait is None:
        return states.error_response_json("InvalidToken", "Invalid Token: 'Invalid token'", 400)
    try:
        json.loads(data.get("output", "null"))
    except ValueError as error:
        return states.error_response_json("InvalidOutput", f"Invalid Output: '{error}'", 400)
    return None
