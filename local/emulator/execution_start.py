"""StartExecution: what AWS refuses, and the same start a second time."""

import json
import re

from ministack.services import stepfunctions as states

from patching import replace, require

MAX_NAME_CHARACTERS = 80
MAX_PAYLOAD_BYTES = 262_144
FORBIDDEN_IN_NAME = re.compile(r'[\s<>{}\[\]?*"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]')


def apply():
    require(states, "_resolve_state_machine_arn", "_state_machines", "_executions")
    replace(states, "_start_execution", ["data"], start_execution)


def start_execution(original):
    def start(data):
        refusal = refuse(data)
        if refusal is not None:
            return refusal
        return same_again(data) or original(data)

    return start


def refuse(data):
    name = data.get("name")
    if name is not None and not 1 <= len(name) <= MAX_NAME_CHARACTERS:
        return validation_error("name", f"between 1 and {MAX_NAME_CHARACTERS}")
    if name is not None and FORBIDDEN_IN_NAME.search(name):
        return states.error_response_json("InvalidName", f"Invalid Name: '{name}'", 400)
    value = data.get("input", "{}")
    if len(value.encode()) > MAX_PAYLOAD_BYTES:
        return validation_error("input", f"less than or equal to {MAX_PAYLOAD_BYTES}")
    try:
        json.loads(value)
    except ValueError as error:
        return states.error_response_json("InvalidExecutionInput", f"Invalid State Machine Execution Input: '{error}'", 400)
    return None


def validation_error(field, constraint):
    message = (
        f"1 validation error detected: Value at '{field}' failed to satisfy constraint: "
        f"Member must have length {constraint}"
    )
    return states.error_response_json("ValidationException", message, 400)


def same_again(data):
    """The same name and the same input, while it runs: the answer of the first time."""
    machine = states._state_machines.get(states._resolve_state_machine_arn(data.get("stateMachineArn", "")))
    if machine is None or not data.get("name"):
        return None
    prefix = machine["stateMachineArn"].replace(":stateMachine:", ":execution:")
    execution = states._executions.get(f"{prefix}:{data['name']}")
    if execution is None or execution["status"] != "RUNNING":
        return None
    if json.loads(execution["input"]) != json.loads(data.get("input", "{}")):
        return None
    return states.json_response({key: execution[key] for key in ("executionArn", "startDate")})
